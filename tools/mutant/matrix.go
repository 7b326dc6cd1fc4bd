// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// matrixCheck compiles KVM for a column of the build matrix.
type matrixCheck struct {
	root     string
	column   kbuild.ObjectSpec
	each     bool
	compiler matrix.Compiler
}

// newMatrixCheck returns the check of a column.
func (r *Runner) newMatrixCheck(k Killer) (check, error) {
	i := slices.IndexFunc(r.Columns, columnNamed(k.Column))
	if i < 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("the build matrix has no column %q", k.Column))
	}
	return matrixCheck{root: r.Root, column: r.Columns[i], each: k.Each, compiler: r.Builder}, nil
}

func columnNamed(name string) func(kbuild.ObjectSpec) bool {
	return func(c kbuild.ObjectSpec) bool { return c.Name == name }
}

func (c matrixCheck) parts(s *Specimen, p pair) ([]string, error) {
	cfg, err := kbuild.ReadFragments(c.column.Fragments...)
	if err != nil {
		return nil, err
	}
	text, err := sources(c.root, "tools/matrix", "tools/kbuild")
	parts := []string{cfg.String(), c.column.Defconfig, c.column.Compiler, c.column.WithoutSparse, text}
	if c.each {
		// The mutant decides which patches are compiled.
		parts = append(parts, p.mutant.ID)
	}
	return parts, err
}

// inspect compiles the last tree, or each that is changed. The series itself is
// compared with the kernel without it, a mutant with the series.
func (c matrixCheck) inspect(ctx context.Context, s *Specimen, p pair) (*observation, error) {
	rows, err := c.rows(s, p)
	if err != nil {
		return nil, err
	}
	report, err := matrix.Run(ctx, renamed{c.compiler, s.Name}, []kbuild.ObjectSpec{c.column}, rows, 1)
	if err != nil {
		return nil, err
	}
	o := &observation{}
	var details bytes.Buffer
	if err := report.WriteText(&details); err != nil {
		return nil, err
	}
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
	return o, nil
}

// rows returns what to compile, after what to compare it with.
func (c matrixCheck) rows(s *Specimen, p pair) ([]matrix.Row, error) {
	row := func(s *Specimen, n int) matrix.Row {
		return matrix.Row{Patch: n, Subject: s.Name, Tree: func(ctx context.Context) (tree.Tree, error) { return s.Tree(ctx, n) }}
	}
	if !c.each {
		before := row(p.series, 0)
		if s == p.series {
			before = matrix.Row{Subject: "Linux " + s.Base.Version, Tree: func(context.Context) (tree.Tree, error) { return s.Base, nil }}
		}
		return []matrix.Row{before, row(s, 0)}, nil
	}
	from, to, err := p.changed()
	if err != nil {
		return nil, err
	}
	rows := []matrix.Row{row(p.series, from-1)}
	if from == 1 {
		rows[0].Tree = func(context.Context) (tree.Tree, error) { return s.Base, nil }
	}
	for n := from; n <= to; n++ {
		rows = append(rows, row(s, n))
	}
	return rows, nil
}

// changed returns the first and the last patch after which the mutant's tree
// differs from that of the series.
func (p pair) changed() (from, to int, err error) {
	was, err := p.series.Series()
	if err != nil {
		return 0, 0, err
	}
	is, err := p.mutant.Series()
	if err != nil {
		return 0, 0, err
	}
	if len(was.Patches) != len(is.Patches) {
		return 0, 0, &barredError{"the series has another number of patches", fmt.Errorf("%d, not %d", len(is.Patches), len(was.Patches))}
	}
	for n := 1; n <= len(was.Patches); n++ {
		a, _, err := was.Overlay(p.series.Base, series.Options{Through: n})
		if err != nil {
			return 0, 0, err
		}
		b, _, err := is.Overlay(p.series.Base, series.Options{Through: n})
		if err != nil {
			return 0, 0, &barredError{"the series does not apply", err}
		}
		if maps.EqualFunc(a, b, bytes.Equal) {
			continue
		}
		if to = n; from == 0 {
			from = n
		}
	}
	if from == 0 {
		return 0, 0, fmt.Errorf("%s: the mutant changes no tree that the series makes, there is nothing to compile", p.mutant.Name)
	}
	return from, to, nil
}

// renamed is a compiler that names its trees after the mutant.
type renamed struct {
	matrix.Compiler
	name string
}

// Objects implements [matrix.Compiler].
func (r renamed) Objects(ctx context.Context, name string, t tree.Tree, spec kbuild.ObjectSpec) (*kbuild.Objects, error) {
	return r.Compiler.Objects(ctx, strings.TrimSuffix(r.name+", "+name, ", base"), t, spec)
}
