// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/arch"
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
	kindArea       = "kbuild"
	kindObjectArea = "kbuild-objects"

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
}

// Builder builds kernels. Its methods may be called by several goroutines:
// builds in the same work area wait for each other.
type Builder struct {
	Cache *cache.Cache
	// Progress shows what is being built; nil is silent.
	Progress *progress.Log
	// Jobs is the number of jobs that make runs at a time, 0 for one more
	// than there are processors.
	Jobs int
	// NoCCache leaves ccache alone where it is installed.
	NoCCache bool
}

// ccache says whether ccache is used.
func (b *Builder) ccache() bool {
	_, err := exec.LookPath("ccache")
	return err == nil && !b.NoCCache
}

// env returns the environment that builds get in addition.
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
	jobs := b.Jobs
	if jobs == 0 {
		jobs = runtime.NumCPU() + 1
	}
	log := filepath.Join(b.Cache.Dir(), dirLogs, kind+"-"+key[:16]+".log")
	if err := os.Remove(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return &makeRun{doing: doing, jobs: jobs, env: b.env(), log: log, step: step}, nil
}

// checkDir refuses a cache directory in which make cannot work.
func (b *Builder) checkDir() error {
	if dir := b.Cache.Dir(); strings.ContainsAny(dir, " \t:'\"$#%;&|()<>*?[]~\\") {
		return exit.With(exit.Usage, fmt.Errorf("kbuild cannot work below %q: the name has a space or another character that is special to make or a shell; set %s to another directory",
			dir, cache.EnvDir))
	}
	return nil
}

// build is one build of a tree in a work area.
type build struct {
	*Builder
	name      string // of the tree in progress and errors
	base      tree.Tree
	tree      tree.Tree
	changed   []string // paths in which the tree differs from base
	arch      arch.Arch
	config    Config // that is asked for
	toolchain Toolchain
	key       string // in the cache
	area      string // key of the work area
}

// newBuild collects what a build needs. The caller sets its keys.
func (b *Builder) newBuild(ctx context.Context, name string, t tree.Tree, a arch.Arch, fragments []string, compiler string) (*build, error) {
	if err := b.checkDir(); err != nil {
		return nil, err
	}
	config, err := ReadFragments(fragments...)
	if err != nil {
		return nil, err
	}
	toolchain, err := findToolchain(ctx, a, compiler, b.ccache())
	if err != nil {
		return nil, err
	}
	base, changed, err := findBase(t)
	if err != nil {
		return nil, err
	}
	return &build{Builder: b, name: name, base: base, tree: t, changed: changed, arch: a, config: config, toolchain: toolchain}, nil
}

// setKeys sets the keys of a build's result and of its work area from the kinds of
// both, what identifies the tree, and what the result depends on besides.
func (b *build) setKeys(kind, areaKind, areaPrefix string, tree, setup []string) {
	b.key = cache.Key(slices.Concat([]string{kind}, tree, setup)...)
	b.area = areaPrefix + "-" + cache.Key(slices.Concat([]string{areaKind, b.base.ID}, setup)...)[:16]
}

// populate returns the entry of the cache with the build's result.
func (b *build) populate(ctx context.Context, kind, doing string, fill func(ctx context.Context, tmp string) error) (dir string, hit bool, err error) {
	dir, hit, err = b.Cache.Populate(ctx, kind, b.key, fill)
	if err != nil {
		return "", false, b.Cache.Full(doing, err)
	}
	return dir, hit, b.markUsed(kind, b.key)
}

// prepare makes the work area ready for the tree, and returns a run of make
// without targets.
func (b *build) prepare(ctx context.Context, a *area, kind, doing string, step *progress.Step) (*makeRun, error) {
	step.Update("preparing the source tree")
	if _, err := a.switchTo(ctx, b.tree, b.changed); err != nil {
		return nil, err
	}
	m, err := b.newMake(doing, kind, b.key, step)
	if err != nil {
		return nil, err
	}
	m.dir = a.src
	m.vars = append([]string{"O=" + a.out, "ARCH=" + b.arch.Make}, b.toolchain.vars...)
	step.Update("configuring")
	return m, nil
}

// finalConfig reads the configuration that Kconfig made, in which nothing that
// was asked for may be missing.
func (b *build) finalConfig(a *area) (Config, error) {
	final, err := readConfig(filepath.Join(a.out, ".config"))
	if err != nil {
		return nil, err
	}
	dropped := b.config.dropped(final)
	if len(dropped) == 0 {
		return final, nil
	}
	explain(dropped, os.DirFS(a.src), b.arch.Source, final)
	return nil, &ConfigError{Arch: b.arch, Dropped: dropped}
}

// lockArea opens a work area, and makes room for it and for another entry of a
// kind.
func (b *Builder) lockArea(ctx context.Context, kind, areaKind, areaKey string) (*area, error) {
	if err := b.trim(ctx, kind, keep[kind]-1); err != nil {
		return nil, err
	}
	a, err := openArea(ctx, b.Cache, areaKind, areaKey)
	if err != nil {
		return nil, err
	}

	err = b.markUsed(areaKind, areaKey)
	if err == nil {
		err = b.trim(ctx, areaKind, keep[areaKind]) // this one is locked and stays
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// markUsed records that an entry was used now.
func (b *Builder) markUsed(kind, key string) error {
	now := time.Now()
	if err := os.Chtimes(b.Cache.Path(kind, key), now, now); err != nil {
		return fmt.Errorf("record the use of %s/%s: %w", kind, key, err)
	}
	return nil
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
	used := make(map[string]time.Time, len(keys))
	for _, key := range keys {
		// One that another process has just removed counts as oldest.
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
