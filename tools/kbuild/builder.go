// SPDX-License-Identifier: GPL-2.0-only

// Package kbuild builds kernels, modules against them, and the kernel's own
// KVM selftests.
//
// [Builder.Build] makes a [Kernel] of a source tree and a configuration. It is
// kept in the cache under a key of everything that went into it: the tree, the
// configuration fragments, the compiler and this package's way of building. A
// kernel that was built before is returned at once.
//
// # The work area
//
// Trees that were made from the same base share a work area for each
// configuration: a directory src, whose files are hard links to the base's, and
// a directory out, where kbuild works. To build another tree, only the files in
// which it differs from what is in src are replaced, by files with a new
// modification time, so that kbuild rebuilds what depends on them and nothing
// else. A file beside them says which tree is in src. It is written before the
// first file is replaced, so that the next build notices an interruption.
//
// # Objects
//
// [Builder.Objects] compiles KVM alone, for architectures whose kernels are
// not booted here, and has work areas of its own. make prints nothing about
// targets that it does not make: the state of the work area has the warnings
// about each from when it was made. Nothing is linked; symbols that one of KVM's
// modules takes from another that does not export them are found in their objects.
// [ObjectSpec.Spare] keeps make from making what only includes a header that has
// changed, without mentioning what has: package header tells.
//
// # External modules
//
// A [Kernel] has what external modules are built against, as a distribution's
// package of kernel headers does. So [Builder.BuildModule] can build modules
// against any kernel in the cache, whatever is in the work area, and several at
// a time.
//
// # Reproducible
//
// Time, user, host and version number in the image are fixed, the paths of
// source and work area are mapped away, and the type information is made by
// one thread. The same tree, fragments and tools give the same bytes in
// another cache directory, built from nothing or on top of another kernel:
// TestRealReproduce checks that.
package kbuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// version is part of every key. It is raised when this package starts to build
// something else of the same input.
const version = "1"

// Kinds of the entries that this package puts into the cache.
const (
	kindKernel    = "kernel"
	kindObjects   = "objects"
	kindModule    = "module"
	kindSelftests = "selftests"
	// Work areas change, under their lock.
	kindArea          = "kbuild"
	kindObjectArea    = "kbuild-objects"
	kindElsewhereArea = "kbuild-elsewhere"

	dirLogs   = "log" // logs of builds, including failed ones
	dirCCache = "ccache"
)

// keep is how many entries of a kind are kept. A kernel takes 120 MB, a work area
// 1.2 GB; each change of a patch makes another kernel, each change of a fragment
// another one of both.
var keep = map[string]int{
	kindKernel: 64,
	kindArea:   8,
	// Several times as many as a series of 50 patches has cells in ci/matrix.
	// They are small.
	kindObjects: 4000,
	// More than there are columns in ci/matrix: as long as a column has its
	// own, only what a patch changes is compiled.
	kindObjectArea: 16,
	// Those of other kernels than the pinned one are not to push these out. Few are
	// used again.
	kindElsewhereArea: 4,
}

// Builder builds kernels. Its methods may be called by several goroutines:
// builds in the same work area wait for each other.
type Builder struct {
	Cache    *cache.Cache
	Progress *progress.Log // shows what is being built; nil is silent
	Jobs     int           // that make runs at a time, 0 for one more than there are processors
}

func (b *Builder) env() []string {
	return []string{
		"CCACHE_DIR=" + filepath.Join(b.Cache.Dir(), dirCCache),
		"CCACHE_MAXSIZE=2G",
		"CCACHE_COMPRESSLEVEL=1",
		// Misses are compiled at once: preprocessing first, ccache's default,
		// makes a first build a third longer.
		"CCACHE_DEPEND=1",
		"CCACHE_NOHASHDIR=1", // paths are mapped away, see reproducible
		// Source trees are only read; Python would write beside its scripts.
		"PYTHONDONTWRITEBYTECODE=1",
	}
}

// settled are settings on make's command line that keep the time and the
// machine of a build out of what it makes.
var settled = []string{
	"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026",
	"KBUILD_BUILD_USER=vcpulab",
	"KBUILD_BUILD_HOST=vcpulab",
	"KBUILD_BUILD_VERSION=1",
	"LOCALVERSION=",
	// The configuration records the version of a Rust compiler, with which
	// nothing here is built.
	"RUSTC=false",
}

// reproducible are the settings on make's command line that keep the time,
// the machine and the paths of a build out of what it makes.
func (t Toolchain) reproducible(maps ...string) []string {
	flags := strings.Join(slices.Concat(t.flags, maps), " ")
	return slices.Concat(settled, []string{"KCFLAGS=" + flags, "KAFLAGS=" + flags})
}

// newMake returns a run of make whose log is named for an entry of the cache. The
// log of an earlier run is removed; this one stays even if the build fails.
func (b *Builder) newMake(doing, kind, key string, step *progress.Step) (*makeRun, error) {
	if dir := b.Cache.Dir(); strings.ContainsAny(dir, " \t:'\"$#%;&|()<>*?[]~\\") {
		return nil, exit.With(exit.Usage, fmt.Errorf("kbuild cannot work below %q: the name has a space or another character that is special to make or a shell; set %s to another directory",
			dir, cache.EnvDir))
	}
	log := filepath.Join(b.Cache.Dir(), dirLogs, kind+"-"+key[:16]+".log")
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return &makeRun{doing: doing, jobs: cmp.Or(b.Jobs, runtime.NumCPU()+1), env: b.env(), log: log, step: step}, nil
}

// build is one build of a tree, in a work area unless it leaves nothing to build
// on.
type build struct {
	*Builder
	Spec
	verb, what string // "build", "linux 7.3.4 (patched) for s390x"
	tree, base tree.Tree
	changed    []string // paths in which the tree differs from base
	config     Config   // that is asked for
	toolchain  Toolchain
	kind, key  string // in the cache

	areaKind, areaKey string
}

// newBuild collects what a build needs. The caller sets its keys.
func (b *Builder) newBuild(ctx context.Context, kind, verb, what string, t tree.Tree, spec Spec) (*build, error) {
	o := &build{Builder: b, Spec: spec, kind: kind, verb: verb, what: what, tree: t}
	var err error
	if o.config, err = ReadFragments(spec.Fragments...); err != nil {
		return nil, err
	}
	if o.toolchain, err = findToolchain(ctx, spec.Arch, spec.Compiler); err != nil {
		return nil, err
	}
	o.base, o.changed, err = t.Root()
	return o, err
}

func (b *build) doing() string { return b.verb + " " + b.what }

// setKeys sets the keys of a build's result and of its work area from the kind of
// the latter, what identifies the tree, and what the result depends on besides.
func (b *build) setKeys(areaKind, areaPrefix string, tree, setup []string) {
	b.key = cache.Key(slices.Concat([]string{b.kind}, tree, setup)...)
	b.areaKind, b.areaKey = areaKind, areaPrefix+"-"+cache.Key(slices.Concat([]string{areaKind, b.base.ID}, setup)...)[:16]
}

// populate returns the entry of the cache with the build's result. fill makes it in
// tmp, in the work area that has the tree, with a run of make without targets.
func (b *build) populate(ctx context.Context, fill func(ctx context.Context, a *area, m *makeRun, tmp string) error) (dir string, hit bool, err error) {
	dir, hit, err = b.Cache.Populate(ctx, b.kind, b.key, func(ctx context.Context, tmp string) (err error) {
		step := b.Progress.Step(b.doing())
		defer func() { step.Fail(err) }()
		if err := tree.Unedited(ctx, b.Cache, b.base); err != nil {
			return err
		}
		m, err := b.newMake(b.doing(), b.kind, b.key, step)
		if err != nil {
			return err
		}
		a, err := b.lockArea(ctx)
		if err != nil {
			return err
		}
		defer a.close()

		step.Update("preparing the source tree")
		if _, err := a.switchTo(ctx, b.base, b.tree, b.changed); err != nil {
			return err
		}
		m.dir = a.src
		m.vars = append([]string{"O=" + a.out, "ARCH=" + b.Arch.Make}, b.toolchain.vars...)
		step.Update("configuring")
		return fill(ctx, a, m, tmp)
	})
	if err != nil {
		return "", false, b.Cache.Full(b.doing(), err)
	}
	return dir, hit, nil
}

// finalConfig reads the configuration that Kconfig made, in which nothing that
// was asked for may be missing.
func (b *build) finalConfig(a *area, asked Config) (Config, error) {
	final, err := readConfig(filepath.Join(a.out, ".config"))
	if err != nil {
		return nil, err
	}
	others, err := asked.checkKept(final, os.DirFS(a.src), b.Arch.Source, b.ForAnother)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", b.Arch.Name, err)
	}
	var list []string
	for _, s := range others {
		list = append(list, strings.TrimPrefix(s.Symbol, "CONFIG_")+"="+s.Value)
	}
	if len(list) > 0 {
		b.Progress.Printf("linux %s for %s is configured otherwise: %s", b.tree.Version, b.Arch.Name, strings.Join(list, " "))
	}
	return final, nil
}

// lockArea opens the work area, and makes room for it and for another result.
func (b *build) lockArea(ctx context.Context) (*area, error) {
	if err := b.trim(ctx, b.kind, keep[b.kind]-1); err != nil {
		return nil, err
	}
	a, err := openArea(ctx, b.Cache, b.areaKind, b.areaKey)
	if err != nil {
		return nil, err
	}

	if err := b.trim(ctx, b.areaKind, keep[b.areaKind]); err != nil { // this one is locked and stays
		a.close()
		return nil, err
	}
	return a, nil
}

// trimPatience is how long trim waits for an entry that is in use before it
// leaves it alone.
const trimPatience = 100 * time.Millisecond

// trim removes the least recently used entries of a kind until n are left. Those
// that are locked stay.
func (b *Builder) trim(ctx context.Context, kind string, n int) error {
	keys, err := b.Cache.Keys(kind)
	if err != nil || len(keys) <= n {
		return err
	}
	// The cache sets the time of entries that are used, and the state of a work area
	// is replaced when it is. One that was just removed counts as oldest.
	used := make(map[string]time.Time, len(keys))
	for _, key := range keys {
		if info, err := os.Stat(b.Cache.Path(kind, key)); err == nil {
			used[key] = info.ModTime()
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return used[b].Compare(used[a]) })

	for _, key := range keys[n:] {
		short, cancel := context.WithTimeout(ctx, trimPatience)
		err := b.Cache.Remove(short, kind, key)
		locked := short.Err() != nil
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil && !locked {
			return fmt.Errorf("make room for another build: %w", err)
		}
	}
	return nil
}
