// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"runtime"

	"vcpulab/tools/exit"
	"vcpulab/tools/matrix"
	"vcpulab/tools/tree"
)

// parallelColumns is how many columns are compiled at a time: make's own work,
// and the largest file of a column, keep one processor busy.
const parallelColumns = 2

// objects compiles KVM for one or all architectures, without and with the
// series, or patch by patch.
func (c buildCmd) objects(ctx context.Context, l *lab) error {
	columns, err := matrix.Load(l.path("ci", "matrix"))
	if err != nil {
		return err
	}
	if columns, err = matrix.Choose(columns, c.Arch); err != nil {
		return err
	}
	s, err := l.series()
	if err != nil {
		return err
	}
	through := c.lastPatch(s)
	if through < 0 || through > len(s.Patches) {
		return exit.With(exit.Usage, fmt.Errorf("compile KVM through patch %d: the series has patches 1 to %d", through, len(s.Patches)))
	}

	base, err := l.base(ctx, c.sourceFlags)
	if err != nil {
		return err
	}
	rows := []matrix.Row{{Subject: "Linux " + base.Version, Tree: func(context.Context) (tree.Tree, error) { return base, nil }}}
	for n := 1; n <= through; n++ {
		if n < through && !c.Each {
			continue
		}
		rows = append(rows, matrix.Row{Patch: n, Subject: s.Patches[n-1].Subject, Tree: func(ctx context.Context) (tree.Tree, error) {
			o := l.seriesOptions(c.sourceFlags)
			o.Through = n
			t, _, err := s.Apply(ctx, base, o)
			return t, err
		}})
	}

	b := l.builder()
	b.Jobs = c.Jobs
	if b.Jobs == 0 {
		b.Jobs = runtime.NumCPU() // for each column
	}
	r, err := matrix.Run(ctx, b, columns, rows, parallelColumns)
	if err != nil {
		return err
	}

	dir, err := outDir(c.Out)
	if err != nil {
		return err
	}
	if err := r.Write(dir); err != nil {
		return err
	}
	if l.JSON {
		err = l.printJSON(r)
	} else {
		err = r.WriteText(l.stdout)
	}
	if err != nil {
		return err
	}
	return r.Err()
}
