// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
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

// version is part of every key: it is raised when this package builds
// something else of the same input.
const version = "1"

// Kinds of the entries that this package puts into the cache.
const (
	kindKernel    = "kernel"
	kindModule    = "module"
	kindSelftests = "selftests"
	dirLogs       = "log" // logs of builds, also of those that failed
	dirCCache     = "ccache"
)

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

func (b *Builder) jobs() int {
	if b.Jobs > 0 {
		return b.Jobs
	}
	return runtime.NumCPU() + 1
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
		// What is not found is compiled at once: preprocessing first, as
		// ccache does by itself, makes a first build a third longer.
		"CCACHE_DEPEND=1",
		"CCACHE_NOHASHDIR=1", // paths are mapped away, see reproducible
		// Source trees are only read; Python would write beside its scripts.
		"PYTHONDONTWRITEBYTECODE=1",
	}
}

// checkDir refuses a cache folder in which make cannot work.
func (b *Builder) checkDir() error {
	if dir := b.Cache.Dir(); strings.ContainsAny(dir, " \t:'\"$#%;&|()<>*?[]~\\") {
		return exit.With(exit.Usage, fmt.Errorf("kbuild cannot work below %q: the name has a space or another character that make or a shell takes apart; set %s to another folder",
			dir, cache.EnvDir))
	}
	return nil
}

// log returns the path of the log of a build. It stays when the build fails,
// and is replaced by the next build of the same.
func (b *Builder) log(kind, key string) string {
	return filepath.Join(b.Cache.Dir(), dirLogs, kind+"-"+key[:16]+".log")
}

// settled are settings on make's command line that keep the time and the
// machine of a build out of what it makes.
var settled = []string{
	"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026",
	"KBUILD_BUILD_USER=vcpulab",
	"KBUILD_BUILD_HOST=vcpulab",
	"KBUILD_BUILD_VERSION=1",
	"LOCALVERSION=",
	// The configuration records the version of a Rust compiler, of which
	// nothing here is built.
	"RUSTC=false",
}

// untracked has gcc track no variables for the debug information: it would
// take a twelfth of the time, and only a debugger that prints local variables
// would know. Clang does not know the options.
var untracked = []string{"-fno-var-tracking", "-fno-var-tracking-assignments"}

// reproducible are the settings on make's command line that keep the time,
// the machine and the paths of a build out of what it makes.
func (t Toolchain) reproducible(maps ...string) []string {
	flags := strings.Join(slices.Concat(t.flags, maps), " ")
	return slices.Concat(settled, []string{"KCFLAGS=" + flags, "KAFLAGS=" + flags})
}

// Build builds a kernel, or returns it from the cache. name is what the tree
// goes by in progress and errors: "base", "patched".
//
// A failed build gives an *Error; settings that Kconfig did not keep a
// *ConfigError; programs that the machine lacks a *MissingError. All have
// exit codes.
func (b *Builder) Build(ctx context.Context, name string, t tree.Tree, spec Spec) (*Kernel, error) {
	k, err := b.plan(ctx, name, t, spec)
	if err != nil {
		return nil, err
	}
	dir, _, err := b.Cache.Populate(ctx, kindKernel, k.key, k.fill)
	if err != nil {
		return nil, b.Cache.Full(k.doing(), err)
	}
	if err := used(b.Cache, kindKernel, k.key); err != nil {
		return nil, err
	}
	return k.load(dir)
}

// Built returns a kernel if it was built before, else nil.
func (b *Builder) Built(ctx context.Context, t tree.Tree, spec Spec) (*Kernel, error) {
	k, err := b.plan(ctx, "", t, spec)
	if err != nil {
		return nil, err
	}
	dir, ok := b.Cache.Lookup(kindKernel, k.key)
	if !ok {
		return nil, nil
	}
	return k.load(dir)
}

// plan says what is to be built, of what.
func (b *Builder) plan(ctx context.Context, name string, t tree.Tree, spec Spec) (*kernelBuild, error) {
	if err := b.checkDir(); err != nil {
		return nil, err
	}
	cfg, err := ReadFragments(spec.Fragments...)
	if err != nil {
		return nil, err
	}
	tc, err := findToolchain(ctx, spec, b.ccache())
	if err != nil {
		return nil, err
	}
	base, changed, err := root(t)
	if err != nil {
		return nil, err
	}
	setup := []string{version, spec.Arch.Uname, cfg.String(), tc.Compiler, tc.Linker, tc.Pahole}
	return &kernelBuild{
		Builder: b, name: name, tree: t, changed: changed, spec: spec, config: cfg, toolchain: tc,
		key:  cache.Key(append([]string{kindKernel, t.ID}, setup...)...),
		area: spec.Arch.Uname + "-" + cache.Key(append([]string{kindArea, base.ID}, setup...)...)[:16],
	}, nil
}

// load reads the kernel that is in the cache.
func (k *kernelBuild) load(dir string) (*Kernel, error) {
	kernel, err := loadKernel(dir)
	if err != nil {
		return nil, err
	}
	// The same tree may stand elsewhere than when the kernel was built.
	kernel.Tree = k.tree
	kernel.Toolchain.vars, kernel.Toolchain.flags = k.toolchain.vars, k.toolchain.flags
	return kernel, nil
}

// kernelBuild is one build of a kernel.
type kernelBuild struct {
	*Builder
	name      string
	tree      tree.Tree
	changed   []string // paths in which the tree differs from its base
	spec      Spec
	config    Config
	toolchain Toolchain
	key       string
	area      string // key of the work area
}

func (k *kernelBuild) doing() string {
	return fmt.Sprintf("build linux %s (%s) for %s", k.tree.Version, k.name, k.spec.Arch.Name)
}

// fill builds the kernel and puts it into tmp.
func (k *kernelBuild) fill(ctx context.Context, tmp string) (err error) {
	step := k.Progress.Step(fmt.Sprintf("build %s kernel for %s", k.name, k.spec.Arch.Name))
	defer func() { step.Fail(err) }()
	if err := trim(ctx, k.Cache, kindKernel, keepKernels-1); err != nil {
		return err
	}
	a, err := openArea(ctx, k.Cache, kindArea, k.area)
	if err != nil {
		return err
	}
	defer a.close()
	if err := used(k.Cache, kindArea, k.area); err != nil {
		return err
	}
	// This one is locked and stays.
	if err := trim(ctx, k.Cache, kindArea, keepAreas); err != nil {
		return err
	}

	start := time.Now()
	step.Update("preparing the source tree")
	if _, err := a.stand(ctx, k.tree, k.changed); err != nil {
		return err
	}
	m := k.make(a)
	m.step = step
	if err := os.Remove(m.log); err != nil && !os.IsNotExist(err) {
		return err
	}
	step.Update("configuring")
	final, err := k.configure(ctx, a, *m)
	if err != nil {
		return err
	}
	cold := !a.state.Started
	if cold {
		m.expected = k.spec.Arch.Steps
	}
	if err := a.run(ctx, m, false); err != nil {
		return err
	}
	kernel := &Kernel{
		Key: k.key, Arch: k.spec.Arch, Tree: k.tree, Toolchain: k.toolchain, ConfigHash: configHash(final),
		Steps: m.steps, Seconds: time.Since(start).Seconds(), Cold: cold,
	}
	step.Update("collecting what was built")
	if err := kernel.collect(a.out, tmp, m.log); err != nil {
		return fmt.Errorf("%s: collect what was built: %w", k.doing(), err)
	}
	step.Done("linux %s, %d steps", kernel.Release, m.steps)
	return nil
}

// make returns the run of make that builds everything.
//
// The output folder is in the source folder, where kbuild calls the source
// ".." and no path of the machine gets into its commands: ccache finds what
// was compiled for another work area. The one that is left is the folder in
// which the compiler runs, which the debug information would name.
func (k *kernelBuild) make(a *area) *makeRun {
	vars := []string{"O=" + a.out, "ARCH=" + k.spec.Arch.Make}
	vars = append(vars, k.toolchain.vars...)
	vars = append(vars, k.toolchain.reproducible("-ffile-prefix-map=../=", "-fdebug-prefix-map="+a.out+"=.")...)
	targets := []string{"vmlinux"}
	if k.spec.Arch.ImageTarget != "vmlinux" {
		targets = append(targets, k.spec.Arch.ImageTarget)
	}
	return &makeRun{
		doing: k.doing(), dir: a.src, vars: vars, targets: append(targets, "modules"),
		jobs: k.jobs(), env: k.env(), log: k.log(kindKernel, k.key),
	}
}

// configure makes .config: everything off that can be off, but for what the
// fragments say. A .config that comes out the same is not touched, so that
// nothing is rebuilt because of it.
func (k *kernelBuild) configure(ctx context.Context, a *area, m makeRun) (Config, error) {
	fragment := filepath.Join(a.dir, "fragment.config")
	if err := os.WriteFile(fragment, []byte(k.config.String()), 0o644); err != nil {
		return nil, fmt.Errorf("%s: %w", k.doing(), err)
	}
	m.doing = "configure " + strings.TrimPrefix(m.doing, "build ")
	m.vars = append(append([]string(nil), m.vars...), "KCONFIG_ALLCONFIG="+fragment)
	m.targets = []string{"allnoconfig"}
	if err := a.run(ctx, &m, true); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(a.out, ".config"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}
	defer f.Close()
	final, err := ParseConfig(f.Name(), f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}
	dropped := k.config.dropped(final)
	if len(dropped) == 0 {
		return final, nil
	}
	explain(dropped, a.src, k.spec.Arch, final)
	return nil, &ConfigError{Arch: k.spec.Arch, Dropped: dropped}
}

// Hash returns the SHA-256 of the configuration without its comments, in
// hexadecimal.
func (c Config) Hash() string { return configHash(c) }

// configHash returns the SHA-256 of a configuration without its comments.
func configHash(c Config) string {
	h := sha256.Sum256([]byte(c.String()))
	return hex.EncodeToString(h[:])
}
