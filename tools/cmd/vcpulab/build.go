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
	Variant []string `help:"Build this kernel, too: a milestone of the series or a comparator, see ci/variants.toml. May be repeated." placeholder:"NAME" sep:"none"`
	Arch    string   `help:"Architecture to build for; with --objects also a column of ci/matrix, or all." default:"x86_64" placeholder:"ARCH"`
	Objects bool     `help:"Compile KVM's objects alone, with W=1 and sparse, and compare warnings."`
	Each    bool     `help:"With --objects: after each patch, compared with the one before."`
	Out     string   `help:"With --objects: directory for logs, JSON and JUnit." default:"out/matrix" placeholder:"DIR"`
	Jobs    int      `short:"j" help:"With --objects: jobs of make, for each of the two columns compiled at a time (default: as many as there are processors)." placeholder:"N"`
}

// Run prints where the two images are, or what compiling the objects found.
func (c buildCmd) Run(ctx context.Context, l *lab) error {
	if len(c.Variant) > 0 && (c.Objects || c.Through != nil) {
		return exit.With(exit.Usage, errors.New("--variant builds kernels of the whole series: leave out --objects and --through"))
	}
	if c.Objects {
		return c.objects(ctx, l)
	}
	if c.Each {
		return exit.With(exit.Usage, errors.New("--each is for --objects"))
	}
	chosen, err := l.variants(c.Variant, false)
	if err != nil {
		return err
	}
	subjects, err := l.builds(ctx, c.kernelFlags, c.Arch, chosen)
	if err != nil {
		return err
	}
	if l.JSON {
		kernels := make(map[string]*kbuild.Kernel)
		for _, s := range subjects {
			kernels[s.Name] = s.Kernel
		}
		return l.printJSON(kernels)
	}
	for _, s := range subjects {
		k := s.Kernel
		l.printf("%-8s %s  %s, %d steps in %s\n", s.Name, k.ImagePath(), k.Release, k.Steps, k.Elapsed().Round(time.Second))
	}
	return nil
}
