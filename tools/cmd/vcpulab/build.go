// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"time"

	"vcpulab/tools/kbuild"
)

// buildCmd builds both kernels.
type buildCmd struct {
	kernelFlags
	Arch string `help:"Architecture to build for." default:"x86_64" placeholder:"ARCH"`
}

// Run prints where the two images are.
func (c buildCmd) Run(ctx context.Context, l *lab) error {
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
