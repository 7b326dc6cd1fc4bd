// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
)

// buildCmd builds both kernels.
type buildCmd struct {
	kernelFlags
	Arch    string `help:"Architecture to build for; with --objects also a column of ci/matrix, or all." default:"x86_64" placeholder:"ARCH"`
	Objects bool   `help:"Compile KVM's objects alone, with W=1 and sparse, and compare warnings."`
	Each    bool   `help:"With --objects: after each patch, compared with the one before."`
	Jobs    int    `short:"j" help:"With --objects: jobs of make (default: one more than there are processors)." placeholder:"N"`
}

// Run prints where the two images are, or what compiling the objects found.
func (c buildCmd) Run(ctx context.Context, l *lab) error {
	if c.Objects {
		return c.objects(ctx, l)
	}
	if c.Each {
		return exit.With(exit.Usage, errors.New("--each is for --objects"))
	}
	base, patched, err := l.kernels(ctx, c.kernelFlags, c.Arch)
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(map[string]*kbuild.Kernel{nameBase: base, namePatched: patched})
	}
	for _, k := range []struct {
		name string
		*kbuild.Kernel
	}{{nameBase, base}, {namePatched, patched}} {
		l.printf("%-8s %s  %s, %d steps in %s\n", k.name, k.ImagePath(), k.Release, k.Steps, k.Elapsed().Round(time.Second))
	}
	return nil
}
