// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// UserTree returns a copy of the kernel tree in dir, the user's own, which is only read: of a
// git checkout the tracked files and the new ones that git does not ignore, of a plain tree
// all but those that a build left there. Its ID is git's id of that content.
func UserTree(ctx context.Context, p *Pin, dir string, opts FetchOptions) (t tree.Tree, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return t, fmt.Errorf("copy the kernel tree %s: %w", dir, err)
	}
	version, err := Version(dir)
	if err != nil {
		return t, err
	}
	if err := opts.Cache.CheckOutside(dir); err != nil {
		return t, err
	}
	entries, err := readUser(ctx, opts.Log, dir)
	if err == nil {
		err = p.checkMerged(dir, entries)
	}
	if err != nil {
		// It is the user who has to mend the tree.
		return t, exit.With(exit.Usage, fmt.Errorf("read the kernel tree %s: %w", dir, err))
	}
	// The copy may be old: compare its pinned files with what was read.
	want := map[string]string{}
	for _, e := range entries {
		if _, pinned := p.BlobID(e.Path); pinned {
			want[e.Path] = e.Blob
		}
	}
	doing, done := "copy the kernel tree "+dir, fmt.Sprintf("%d files", len(entries))
	return opts.copied(ctx, p, tree.GitID(entries), doing, done, want, func(ctx context.Context, to string) (string, error) {
		return version, tree.CopyEntries(ctx, dir, to, entries)
	})
}

// copied returns the tree of the cache with an id of git's, verified by the blob ids of
// want. If it is missing, fill copies it to a directory and returns its version.
func (o *FetchOptions) copied(ctx context.Context, p *Pin, id, doing, done string, want map[string]string,
	fill func(ctx context.Context, to string) (version string, err error)) (t tree.Tree, err error) {
	if err := o.renew(ctx, userKind, id, p); err != nil {
		return t, err
	}
	entry, _, err := o.Cache.Populate(ctx, userKind, id, func(ctx context.Context, tmp string) (err error) {
		if err := o.Cache.Need(doing, unpackedBytes); err != nil {
			return err
		}
		step := o.Log.Step(doing)
		defer func() { step.End(err, "%s", done) }()
		to := filepath.Join(tmp, treeName)
		version, err := fill(ctx, to)
		if err != nil {
			return o.Cache.Full(doing, err)
		}
		return tree.Save(tree.Tree{Dir: to, ID: id, Version: version})
	})
	if err != nil {
		return t, err
	}
	return load(ctx, entry, want)
}

// conflict is what a merge leaves in a file, without git, too.
var conflict = regexp.MustCompile(`(?sm)^<{7}( |$).*^={7}$.*^>{7}( |$)`)

// maxSource is how much of a file is looked at, in bytes: ten times those that matter.
const maxSource = 4 << 20

// checkMerged looks for conflicts in those files that patches may be applied to.
func (p *Pin) checkMerged(dir string, entries []tree.Entry) error {
	for _, e := range entries {
		if blob, pinned := p.BlobID(e.Path); !pinned || blob == e.Blob || e.Mode == tree.ModeSymlink {
			continue
		}
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(e.Path)))
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxSource))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if at := conflict.FindIndex(text); at != nil {
			return fmt.Errorf("%s:%d: a merge in it is not finished: resolve the conflict, and remove its markers", e.Path, 1+bytes.Count(text[:at[0]], []byte("\n")))
		}
	}
	return nil
}

// readUser reads all files that belong to a user's tree.
func readUser(ctx context.Context, log *progress.Log, dir string) (entries []tree.Entry, err error) {
	step := log.Step("read the kernel tree " + dir)
	defer func() { step.End(err, "%d files", len(entries)) }()
	// A directory somewhere in the checkout of something else is a plain tree.
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err != nil {
		return tree.Entries(ctx, dir, plainFilter(dir))
	}
	names, err := checkoutFiles(ctx, dir)
	if err != nil {
		return nil, err
	}
	return tree.ReadEntries(ctx, dir, names)
}

// checkoutFiles returns the files of a git checkout, without ignored ones.
func checkoutFiles(ctx context.Context, dir string) (names []string, err error) {
	out, err := tree.Git(ctx, dir, nil, "ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		tag, name, _ := strings.Cut(line, " ")
		if tag == "M" {
			return nil, fmt.Errorf("a merge in it is not finished: %s has conflicts", name)
		}
		if tag == "S" {
			return nil, fmt.Errorf("it is a sparse checkout: name a revision of it instead, as %s@HEAD, or check all out: git sparse-checkout disable", dir)
		}
		info, err := os.Lstat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // deleted
		case err != nil:
			return nil, err
		case !info.IsDir(): // which is another repository in it
			names = append(names, name)
		}
	}
	return names, nil
}

// built are the files that a kernel build leaves in a tree that it was done
// in. The kernel refuses to be built elsewhere from a tree with some of them.
var built = regexp.MustCompile(`^(` + strings.Join([]string{
	`\.config(\.old)?`, `\.version`, `include/(config|generated)`, `arch/[^/]+/include/generated`,
	`vmlinux([.-][^/]*)?`, `System\.map`, `Module\.symvers`, `modules\.[^/]*`, `\.tmp_[^/]*`, `\.vmlinux[^/]*`,
	`arch/[^/]+/boot/(bzImage|Image(\.[^/]+)?)`,
	`(.*/)?[^/]*\.(o|a|ko|mod|mod\.c|order|symvers|lds|dtb|dtbo|lex\.c|tab\.[ch]|asn1\.[ch]|so|so\.dbg)`,
	`(.*/)?\.[^/]*\.(cmd|d)`,
}, "|") + `)$`)

// plainFilter returns which files of a plain tree are taken, nil for all.
func plainFilter(dir string) func(name string, isDir bool) bool {
	for _, mark := range []string{".config", "include/config", "include/generated"} {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(mark))); err == nil {
			return func(name string, _ bool) bool {
				return path.Base(name) != ".git" && !built.MatchString(name)
			}
		}
	}
	return nil
}

// notKernel says that a directory is not a kernel's source tree.
func notKernel(dir, why string) error {
	return exit.With(exit.Usage, fmt.Errorf("%s is not a kernel source tree: %s; name the directory that holds the kernel's top Makefile", dir, why))
}

// assignment is one of those that a kernel's Makefile begins with.
var assignment = regexp.MustCompile(`(?m)^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*?)[ \t]*$`)

// Version returns the version of the kernel tree in dir. Another directory is wrong use.
func Version(dir string) (string, error) {
	if _, err := os.Stat(filepath.Clean(dir) + "/."); err != nil {
		return "", notKernel(dir, err.Error())
	}
	for _, name := range []string{"Makefile", "Kconfig", "Kbuild", "virt/kvm/kvm_main.c", "include/linux/kvm_host.h"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return "", notKernel(dir, "it has no "+name)
		}
	}

	text, err := os.ReadFile(filepath.Join(dir, "Makefile"))
	if err != nil {
		return "", notKernel(dir, err.Error())
	}
	vars := map[string]string{}
	for _, m := range assignment.FindAllStringSubmatch(string(text), -1) {
		if _, later := vars[m[1]]; !later {
			vars[m[1]] = m[2]
		}
	}
	if vars["VERSION"] == "" || vars["PATCHLEVEL"] == "" {
		return "", notKernel(dir, "its Makefile sets no VERSION and PATCHLEVEL")
	}
	version := vars["VERSION"] + "." + vars["PATCHLEVEL"] + "." + vars["SUBLEVEL"]
	return strings.TrimSuffix(version, ".") + vars["EXTRAVERSION"], nil
}
