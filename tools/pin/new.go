// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// usualSuites are where a package is looked for after the suites of the pins.
var usualSuites = []string{"stable", "stable-backports", "testing", "unstable", "experimental"}

// upstreamLimit is the most that is downloaded of an upstream tarball, in bytes.
const upstreamLimit = 300_000_000

// New makes the file of a pin for a kernel version that Debian packages, with the blob ids of
// the files that matter and of those of touched that this kernel has: missing are the others.
// A suite of "" stands for those of the other pins and the usual ones.
func New(ctx context.Context, dir, version, suite string, touched []string, opts FetchOptions) (file string, missing []string, err error) {
	version = kernelVersion(version)
	if !versionRE.MatchString(version) {
		return "", nil, exit.With(exit.Usage, fmt.Errorf("%q is not a kernel's version, such as 6.12.1", version))
	}
	file = filepath.Join(dir, filePrefix+version+fileSuffix)
	if _, err := os.Lstat(file); err == nil {
		return "", nil, exit.With(exit.Usage, fmt.Errorf("%s exists already; vcpulab --pin %s pin update updates its blob ids", file, version))
	}
	suites := []string{suite}
	if suite == "" {
		suites = usedSuites(dir)
	}
	missing, err = create(ctx, file, version, suites, touched, opts)
	return file, missing, err
}

// create makes the file of a pin for a kernel version that a package in one of suites has.
func create(ctx context.Context, file, version string, suites, touched []string, opts FetchOptions) (missing []string, err error) {
	opts.setDefaults()
	if opts.Sites, err = mirrors(ctx, opts.Sites); err != nil {
		return nil, err
	}
	found, err := findPackage(ctx, &opts, version, suites)
	if err != nil {
		return nil, err
	}
	p := &Pin{Version: version, File: file, Sources: []Source{found}}
	// Release candidates have no tarball.
	if !strings.Contains(version, "-rc") {
		major, _, _ := strings.Cut(version, ".")
		where := "https://cdn.kernel.org/pub/linux/kernel/v" + major + ".x/"
		p.Sources = append(p.Sources, Source{
			Kind: Upstream, URL: where + "linux-" + strings.TrimSuffix(version, ".0") + ".tar.xz", Sums: where + "sha256sums.asc", Size: upstreamLimit,
		})
	}
	sources, err := toml.Marshal(struct {
		Source []Source `toml:"source"`
	}{p.Sources})
	if err != nil {
		return nil, err
	}
	_, missing, err = p.write(ctx, fmt.Appendf(nil, head, version, version, sources, generatedMark), touched, opts)
	return missing, err
}

// Update brings the blob ids of a pin file up to date with the kernel that it pins, and reports
// whether that changed the file. missing are as in New.
func (p *Pin) Update(ctx context.Context, touched []string, opts FetchOptions) (changed bool, missing []string, err error) {
	old, err := os.ReadFile(p.File)
	if err != nil {
		return false, nil, err
	}
	return p.write(ctx, old, touched, opts)
}

// write writes the pin file, whose content so far is old, with the blob ids of its kernel.
func (p *Pin) write(ctx context.Context, old []byte, touched []string, opts FetchOptions) (changed bool, missing []string, err error) {
	unverified := *p
	unverified.Blobs = Blobs{}
	t, err := unverified.Fetch(ctx, opts)
	if err == nil {
		err = tree.Unedited(ctx, opts.Cache, t)
	}
	if err != nil {
		return false, nil, err
	}
	data, missing, err := regenerate(ctx, old, t.Dir, touched...)
	if err != nil || bytes.Equal(data, old) {
		return false, missing, err
	}
	if _, err := Parse(p.File, data); err != nil {
		return false, nil, err
	}
	return true, missing, renameio.WriteFile(p.File, data, 0o644)
}

// kernelVersion returns the version that a kernel's Makefile has, of what Debian
// ("7.3.4-1~bpo13+1", "7.3~rc7-1~exp1") or a person ("7.3", "7.3-rc7") calls it.
func kernelVersion(name string) string {
	m := versionPart.FindStringSubmatch(name)
	if m == nil {
		return name
	}
	return m[1] + cmp.Or(m[2], ".0") + strings.Replace(m[3], "~", "-", 1)
}

// versionPart is what stands before Debian's revision.
var versionPart = regexp.MustCompile(`^(\d+\.\d+)(\.\d+)?([-~]rc[^-~]*)?([-~+].*)?$`)

// usedSuites returns the suites that the pins in dir have packages from, and the usual ones.
func usedSuites(dir string) (all []string) {
	for _, l := range List(dir) {
		if p, err := Load(l.File); err == nil {
			for _, s := range p.Sources {
				if s.Suite != "" && !slices.Contains(all, s.Suite) {
					all = append(all, s.Suite)
				}
			}
		}
	}
	return append(all, usualSuites...)
}

// findPackage returns the package with the source of a kernel version.
func findPackage(ctx context.Context, opts *FetchOptions, version string, suites []string) (found Source, err error) {
	step := opts.Log.Step("look for a package of linux-" + version)
	defer func() { step.End(err, "%s in %s", &found, found.Suite) }()

	var failed error
	var others []string
	for _, suite := range suites {
		step.Update("%s", suite)
		list, err := opts.sourcesIn(ctx, opts.Sites, suite)
		if ctx.Err() != nil {
			return Source{}, ctx.Err()
		}
		failed = errors.Join(failed, err)
		// The newest revision comes last.
		for _, s := range slices.Backward(list) {
			v := kernelVersion(s.PackageVersion)
			if v == version {
				return s, nil
			}
			if !slices.Contains(others, v) {
				others = append(others, v)
			}
		}
	}

	err = fmt.Errorf("the mirrors have no package of linux-%s in %s", version, strings.Join(suites, ", "))
	if len(others) > 0 {
		return Source{}, exit.With(exit.Usage, fmt.Errorf("%w; they have: %s", err, strings.Join(others, ", ")))
	}
	return Source{}, exit.With(exit.MachineLacks, errors.Join(err, failed))
}

// head is a pin file up to its blob ids.
const head = `# SPDX-License-Identifier: GPL-2.0-only
#
# Made by vcpulab pin new %s.

version = %q

# Sources are tried in this order, after a tree that the user names. The mirror
# is the machine's own, and the suite need not be among its apt sources. An
# upstream tarball is checked against the sums that are published beside it,
# over TLS, and then by the blob ids; its size is the most that is accepted.
%s
%s
`

// generatedMark begins the part of a pin file that regenerate writes.
const generatedMark = "# Generated from the pinned tree from here on:"

// pinnedFiles says which files of a kernel the series touches or builds on:
// KVM on every architecture and its interface, the containers and the RCU
// that it uses, its selftests and documentation, and the kernel's own
// programs that judge patches.
var pinnedFiles = regexp.MustCompile(`^(` + strings.Join([]string{
	`virt/.*`,
	`arch/(` + strings.Join(arch.Sources(), "|") + `)/kvm/.*`,
	`arch/(` + strings.Join(arch.Sources(), "|") + `)/include/(uapi/)?asm/kvm[^/]*`,
	`include/kvm/.*`,
	`include/(linux|uapi/linux|trace/events)/kvm[^/]*\.h`,
	`include/linux/(xarray|idr|radix-tree|hashtable|rhashtable|rhashtable-types|list|rculist|rcupdate|rcutree|rcutiny|srcu|srcutree|srcutiny|nospec)\.h`,
	`lib/(xarray|idr|radix-tree|rhashtable)\.c`,
	`kernel/rcu/.*`,
	`Documentation/virt/kvm/.*`,
	`Documentation/process/maintainer-kvm-x86\.rst`,
	`tools/testing/selftests/kvm/.*`,
	`tools/testing/selftests/lib\.mk`,
	`tools/testing/(radix-tree|shared)/.*`,
	`scripts/(checkpatch\.pl|get_maintainer\.pl|spelling\.txt|const_structs\.checkpatch)`,
	`MAINTAINERS`,
	`Makefile`,
}, "|") + `)$`)

// generatedLine is a file in that part.
var generatedLine = regexp.MustCompile(`(?m)^"([^"]+)" = "[0-9a-f]{40}"$`)

// ignored are files that lie beside sources and do not matter here.
var ignored = regexp.MustCompile(`(^|/)(\.gitignore|\.gitattributes)$`)

// regenerate returns the content of the pin file old, what stands above the generated part kept,
// with the blob ids of the tree in dir: of pinnedFiles, of touched, but for those that are
// missing there, and of those that old has.
//
// The times of the files in dir have to be those of the package or the tarball: they show which
// files Debian has patched, because a tarball has one time for all, and Debian patches few.
func regenerate(ctx context.Context, old []byte, dir string, touched ...string) (data []byte, missing []string, err error) {
	head, rest, ok := bytes.Cut(old, []byte(generatedMark))
	if !ok {
		return nil, nil, fmt.Errorf("regenerate the pin: the file has no line %q", generatedMark)
	}
	wanted := map[string]bool{}
	for _, name := range touched {
		wanted[name] = true
	}
	for _, m := range generatedLine.FindAllSubmatch(rest, -1) {
		wanted[string(m[1])] = true
	}
	entries, err := tree.Entries(ctx, dir, func(name string, isDir bool) bool {
		return isDir || wanted[name] || pinnedFiles.MatchString(name) && !ignored.MatchString(name)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("regenerate the pin: %w", err)
	}

	entries = slices.DeleteFunc(entries, func(e tree.Entry) bool { return e.Mode == tree.ModeSymlink })
	times := map[string]int64{} // of the files
	count := map[int64]int{}    // of the files with that time
	release := int64(0)         // the time that most files have
	for _, e := range entries {
		info, err := os.Lstat(filepath.Join(dir, e.Path))
		if err != nil {
			return nil, nil, fmt.Errorf("regenerate the pin: %w", err)
		}
		time := info.ModTime().Unix()
		times[e.Path] = time
		if count[time]++; count[time] > count[release] {
			release = time
		}
	}
	if len(times) == 0 {
		return nil, nil, notKernel(dir, "it has none of the files that are pinned")
	}
	for _, name := range touched {
		if _, ok := times[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}

	var all, debian []byte
	for _, e := range entries {
		table := &all
		if times[e.Path] != release {
			table = &debian
		}
		*table = fmt.Appendf(*table, "%q = %q\n", e.Path, e.Blob)
	}
	data = fmt.Appendf(bytes.Clone(head), "%s\n# vcpulab pin update\n\n# the same in every source\n[blobs.all]\n%s", generatedMark, all)
	if debian != nil {
		data = fmt.Appendf(data, "\n# patched by Debian: verified in its package only\n[blobs.debian]\n%s", debian)
	}
	return data, missing, nil
}
