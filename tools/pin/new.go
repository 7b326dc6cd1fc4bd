// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// usualSuites are Debian's suites that a package is looked for in after those
// of the pins that there are.
var usualSuites = []string{"stable", "stable-backports", "testing", "unstable", "experimental"}

// New makes the file of a pin for a kernel version that Debian packages, with
// the blob ids of the files that the package's own rule names and of touched.
// The package is looked for in a suite or, if that is "", in those of the other
// pins and in the usual ones. missing are the files of touched that this
// kernel does not have.
func New(ctx context.Context, dir, version, suite string, touched []string, opts FetchOptions) (file string, missing []string, err error) {
	version = kernelVersion(version)
	if !versionRE.MatchString(version) {
		return "", nil, exit.With(exit.Usage, fmt.Errorf("%q is not a kernel's version, such as 6.12.1", version))
	}
	file = filepath.Join(dir, filePrefix+version+fileSuffix)
	if _, err := os.Lstat(file); err == nil {
		return "", nil, exit.With(exit.Usage, fmt.Errorf("%s exists already; vcpulab --pin %s pin update updates its blob ids", file, version))
	}
	if opts.Client == nil {
		opts.Client = newClient(ctx)
	}
	if opts.Sites, err = mirrors(ctx, opts.Sites); err != nil {
		return "", nil, err
	}

	in := []string{suite}
	if suite == "" {
		in = append(suites(dir), usualSuites...)
	}
	found, err := findPackage(ctx, &opts, version, in)
	if err != nil {
		return "", nil, err
	}
	head := newHead(version, found)
	p := &Pin{Version: version, File: file, Sources: []Source{debianSource(found)}}
	opts.Unverified = true
	t, err := p.Fetch(ctx, opts)
	if err != nil {
		return "", nil, err
	}
	data, missing, err := Regenerate([]byte(head), t.Dir, touched...)
	if err == nil {
		_, err = Parse(file, data)
	}
	if err == nil {
		err = os.WriteFile(file, data, 0o644)
	}
	return file, missing, err
}

// Update brings the blob ids of a pin file up to date with the kernel that it
// pins, see [Regenerate], and reports whether that changed the file.
func (p *Pin) Update(ctx context.Context, touched []string, opts FetchOptions) (changed bool, missing []string, err error) {
	opts.Unverified = true
	t, err := p.Fetch(ctx, opts)
	if err != nil {
		return false, nil, err
	}
	old, err := os.ReadFile(p.File)
	if err != nil {
		return false, nil, err
	}
	data, missing, err := Regenerate(old, t.Dir, touched...)
	if err != nil || string(data) == string(old) {
		return false, missing, err
	}
	return true, missing, os.WriteFile(p.File, data, 0o644)
}

// kernelVersion returns the version that a kernel's Makefile has, of what
// Debian ("7.3.4-1~bpo13+1", "7.3~rc7-1~exp1") or a person ("7.3", "7.3-rc7")
// calls it.
func kernelVersion(name string) string {
	name = strings.Replace(name, "-rc", "~rc", 1)
	name, _, _ = strings.Cut(name, "-") // Debian's revision
	release, candidate, isCandidate := strings.Cut(name, "~")
	if strings.Count(release, ".") == 1 {
		release += ".0"
	}
	if isCandidate {
		release += "-" + candidate
	}
	return release
}

// findPackage returns the package with the source of a kernel version.
func findPackage(ctx context.Context, opts *FetchOptions, version string, suites []string) (Package, error) {
	step := opts.Log.Step("look for a package of linux-" + version)
	var failed error
	var others []string
	for _, suite := range suites {
		step.Update("%s", suite)
		list, err := sourcesIn(ctx, opts.Client, opts.Sites, suite)
		if ctx.Err() != nil {
			err = ctx.Err()
			step.Fail(err)
			return Package{}, err
		}
		if err != nil {
			failed = errors.Join(failed, err)
		}
		// The newest revision comes last.
		for _, p := range slices.Backward(list) {
			v := kernelVersion(p.Version)
			if v == version {
				step.Done("%s %s in %s", p.Name, p.Version, suite)
				return p, nil
			}
			if !slices.Contains(others, v) {
				others = append(others, v)
			}
		}
	}

	err := exit.With(exit.MachineLacks, fmt.Errorf("the mirrors have no package of linux-%s in %s", version, strings.Join(suites, ", ")))
	switch {
	case len(others) > 0:
		err = exit.With(exit.Usage, fmt.Errorf("%w; they have: %s", err, strings.Join(others, ", ")))
	case failed != nil:
		err = fmt.Errorf("%w: %w", err, failed)
	}
	step.Fail(err)
	return Package{}, err
}

func debianSource(p Package) Source {
	return Source{
		Kind: Debian, Package: p.Name, PackageVersion: p.Version, Suite: p.Suite,
		Path: p.Path, Member: "usr/src/" + p.Name + ".tar.xz", Size: p.Size, SHA256: p.SHA256,
	}
}

// upstreamLimit is the most that is downloaded of an upstream tarball, in
// bytes.
const upstreamLimit = 300_000_000

// newHead returns a pin file up to its blob ids.
func newHead(version string, p Package) string {
	s := debianSource(p)
	var b strings.Builder
	fmt.Fprintf(&b, `# SPDX-License-Identifier: GPL-2.0-only
#
# Made by vcpulab pin new %s.

version = %q

# Sources are tried in this order, after a tree that the user names. The mirror
# is the machine's own, and the suite need not be among its apt sources.
[[source]]
kind = %q
package = %q
package-version = %q
suite = %q
path = %q
member = %q
size = %d
sha256 = %q
`, version, version, s.Kind, s.Package, s.PackageVersion, s.Suite, s.Path, s.Member, s.Size, s.SHA256)

	// Release candidates have no tarball.
	if !strings.Contains(version, "-rc") {
		major, _, _ := strings.Cut(version, ".")
		where := "https://cdn.kernel.org/pub/linux/kernel/v" + major + ".x/"
		fmt.Fprintf(&b, `
# The tarball is checked against the sums that are published beside it, over
# TLS, and then by the blob ids. size is the most that is accepted.
[[source]]
kind = %q
url = %q
sums = %q
size = %d
`, Upstream, where+"linux-"+strings.TrimSuffix(version, ".0")+".tar.xz", where+"sha256sums.asc", upstreamLimit)
	}
	return b.String() + "\n" + generatedMark + "\n"
}
