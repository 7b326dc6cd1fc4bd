// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// ObjectSpec says how KVM's objects are compiled.
type ObjectSpec struct {
	// Name tells specifications apart, "s390x".
	Name string
	Arch arch.Arch
	// Defconfig is the target of make that gives the configuration to begin
	// with, Fragments are put on top of it.
	Defconfig string
	Fragments []string
	// Compiler is GCC (or ""), "clang" or "clang-<version>".
	Compiler string
	// WithoutSparse is why sparse is not used for it; "" if it is.
	WithoutSparse string
}

// Objects is what was found when KVM's objects were compiled, with W=1 and
// sparse. The objects themselves stay in the work area.
type Objects struct {
	// Name is the specification's, Tree what was compiled.
	Name string    `json:"name"`
	Tree tree.Tree `json:"tree"`
	// Warnings are those of all objects, also of such as were compiled for
	// another tree and have not changed since.
	Warnings []Warning `json:"warnings"`
	// Made is the number of KVM's targets that were made this time, All that
	// of all. None is made of a tree that differs from another in nothing that
	// they depend on.
	Made int `json:"made"`
	All  int `json:"all"`
	// Seconds is how long that took.
	Seconds   float64   `json:"seconds"`
	Toolchain Toolchain `json:"toolchain"`
	// Checker is sparse's version, CheckCommand how it was called; "" if the
	// specification is without sparse.
	Checker      string `json:"checker"`
	CheckCommand string `json:"checkCommand"`
	ConfigHash   string `json:"configHash"`
	// Log is the absolute path of make's output.
	Log string `json:"-"`
	// Cached says that it was found before, not this time.
	Cached bool `json:"-"`
}

const (
	kindObjects = "objects"
	// objectVersion goes into the keys: it is raised when the same tree would
	// be compiled otherwise, or something else be said of it.
	objectVersion = "2"
	// keepObjects are three times as many as a series of 50 patches has cells
	// in ci/matrix, each up to twice: by its tree, and by what matters of it.
	// They are small.
	keepObjects = 4000
	// keepObjectAreas are more than there are specifications in ci/matrix:
	// each compiles only what a patch changes as long as it has its own.
	keepObjectAreas = 16
	fileObjects     = "objects.json"
	// fileConfigured is in the output folder once .config is complete.
	fileConfigured = ".vcpulab-configured"
)

// objectBuild is one compilation.
type objectBuild struct {
	*Builder
	name      string
	base      tree.Tree
	tree      tree.Tree
	changed   []string
	setup     []string
	spec      ObjectSpec
	config    Config
	toolchain Toolchain
	checker   checker
	key, area string
}

// CanBuildObjects says what the machine lacks to compile a specification, by
// a *MissingError or another error with that exit code; nil if nothing.
func (b *Builder) CanBuildObjects(ctx context.Context, spec ObjectSpec) error {
	if _, err := findToolchain(ctx, Spec{Arch: spec.Arch, Compiler: spec.Compiler}, b.ccache()); err != nil {
		return err
	}
	_, err := spec.checker(ctx)
	return err
}

// Objects compiles KVM of a tree, or returns what was found when that was
// done before. name is what the tree goes by in progress and errors. Trees of
// the same base share a work area, in which only what differs is compiled.
//
// Errors are those of Build. Warnings are none.
func (b *Builder) Objects(ctx context.Context, name string, t tree.Tree, spec ObjectSpec) (*Objects, error) {
	if err := b.checkDir(); err != nil {
		return nil, err
	}
	cfg, err := ReadFragments(spec.Fragments...)
	if err != nil {
		return nil, err
	}
	tc, err := findToolchain(ctx, Spec{Arch: spec.Arch, Compiler: spec.Compiler}, b.ccache())
	if err != nil {
		return nil, err
	}
	check, err := spec.checker(ctx)
	if err != nil {
		return nil, err
	}
	base, changed, err := root(t)
	if err != nil {
		return nil, err
	}
	setup := []string{version, objectVersion, spec.Name, spec.Arch.Uname, spec.Defconfig, cfg.String(), tc.Compiler, tc.Linker, check.Version, check.Command}
	o := objectBuild{
		Builder: b, name: name, base: base, tree: t, changed: changed, setup: setup, spec: spec, config: cfg, toolchain: tc, checker: check,
		key:  cache.Key(append([]string{kindObjects, t.ID}, setup...)...),
		area: spec.Name + "-" + cache.Key(append([]string{kindObjectArea, base.ID}, setup...)...)[:16],
	}
	dir, hit, err := b.Cache.Populate(ctx, kindObjects, o.key, o.fill)
	if err != nil {
		return nil, b.Cache.Full(o.doing(), err)
	}
	if err := used(b.Cache, kindObjects, o.key); err != nil {
		return nil, err
	}
	found, err := loadObjects(dir)
	if err != nil {
		return nil, err
	}
	found.Tree, found.Cached = t, hit
	return found, nil
}

func (o *objectBuild) doing() string {
	return fmt.Sprintf("compile KVM of linux %s (%s) for %s", o.tree.Version, o.name, o.spec.Name)
}

// folders are those of KVM's objects, below the output folder.
func (o *objectBuild) folders() []string {
	return []string{path.Join("arch", o.spec.Arch.Source, "kvm"), "virt/kvm"}
}

func (o *objectBuild) fill(ctx context.Context, tmp string) (err error) {
	step := o.Progress.Step(fmt.Sprintf("compile KVM of %s for %s", o.name, o.spec.Name))
	defer func() { step.Fail(err) }()
	if err := trim(ctx, o.Cache, kindObjects, keepObjects-1); err != nil {
		return err
	}
	a, err := openArea(ctx, o.Cache, kindObjectArea, o.area)
	if err != nil {
		return err
	}
	defer a.close()
	if err := used(o.Cache, kindObjectArea, o.area); err != nil {
		return err
	}
	if err := trim(ctx, o.Cache, kindObjectArea, keepObjectAreas); err != nil {
		return err
	}
	deps := readDependencies(a)
	if deps != nil {
		if known, err := o.known(deps, tmp); known || err != nil {
			step.Done("as before, in all that KVM depends on")
			return err
		}
	}
	found, log, err := o.compile(ctx, a, step)
	if err != nil {
		return err
	}
	if err := found.save(tmp, log); err != nil {
		return fmt.Errorf("%s: %w", o.doing(), err)
	}
	step.Done("%d of %d objects, %d warnings", found.Made, found.All, len(found.Warnings))
	if deps, err = noteDependencies(a); err != nil || deps == nil {
		return err
	}
	key, err := deps.key(o.setup, o.base, o.tree, o.changed)
	if err != nil {
		return err
	}
	_, _, err = o.Cache.Populate(ctx, kindObjects, key, func(_ context.Context, tmp string) error { return found.save(tmp, log) })
	return err
}

// known takes what was found of a tree that differs in nothing that matters, if
// there is one.
func (o *objectBuild) known(deps *dependencies, tmp string) (bool, error) {
	key, err := deps.key(o.setup, o.base, o.tree, o.changed)
	if err != nil {
		return false, err
	}
	dir, ok := o.Cache.Lookup(kindObjects, key)
	if !ok {
		return false, nil
	}
	found, err := loadObjects(dir)
	if err != nil {
		return false, err
	}
	if err := used(o.Cache, kindObjects, key); err != nil {
		return false, err
	}
	found.Tree, found.Made, found.Seconds = o.tree, 0, 0
	return true, found.save(tmp, found.Log)
}

// save writes what was found, and make's output, to a folder.
func (f *Objects) save(dir, log string) error {
	if err := copyFile(filepath.Join(dir, fileLog), log); err != nil {
		return err
	}
	data, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fileObjects), append(data, '\n'), 0o644)
}

// loadObjects reads what save wrote.
func loadObjects(dir string) (*Objects, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileObjects))
	if err != nil {
		return nil, fmt.Errorf("load what was compiled before: %w", err)
	}
	found := &Objects{}
	if err := json.Unmarshal(data, found); err != nil {
		return nil, fmt.Errorf("load what was compiled before: %s: %w", dir, err)
	}
	found.Log = filepath.Join(dir, fileLog)
	return found, nil
}
