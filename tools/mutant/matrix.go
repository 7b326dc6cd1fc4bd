// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"

	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/tree"
)

// matrixCheck compiles KVM for a column of the build matrix.
type matrixCheck struct {
	*Runner
	column kbuild.ObjectSpec
	each   bool
}

func (c matrixCheck) parts(s *Specimen, p pair) ([]string, error) {
	cfg, err := kbuild.ReadFragments(c.column.Fragments...)
	if err != nil {
		return nil, err
	}
	text, err := sources(c.Root, "tools/matrix", "tools/kbuild")
	// Sets and mutant are compared with different trees, even if all patches make the
	// same tree of both.
	parts := []string{s.Name, cfg.String(), c.column.Defconfig, c.column.Compiler, c.column.WithoutSparse, text}
	if c.each {
		// The mutant decides which patches are compiled, and what they make.
		parts = append(parts, p.series.id, string(p.mutant.Mutant.diff))
	}
	return parts, err
}

// inspect compiles the last tree, or each that is changed. The sets themselves are
// compared with the kernel without them, a mutant with the sets.
func (c matrixCheck) inspect(ctx context.Context, s *Specimen, p pair) (*observation, error) {
	rows, err := c.rows(ctx, s, p)
	if err != nil {
		return nil, err
	}
	report, err := matrix.Run(ctx, c.Builder, []kbuild.ObjectSpec{c.column}, rows, 1)
	if err != nil {
		return nil, err
	}
	o := &observation{}
	var details bytes.Buffer
	err = report.WriteText(&details)
	o.Details = details.String()
	for _, cell := range report.Cells {
		where := c.column.Name
		if c.each {
			where += fmt.Sprintf(", patch %d", cell.Patch)
		}
		if cell.State == matrix.Failed {
			o.Findings = append(o.Findings, Complaint{where, cell.Error})
		}
		for _, w := range cell.New {
			o.Findings = append(o.Findings, Complaint{where, w.String()})
		}
	}
	return o, err
}

// rows returns what to compile, after what to compare it with.
func (c matrixCheck) rows(ctx context.Context, s *Specimen, p pair) ([]matrix.Row, error) {
	row := func(n int, t func(ctx context.Context) (tree.Tree, error)) matrix.Row {
		return matrix.Row{Patch: n, Subject: s.Name, Tree: t}
	}
	base := row(0, func(context.Context) (tree.Tree, error) { return c.Verify.Base, nil })
	if !c.each {
		if s.Mutant != nil {
			base = row(0, p.series.Tree)
		}
		return []matrix.Row{base, row(0, s.Tree)}, nil
	}

	// The patches whose files the mutant changes, and those between them.
	set := p.mutant.Mutant.Set
	own, on, err := s.set(ctx, set)
	if err != nil {
		return nil, err
	}
	changed := p.mutant.Mutant.change.Paths()
	from, to := 0, 0
	for _, patch := range own.Patches {
		if slices.Contains(changed, path.Join(PatchesDir, set, patch.Name)) {
			from, to = cmp.Or(from, patch.Number), patch.Number
		}
	}
	if from == 0 {
		return nil, fmt.Errorf("%s: the mutant changes no patch, there is nothing to compile", p.mutant.Name)
	}
	var rows []matrix.Row
	for n := from - 1; n <= to; n++ {
		rows = append(rows, row(n, func(ctx context.Context) (tree.Tree, error) {
			if n == 0 {
				return on, nil
			}
			return s.apply(ctx, own, on, n)
		}))
	}
	return rows, nil
}
