// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// UserOptions say how a user's own tree is taken. Only Cache is needed.
type UserOptions struct {
	// Cache is where it is copied to, unless the same content is there.
	Cache *cache.Cache
	// Log shows the progress; nil is silent.
	Log *progress.Log
	// Files are the paths that the series touches, to compare with the pin.
	// None means all pinned files.
	Files []string
}

// userKind is the kind of the cache entries of users' trees.
const userKind = "user"

// UserTree returns a copy of the kernel tree in dir, which is the user's own:
// a plain tree, or a git checkout at any commit and with local changes. dir is
// only read, and no link to a file of it is made.
//
// Of a git checkout the tracked files and the new ones that git does not
// ignore are taken, of a plain tree all files but those that a build left
// there. The ID of the tree is git's id of that content.
//
// differs says how far it is from the pin: the files of opts.Files that are
// not as the pin has them. That is no error. A folder that is no kernel tree
// gives a *NotKernelError.
func UserTree(ctx context.Context, p *Pin, dir string, opts UserOptions) (t tree.Tree, differs []Mismatch, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return t, nil, fmt.Errorf("take the kernel tree %s: %w", dir, err)
	}
	version, err := Version(dir)
	if err != nil {
		return t, nil, err
	}
	if err := opts.Cache.CheckOutside(dir); err != nil {
		return t, nil, err
	}
	differs, err = p.Diff(ctx, dir, opts.Files...)
	if err != nil {
		return t, nil, err
	}
	entries, id, err := readUser(ctx, opts.Log, dir)
	if err != nil {
		return t, nil, err
	}
	entry, hit, err := opts.Cache.Populate(ctx, userKind, id, func(ctx context.Context, tmp string) (err error) {
		doing := "copy the kernel tree " + dir
		if err := opts.Cache.Need(doing, unpackedBytes); err != nil {
			return err
		}
		step := opts.Log.Step(doing)
		defer func() { step.End(err, "%d files", len(entries)) }()
		to := filepath.Join(tmp, treeName)
		if err := tree.CopyEntries(ctx, dir, to, entries); err != nil {
			return opts.Cache.Full(doing, err)
		}
		return tree.Save(tree.Tree{Dir: to, ID: id, Version: version})
	})
	if err != nil {
		return t, nil, err
	}
	t, err = tree.Load(filepath.Join(entry, treeName))
	if err == nil && hit {
		err = p.verifyCopy(ctx, entry, entries)
	}
	return t, differs, err
}

// verifyCopy compares the pinned files of a copy in the cache with what was
// read of the user's tree.
func (p *Pin) verifyCopy(ctx context.Context, entry string, entries []tree.Entry) error {
	want := map[string]string{}
	for _, e := range entries {
		if _, pinned := p.BlobID(e.Path); pinned {
			want[e.Path] = e.Blob
		}
	}
	bad, err := diff(ctx, filepath.Join(entry, treeName), want)
	if err == nil && len(bad) > 0 {
		err = &ContentError{Tree: filepath.Join(entry, treeName), Files: bad, Next: removeHint(entry)}
	}
	return err
}

// readUser reads all files that belong to a user's tree and returns them with
// git's id of the tree.
func readUser(ctx context.Context, log *progress.Log, dir string) (entries []tree.Entry, id string, err error) {
	step := log.Step("read the kernel tree " + dir)
	defer func() { step.End(err, "%d files", len(entries)) }()
	if isCheckout(dir) {
		var names []string
		if names, err = checkoutFiles(ctx, dir); err != nil {
			return nil, "", err
		}
		entries, err = tree.ReadEntries(ctx, dir, names)
	} else {
		entries, err = tree.Entries(ctx, dir, plainFilter(dir))
	}
	if err != nil {
		return nil, "", err
	}
	id, err = tree.GitID(entries)
	return entries, id, err
}

// checkoutFiles returns the files of a git checkout as they lie there: those
// tracked and not deleted, and new ones that are not ignored.
func checkoutFiles(ctx context.Context, dir string) ([]string, error) {
	out, err := git(ctx, dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return nil, fmt.Errorf("read the kernel tree: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the kernel tree: %w", err)
	}
	defer root.Close()
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		info, err := root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // deleted, or left out by a sparse checkout
		case err != nil:
			return nil, fmt.Errorf("read the kernel tree %s: %w", dir, err)
		case info.IsDir():
			continue // another repository in it
		}
		names = append(names, name)
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
