// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/header"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/tree"
)

// ObjectSpec says how KVM's objects are compiled.
type ObjectSpec struct {
	Name      string // tells specifications apart: "s390x"
	Defconfig string // target of make for the configuration that the fragments are put on top of
	Spec
	WithoutSparse string // why; "" if sparse is used
	// Elsewhere says that the tree may be of another kernel than the one that the
	// fragments are for: it need not have all symbols that they set. KVM has to be
	// among what it does have.
	Elsewhere bool
	// Spare says that an object need not be compiled again if it mentions nothing of
	// what a header has changed, see package header.
	Spare bool
}

// Objects is what was found when KVM's objects were compiled, with W=1 and
// sparse. The objects themselves stay in the work area.
type Objects struct {
	// Warnings are those of all objects, including those that were compiled for
	// another tree and have not changed since.
	Warnings  []Warning `json:"warnings"`
	Made      int       `json:"made"`    // how many of KVM's targets were made this time
	All       int       `json:"all"`     // how many there are
	Seconds   float64   `json:"seconds"` // that it took
	Toolchain Toolchain `json:"toolchain"`
	Checker   string    `json:"checker"` // sparse's version; "" without sparse
	Log       string    `json:"-"`       // absolute path of make's output
	Cached    bool      `json:"-"`       // it was found before, perhaps of another tree
}

const (
	// objectVersion goes into the keys. It is raised when the same tree is
	// compiled differently, or other things are reported of it.
	objectVersion = "2"
	fileObjects   = "objects.json"
	// fileConfigured is in the output directory once .config is complete.
	fileConfigured = ".vcpulab-configured"
)

type objectBuild struct {
	*build
	spec    ObjectSpec
	checker string // sparse's version; "" without it
}

// CanBuildObjects says what the machine lacks to compile a specification, nil if
// nothing.
func (b *Builder) CanBuildObjects(ctx context.Context, spec ObjectSpec) error {
	if _, err := findToolchain(ctx, spec.Arch, spec.Compiler); err != nil {
		return err
	}
	if spec.WithoutSparse != "" {
		return nil
	}
	_, err := sparseVersion(ctx)
	return err
}

// Objects compiles KVM of a tree, or returns what was found when that was
// done before: also of a tree that differs only in files that do not matter. name
// and errors are those of Build. Warnings are not errors.
func (b *Builder) Objects(ctx context.Context, name string, t tree.Tree, spec ObjectSpec) (*Objects, error) {
	what := fmt.Sprintf("KVM of linux %s (%s) for %s", t.Version, name, spec.Name)
	common, err := b.newBuild(ctx, kindObjects, "compile", what, t, spec.Spec)
	if err != nil {
		return nil, err
	}
	o := objectBuild{build: common, spec: spec}
	check := ""
	if spec.WithoutSparse == "" {
		check = checkCommand
		if o.checker, err = sparseVersion(ctx); err != nil {
			return nil, err
		}
	}
	seen, err := identify(o.base, t, o.changed, o.matters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.doing(), err)
	}
	// The keys of the cache have uname's name of the architecture.
	setup := []string{
		version, objectVersion, spec.Name, spec.Arch.Uname, spec.Defconfig, o.config.String(),
		o.toolchain.Compiler, o.toolchain.Linker, o.checker, check,
	}
	areaKind := kindObjectArea
	if spec.Elsewhere {
		areaKind = kindElsewhereArea
		setup = append(setup, "elsewhere")
	}
	o.setKeys(areaKind, spec.Name, seen, setup)
	if _, known := b.Cache.Lookup(o.kind, o.key); spec.Spare && !known {
		o.setKeys(areaKind, spec.Name, append(seen, "spare", header.Version), setup)
	}

	dir, hit, err := o.populate(ctx, o.fill)
	if err != nil {
		return nil, err
	}
	found := &Objects{Log: filepath.Join(dir, fileLog)}
	if err := jsonfile.Load(filepath.Join(dir, fileObjects), found); err != nil {
		return nil, fmt.Errorf("load what was compiled before: %w", err)
	}
	found.Cached = hit
	return found, nil
}

// matters tells whether a file of the tree may affect what is made.
func (o *objectBuild) matters(name string) bool {
	if rest, ok := strings.CutPrefix(name, "arch/"); ok {
		source, _, below := strings.Cut(rest, "/")
		return !below || source == o.spec.Arch.Source
	}
	return !strings.HasPrefix(name, "Documentation/") && !strings.HasPrefix(name, "tools/testing/")
}

// directories are those of KVM's objects, below the output directory.
func (o *objectBuild) directories() []string {
	return []string{path.Join("arch", o.spec.Arch.Source, "kvm"), "virt/kvm"}
}

// fill compiles the tree's objects and puts what was found, and make's output,
// into tmp.
func (o *objectBuild) fill(ctx context.Context, a *area, m *makeRun, tmp string) error {
	start := time.Now()
	// One target: with another that is no directory, kbuild calls itself for each, and
	// prepares twice. That is most of what a patch takes that affects little.
	m.targets = []string{"arch/" + o.spec.Arch.Source + "/kvm/"}
	// Output by target tells which object a warning belongs to. kernel-doc, which
	// W=1 has kbuild run for each object, says the same for all architectures: it
	// is a check of package verify.
	m.vars = slices.Concat(m.vars, settled, []string{"W=1", "cmd_checkdoc=", "--output-sync=target"})
	// What was compiled before is known as a whole. To look for each object, too, takes
	// a tenth of the time, for nothing.
	for i, v := range m.vars {
		if compiler, found := strings.CutPrefix(v, "CC=ccache "); found {
			m.vars[i] = "CC=" + compiler
		}
	}
	if o.checker != "" {
		m.vars = append(m.vars, "C=1", "CHECK="+checkCommand)
	}
	if err := o.configure(ctx, a, *m); err != nil {
		return err
	}
	spare := a.unspare
	if o.spec.Spare {
		spare = func() error { return a.spare(o.directories()) }
	}
	if err := spare(); err != nil {
		return fmt.Errorf("%s: %w", o.doing(), err)
	}
	m.said = &targetWarnings{dir: a.src, made: make(map[string][]Warning)}
	if err := a.run(ctx, m, false); err != nil {
		return err
	}
	a.state.Done = true
	if err := a.save(); err != nil {
		return err
	}

	hidden, err := unexported(a.out, o.directories())
	if err != nil {
		return fmt.Errorf("%s: %w", m.doing, err)
	}
	all := a.state.Warnings
	found := &Objects{
		Warnings: sorted(slices.Concat(append(slices.Collect(maps.Values(all)), hidden)...)),
		Made:     count(m.said.made, o.directories()), All: count(all, o.directories()),
		Seconds: time.Since(start).Seconds(), Toolchain: o.toolchain,
		Checker: o.checker,
	}
	if spec := o.spec; spec.Elsewhere && found.All == 0 {
		return exit.With(exit.BuildFailed, fmt.Errorf("%s: no object of KVM was made: the configuration of %s leaves it out", m.doing, spec.Name))
	}
	m.step.Done("%d of %d objects, %d warnings", found.Made, found.All, len(found.Warnings))
	if err := copyFile(filepath.Join(tmp, fileLog), m.log); err != nil {
		return fmt.Errorf("%s: %w", m.doing, err)
	}
	return jsonfile.Save(filepath.Join(tmp, fileObjects), found)
}

// configure makes .config of the defconfig and the fragments, if there is none
// or a patch has changed what can be configured.
func (o *objectBuild) configure(ctx context.Context, a *area, m makeRun) error {
	kconfigChanged := slices.ContainsFunc(a.considered, func(name string) bool { return strings.HasPrefix(path.Base(name), "Kconfig") })
	done := filepath.Join(a.out, fileConfigured)
	if _, err := os.Stat(done); err != nil || kconfigChanged {
		m.doing = "configure " + o.what
		m.targets = []string{o.spec.Defconfig}
		if err := a.run(ctx, &m, true); err != nil {
			return err
		}

		// Of a symbol that is set twice, Kconfig takes the last value.
		name := filepath.Join(a.out, ".config")
		config, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, append(config, o.config.String()...), 0o644)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.doing, err)
		}
		m.targets = []string{"olddefconfig"}
		if err := a.run(ctx, &m, true); err != nil {
			return err
		}
	}

	asked := o.config
	if o.spec.Elsewhere {
		asked = slices.DeleteFunc(slices.Clone(asked), func(s Setting) bool { return s.Symbol != "CONFIG_KVM" })
	}
	if _, err := o.finalConfig(a, asked); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}
