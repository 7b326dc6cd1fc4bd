// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/vm"
)

// selftestCmd runs KVM's selftests on both kernels.
type selftestCmd struct {
	kernelFlags
	Arch  string   `help:"x86_64 or arm64." default:"x86_64" placeholder:"ARCH"`
	Only  []string `help:"Names of tests; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Accel string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out   string   `help:"Folder for logs, JSON and JUnit." default:"out/selftests" placeholder:"DIR"`
}

// quickTests are the kernel's own tests that use the lookups and take seconds,
// by architecture. Those that the series adds come on top.
var quickTests = map[string][]string{
	"x86_64": {
		"kvm_create_max_vcpus", "kvm_binary_stats_test", "x86/set_boot_cpu_id", "x86/max_vcpuid_cap_test",
		"x86/recalc_apic_map_test", "x86/xapic_ipi_test",
	},
	"aarch64": {
		"kvm_create_max_vcpus", "kvm_binary_stats_test", "steal_time", "arm64/no-vgic", "arm64/psci_test",
		"arm64/set_id_regs", "arm64/vgic_init", "arm64/vgic_irq", "arm64/vgic_its_save", "arm64/vgic_lpi_stress",
	},
}

// proofsFile says which tests have to fail on the base kernel.
const proofsFile = "proofs.toml"

// The guests of kernels that look for faults of their own.
const (
	debugMemMiB = 4096
	debugLimit  = 40 * time.Minute
)

// Run prints both kernels' results side by side, and a line that counts them.
func (c selftestCmd) Run(ctx context.Context, l *lab) error {
	// What is wrong is said before kernels are built for it.
	arch, err := c.arch()
	if err != nil {
		return err
	}
	ser, err := l.series()
	if err != nil {
		return err
	}
	added := addedTests(ser, c.Through, arch)
	names := slices.Concat(quickTests[arch.Name], added)
	if names, err = c.selected(names); err != nil {
		return err
	}
	e := selftest.Expectations{Added: added, Silent: c.debug()}
	if e.Proofs, err = c.proofs(l, ser, arch, added); err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	base, patched, err := l.kernels(ctx, c.kernelFlags, c.Arch)
	if err != nil {
		return err
	}
	v, err := l.accel(ctx, c.Accel, base)
	if err != nil {
		return err
	}
	subjects, err := c.subjects(ctx, l, base, patched, names, v.Accel)
	if err != nil {
		return err
	}
	opts := selftest.Options{Accel: v.Accel, Log: l.log}
	if v.Accel == "kvm" {
		// Times matter more than throughput where tests have deadlines.
		opts.Parallel = 1
	}
	if c.debug() {
		opts.Parallel, opts.MemMiB, opts.Limit, opts.Leaks = 1, debugMemMiB, debugLimit, true
	}
	var results [2][]selftest.Result
	for i, s := range subjects {
		opts.KeepDir = filepath.Join(out, s.Name)
		if results[i], err = selftest.Run(ctx, l.cache, s, opts); err != nil {
			return err
		}
		opts.Expect = selftest.Expect(results[i])
	}
	return c.show(l, out, selftest.Compare(results[0], results[1], e))
}

// arch returns the architecture whose kernels and tests are run.
func (c selftestCmd) arch() (kbuild.Arch, error) {
	bootable, err := vm.ArchByName(c.Arch)
	if err != nil {
		return kbuild.Arch{}, exit.With(exit.Usage, err)
	}
	if c.debug() && bootable.Name != vm.X86_64().Name {
		return kbuild.Arch{}, exit.With(exit.Usage, fmt.Errorf("--config %s is for x86_64, not for %s", configDebug, c.Arch))
	}
	return kbuild.FindArch(bootable.GOARCH)
}

// selected returns the names of the tests to run.
func (c selftestCmd) selected(names []string) ([]string, error) {
	var tests []selftest.Test
	for _, name := range names {
		tests = append(tests, selftest.Test{Name: name})
	}
	tests, err := selftest.Select(tests, c.Only)
	names = nil
	for _, t := range tests {
		names = append(names, t.Name)
	}
	return names, err
}

// addedTests returns the names of the tests for an architecture that the
// series adds, up to a patch or all of it.
func addedTests(s *series.Series, through int, arch kbuild.Arch) []string {
	var names []string
	for _, p := range s.Patches {
		if through > 0 && p.Number > through {
			break
		}
		for _, f := range p.Files {
			name, ok := kbuild.SelftestName(f.NewPath())
			if ok && f.OldPath() == "" && isFor(name, arch) {
				names = append(names, name)
			}
		}
	}
	return names
}

// isFor tells whether a test is for all architectures or this one.
func isFor(test string, arch kbuild.Arch) bool {
	dir := path.Dir(test)
	return dir == "." || dir == arch.Source
}

// proofs returns which of the added tests have to fail on the base kernel.
func (c selftestCmd) proofs(l *lab, s *series.Series, arch kbuild.Arch, added []string) ([]selftest.Proof, error) {
	all, err := selftest.LoadProofs(l.path("ci", proofsFile))
	if err != nil {
		return nil, err
	}
	var proofs []selftest.Proof
	for _, p := range all {
		if !isFor(p.Test, arch) {
			continue
		}
		if !slices.Contains(added, p.Test) {
			fmt.Fprintf(l.stderr, "ci/%s: the series does not have %s\n", proofsFile, p.Test)
			continue
		}
		if !slices.ContainsFunc(s.Patches, func(patch *series.Patch) bool { return patch.Subject == p.Patch }) {
			return nil, exit.With(exit.Usage, fmt.Errorf("ci/%s: %s is to prove %q: no patch of the series has that subject", proofsFile, p.Test, p.Patch))
		}
		proofs = append(proofs, p)
	}
	return proofs, nil
}

// subjects are both kernels, each with the tests of its own tree. Tests that
// only the series has are run on the base kernel as well, as built with it.
func (c selftestCmd) subjects(ctx context.Context, l *lab, base, patched *kbuild.Kernel, names []string, accel vm.Accel) ([]selftest.Subject, error) {
	spec, err := l.spec(c.kernelFlags, patched.Arch.Name)
	if err != nil {
		return nil, err
	}
	built, err := l.builder().BuildSelftests(ctx, patched.Tree, spec, names)
	if err != nil {
		return nil, err
	}
	withSeries, err := selftest.NewSubject(namePatched, patched, built, accel)
	if err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !kbuild.HasSelftest(base.Tree, n) })
	if len(own) == 0 {
		built = &kbuild.Selftests{}
	} else if built, err = l.builder().BuildSelftests(ctx, base.Tree, spec, own); err != nil {
		return nil, err
	}
	without, err := selftest.NewSubject(nameBase, base, built, accel)
	if err != nil {
		return nil, err
	}
	for _, t := range withSeries.Tests {
		if !slices.Contains(own, t.Name) {
			without.Tests = append(without.Tests, t)
		}
	}
	return []selftest.Subject{without, withSeries}, nil
}

// show prints the comparison and writes it for programs.
func (c selftestCmd) show(l *lab, out string, cmp selftest.Comparison) error {
	for name, write := range map[string]func(*os.File) error{
		"selftests.json": func(f *os.File) error { return cmp.WriteJSON(f) },
		"selftests.xml":  func(f *os.File) error { return cmp.WriteJUnit(f) },
	} {
		if err := writeFile(filepath.Join(out, name), write); err != nil {
			return err
		}
	}
	if l.JSON {
		return errors.Join(cmp.WriteJSON(l.stdout), cmp.Err())
	}
	l.printf("logs: %s\n\n", out)
	return errors.Join(cmp.WriteText(l.stdout, c.again()), cmp.Err())
}

// again is how a test is run again, with %s for its name.
func (c selftestCmd) again() string {
	again := "bin/vcpulab selftest"
	if c.Arch != vm.X86_64().Name {
		again += " --arch " + c.Arch
	}
	if c.debug() {
		again += " --config " + configDebug
	}
	return again + " --only %s"
}

// writeFile writes a file of results, whole or not at all.
func writeFile(name string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
