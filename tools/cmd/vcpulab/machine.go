// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"

	"vcpulab/tools/machine"
)

func (l *lab) packages() (*machine.List, error) { return machine.Load(l.path("ci", "packages.txt")) }

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
	r, err := machine.Doctor(ctx, machine.DoctorOptions{List: list, CacheDir: l.cache.Dir()})
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(r)
	}
	return r.Text(l.stdout)
}
