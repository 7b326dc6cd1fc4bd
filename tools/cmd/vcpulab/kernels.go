// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
	"vcpulab/tools/selftest"
	"vcpulab/tools/tree"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
)

// The configurations of kernels. All but the default one have a fragment in ci/config.
const (
	configDefault = "default"
	configDebug   = "debug" // looks for faults of its own, as kcsan does
	configKCSAN   = "kcsan"
	configHZ100   = "hz100" // has a slow tick
)

type kernelFlags struct {
	seriesFlags
	Config         string   `help:"default; debug: with KASAN, lockdep, kmemleak and fault injection; or kcsan: with KCSAN. The last two are some ten times as slow." enum:"default,debug,kcsan" default:"default"`
	ConfigFragment []string `help:"A file of your own with lines as .config has them, which go on top. May be repeated." placeholder:"FILE" type:"existingfile" sep:"none"`
}

// searching tells whether the kernels look for faults of their own.
func (f kernelFlags) searching() bool {
	return f.Config == configDebug || f.Config == configKCSAN
}

// The guests of kernels that look for faults of their own.
const (
	searchMemMiB = 4096
	searchLimit  = 40 * time.Minute
)

// racesFile says which data races of the kernel without the series are known.
const racesFile = "races.toml"

// guestOptions sets how selftests are run on kernels of a configuration.
func (l *lab) guestOptions(config string, o *selftest.Options) error {
	switch config {
	case configDebug:
		o.Leaks = true
		o.Checkers = []string{wire.Lockdep, wire.DebugObjects, wire.Kmemleak, wire.KASAN, wire.FaultInjection}
		o.Append = append(o.Append, wire.KASANMultiShot)
	case configKCSAN:
		known, err := selftest.LoadRaces(l.path("ci", racesFile))
		if err != nil {
			return err
		}
		o.Overlook, o.Checkers = known.Overlook, []string{wire.KCSAN}
	default:
		return nil
	}
	o.Parallel = min(max(1, o.Parallel), l.guestsAtOnce(searchMemMiB))
	o.MemMiB, o.Limit = searchMemMiB, searchLimit
	return nil
}

func (l *lab) builder() *kbuild.Builder { return &kbuild.Builder{Cache: l.cache, Progress: l.log} }

func (l *lab) spec(f kernelFlags, name string) (kbuild.Spec, error) {
	a, err := arch.Find(name)
	if err != nil {
		return kbuild.Spec{}, exit.With(exit.Usage, err)
	}
	dir := l.path("ci", "config")
	s := kbuild.Spec{Arch: a, Fragments: a.Fragments(dir)}
	if f.Config != "" && f.Config != configDefault {
		s.Fragments = append(s.Fragments, filepath.Join(dir, f.Config+".config"))
	}
	if l.another(f.seriesFlags) {
		s.ForAnother = slices.Clone(s.Fragments)
	}
	s.Fragments = append(s.Fragments, f.ConfigFragment...)
	return s, nil
}

// bootable builds one of the two kernels for an architecture that boots.
func (l *lab) bootable(ctx context.Context, f kernelFlags, name, archName string) (*kbuild.Kernel, error) {
	spec, err := l.spec(f, archName)
	if err != nil {
		return nil, err
	}
	if !spec.Arch.Boots() {
		return nil, exit.With(exit.Usage, fmt.Errorf("architecture %q cannot be booted: expected one of %s", archName, arch.Names(arch.Bootable())))
	}
	var a applied
	if name == variant.Patched {
		a, err = l.apply(ctx, f.seriesFlags)
	} else {
		a.patched, err = l.base(ctx, f.seriesFlags)
	}
	if err != nil {
		return nil, err
	}
	return l.builder().Build(ctx, name, a.patched, spec)
}

// kvmGuest is a guest that has KVM, with parameters of its modules.
func (l *lab) kvmGuest(k *kbuild.Kernel, accel vm.Accel, params []vm.Param) (vm.Guest, error) {
	g := vm.Guest{Source: l.root, Params: params}
	if module := vm.KVMModule(k.Arch, accel); module != "" {
		file, err := k.ModulePath(module)
		if err != nil {
			return g, err
		}
		g.Modules, g.ModuleDir = []vm.Module{{Host: file}}, filepath.Join(k.Dir, "modules")
	}
	return g, nil
}

// accel returns the accelerator for guests of a kernel: the one that is wanted, or one that works.
func (l *lab) accel(ctx context.Context, want string, k *kbuild.Kernel) (vm.Choice, error) {
	if want == "auto" {
		want = ""
	}
	return vm.ChooseAccel(ctx, l.cache, vm.Probe{Arch: k.Arch, Want: want, Kernel: k.ImagePath(), KernelID: k.Key, Source: l.root})
}

// variantsFile lists the kernels that can be measured besides base and patched.
const variantsFile = "variants.toml"

// variants returns those with these names, also all but those that have to be asked for.
func (l *lab) variants(names []string, all bool) ([]variant.Variant, error) {
	if len(names) == 0 && !all {
		return nil, nil
	}
	list, err := l.allVariants()
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		if all && !v.Asked {
			names = append(names, v.Name)
		}
	}
	return variant.Choose(list, names)
}

// allVariants are those that can be measured, rivals among them.
func (l *lab) allVariants() ([]variant.Variant, error) {
	list, err := variant.Load(l.path("ci", variantsFile))
	if err != nil {
		return nil, err
	}
	sets, err := l.sets()
	if err != nil {
		return nil, err
	}
	return variant.WithRivals(list, sets)
}

// kernels builds both kernels and those of the variants: first the base kernel,
// then milestones, the whole series, comparators and rivals.
func (l *lab) kernels(ctx context.Context, f kernelFlags, arch string, variants []variant.Variant) ([]bench.Candidate, error) {
	spec, err := l.spec(f, arch)
	if err != nil {
		return nil, err
	}
	a, err := l.apply(ctx, f.seriesFlags)
	if err != nil {
		return nil, err
	}
	whole := bench.Candidate{Kernel: results.Kernel{Name: variant.Patched, Series: a.series.ID}}
	for _, p := range a.series.Patches[:a.through] {
		whole.Patches = append(whole.Patches, p.Subject)
	}

	// A patch that does not apply is found before the first kernel is built.
	all := []bench.Candidate{{Kernel: results.Kernel{Name: variant.Base}}, whole}
	milestones := 0
	trees := map[string]tree.Tree{variant.Base: a.base, variant.Patched: a.patched}
	for _, v := range variants {
		made, err := v.Apply(ctx, a.base, a.series, a.options)
		if err != nil {
			return nil, err
		}
		trees[v.Name] = made.Tree
		at := len(all)
		if v.Through != "" {
			milestones++
			at = milestones
		}
		all = slices.Insert(all, at, bench.Candidate{
			Kernel: results.Kernel{Name: v.Name, About: v.About, Limit: v.Limit, Series: made.Series, Patches: made.Subjects},
		})
	}
	for i, c := range all {
		if all[i].Built, err = l.builder().Build(ctx, c.Name, trees[c.Name], spec); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (l *lab) addLoops(ctx context.Context, candidates []bench.Candidate) error {
	tmp, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	src := filepath.Join(tmp, "vcpuloops")
	if err := os.CopyFS(src, loops.Source); err != nil {
		return fmt.Errorf("write the loops' source: %w", err)
	}
	for i := range candidates {
		built, err := l.builder().BuildModule(ctx, candidates[i].Built, src)
		if err != nil {
			return err
		}
		candidates[i].Loops = built[0]
	}
	return nil
}
