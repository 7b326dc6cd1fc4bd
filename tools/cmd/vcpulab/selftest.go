// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vcpulab/tools/kbuild"
	"vcpulab/tools/selftest"
)

// selftestCmd runs KVM's selftests on both kernels.
type selftestCmd struct {
	kernelFlags
	Only  []string `help:"Names of tests; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Accel string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out   string   `help:"Folder for logs, JSON and JUnit." default:"out/selftests" placeholder:"DIR"`
}

// quickTests are the tests that use the lookups, and take seconds.
var quickTests = []string{
	"kvm_create_max_vcpus", "kvm_binary_stats_test", "x86/set_boot_cpu_id", "x86/max_vcpuid_cap_test",
	"x86/recalc_apic_map_test", "x86/xapic_ipi_test",
}

// Run prints both kernels' results side by side, and a line that counts them.
func (c selftestCmd) Run(ctx context.Context, l *lab) error {
	// A name that no test has is said before kernels are built for it.
	var quick []selftest.Test
	for _, name := range quickTests {
		quick = append(quick, selftest.Test{Name: name})
	}
	if _, err := selftest.Select(quick, c.Only); err != nil {
		return err
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	base, patched, err := l.kernels(ctx, c.kernelFlags, "x86_64")
	if err != nil {
		return err
	}
	v, err := l.accel(ctx, c.Accel, base)
	if err != nil {
		return err
	}
	opts := selftest.Options{Accel: v.Accel, Log: l.log}
	if v.Accel == "kvm" {
		// Times matter more than throughput where tests have deadlines.
		opts.Parallel = 1
	}
	var results [2][]selftest.Result
	for i, k := range []*kbuild.Kernel{base, patched} {
		name := [...]string{nameBase, namePatched}[i]
		s, err := c.subject(ctx, l, name, k, opts)
		if err != nil {
			return err
		}
		opts.KeepDir = filepath.Join(out, name)
		if results[i], err = selftest.Run(ctx, l.cache, s, opts); err != nil {
			return err
		}
		opts.Expect = selftest.Expect(results[i])
	}
	return c.show(l, out, selftest.Compare(results[0], results[1]))
}

// subject builds the tests of the kernel's own tree.
func (c selftestCmd) subject(ctx context.Context, l *lab, name string, k *kbuild.Kernel, o selftest.Options) (selftest.Subject, error) {
	spec, err := l.spec(c.kernelFlags, k.Arch.Name)
	if err != nil {
		return selftest.Subject{}, err
	}
	built, err := l.builder().BuildSelftests(ctx, k.Tree, spec, quickTests)
	if err != nil {
		return selftest.Subject{}, err
	}
	s, err := selftest.NewSubject(name, k, built, o.Accel)
	if err != nil {
		return selftest.Subject{}, err
	}
	s.Tests, err = selftest.Select(s.Tests, c.Only)
	return s, err
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
	return errors.Join(cmp.WriteText(l.stdout, "bin/vcpulab selftest --only %s"), cmp.Err())
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
