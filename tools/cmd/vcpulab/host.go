// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/host"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/program"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

func (l *lab) packages() (*host.List, error) { return host.Load(l.path("ci", "packages.toml")) }

type installCmd struct {
	Groups []string `arg:"" help:"What for: build, boot, shell, bpf, verify, generate, selftests, test, matrix, which implies its architectures, clang, or an architecture: ${groups}."`
	Arch   string   `help:"Also what it takes to build for ${bootable}, or all of them." placeholder:"ARCH"`
}

// Run prints what was installed. It asks nothing.
func (c installCmd) Run(ctx context.Context, l *lab, list *host.List) error {
	groups := slices.Clone(c.Groups)
	if slices.Contains(groups, matrix.Group) {
		columns, err := matrix.Load(l.path("ci", "matrix"))
		if err != nil {
			return err
		}
		for _, column := range columns {
			groups = append(groups, matrix.Groups(column)...)
		}
	}
	if c.Arch != "" {
		arches, err := arch.FindAmong(arch.Bootable(), c.Arch)
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		for _, a := range arches {
			if a.Group != "" {
				groups = append(groups, a.Group)
			}
		}
	}
	// apt waits for another one to end only where it installs, not where it updates
	// its lists.
	unlock, err := l.cache.Lock(ctx, "install", "packages")
	if err != nil {
		return err
	}
	defer unlock()
	got, err := list.Install(ctx, l.log, groups...)
	if err != nil {
		return err
	}
	return l.print(got, "{{range .}}installed {{.Name}}: {{.Why}}\n{{end}}")
}

type doctorCmd struct{}

// Run prints what can be done on this machine, and what it lacks.
func (doctorCmd) Run(ctx context.Context, l *lab, list *host.List) error {
	r, err := host.Doctor(ctx, list, l.cache.Dir(), l.probeKVM)
	if err != nil {
		return err
	}
	return l.show(r, r.Text)
}

// probeKVM boots the unpatched kernel with KVM or, until that is built, a few instructions.
func (l *lab) probeKVM(ctx context.Context) (works bool, why string) {
	const later = "an ordinary kernel is tried once one is built: vcpulab build"
	a, err := arch.Host()
	var k *kbuild.Kernel
	if err == nil {
		k, err = l.built(ctx, a.Name)
	}
	switch {
	case err != nil:
	case k != nil:
		var choice vm.Choice
		choice, err = l.accel(ctx, "auto", k)
		works, why = choice.Accel == vm.KVM, choice.Reason
	case a.Name != arch.X86_64().Name:
		why = "it opens; " + later
	default:
		if why, err = vm.ProbeWithoutKernel(ctx, vm.KVM); why == "" {
			works, why = true, "a guest of a few instructions runs; "+later
		}
	}
	if err != nil {
		return false, "unknown whether it works: " + err.Error()
	}
	return works, why
}

// built returns the unpatched kernel if it was built before, else nil.
func (l *lab) built(ctx context.Context, name string) (*kbuild.Kernel, error) {
	b, err := l.findBase(ctx, seriesFlags{})
	if err != nil {
		return nil, err
	}
	t, ok, err := b.Pin.Fetched(ctx, l.fetchOptions())
	if err != nil || !ok {
		return nil, err
	}
	spec, err := l.spec(kernelFlags{}, name)
	if err != nil {
		return nil, err
	}
	return l.builder().Built(ctx, t, spec)
}

// host describes the machine, whatever is measured on it.
func (l *lab) host(ctx context.Context) results.Host {
	h := host.Read(l.cache.Dir())
	// A tool that was unpacked from an archive has no commit.
	git := program.Program{Name: "git", Dir: l.root, InheritEnv: true}
	revision, _, _ := git.Run(ctx, "describe", "--always", "--dirty", "--abbrev=12")
	return results.Host{
		CPU:   cmp.Or(h.CPU, "unknown"),
		Cores: h.Cores,
		OS:    cmp.Or(h.OS, "unknown"),
		Go:    runtime.Version(),
		Tool:  cmp.Or(strings.TrimSpace(string(revision)), "unknown"),
	}
}
