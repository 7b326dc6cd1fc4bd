// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"

	"vcpulab/tools/arch"
	"vcpulab/tools/host"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/vm"
)

func (l *lab) packages() (*host.List, error) { return host.Load(l.path("ci", "packages.txt")) }

// installCmd installs packages.
type installCmd struct {
	Groups []string `arg:"" help:"What for: build, boot, bpf, verify, generate, selftests, matrix, clang, or an architecture: arm64, s390x, ppc64le, mips64el, riscv64, loongarch64."`
}

// Run prints what was installed. It asks no question.
func (c installCmd) Run(ctx context.Context, l *lab) error {
	list, err := l.packages()
	if err != nil {
		return err
	}
	got, err := list.Install(ctx, l.log, c.Groups...)
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(got)
	}
	for _, p := range got {
		l.printf("installed %s: %s\n", p.Name, p.Why)
	}
	return nil
}

// doctorCmd looks at the machine.
type doctorCmd struct{}

// Run prints what can be done on this machine, and what it lacks.
func (doctorCmd) Run(ctx context.Context, l *lab) error {
	list, err := l.packages()
	if err != nil {
		return err
	}
	r, err := host.Doctor(ctx, host.DoctorOptions{List: list, CacheDir: l.cache.Dir(), ProbeKVM: l.probeKVM})
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(r)
	}
	return r.Text(l.stdout)
}

// probeKVM boots the unpatched kernel with KVM, as measuring does; or, as long as
// it is not built, a guest of a few instructions.
func (l *lab) probeKVM(ctx context.Context) (works bool, why string) {
	host, err := arch.Host()
	if err != nil {
		return false, err.Error()
	}
	k, err := l.built(ctx, host.Name)
	if err != nil {
		return false, "whether it works is not known: " + err.Error()
	}
	if k != nil {
		v, err := l.accel(ctx, "auto", k)
		if err != nil {
			return false, "whether it works is not known: " + err.Error()
		}
		return v.Accel == vm.KVM, v.Reason
	}
	const later = "an ordinary kernel is tried once one is built: vcpulab build"
	if !arch.X86_64().IsHost() {
		return false, "it opens; " + later
	}
	switch why, err := vm.ProbeWithoutKernel(ctx, vm.KVM); {
	case err != nil:
		return false, "whether it works is not known: " + err.Error()
	case why != "":
		return false, why
	}
	return true, "a guest of a few instructions runs; " + later
}

// built returns the unpatched kernel if it was built before, else nil.
func (l *lab) built(ctx context.Context, arch string) (*kbuild.Kernel, error) {
	p, err := l.pin()
	if err != nil {
		return nil, err
	}
	t, ok, err := p.Fetched(ctx, l.cache)
	if err != nil || !ok {
		return nil, err
	}
	spec, err := l.spec(kernelFlags{}, arch)
	if err != nil {
		return nil, err
	}
	return l.builder().Built(ctx, t, spec)
}
