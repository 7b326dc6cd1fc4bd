// SPDX-License-Identifier: GPL-2.0-only

// Package report shows people what was measured: Table on a terminal, Markdown
// in a README or a cover letter, HTML as a page with plots. All three show the
// same sheet, which is drawn from the figures of results.Results alone; the
// plots of creations are drawn from its raw samples.
//
// A number never stands without its unit, and a unit says which method it is
// from: instructions are counted by QEMU's TCG and are never shown as time,
// nanoseconds are from a real processor and stand in columns of their own.
package report

import (
	"cmp"
	"slices"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

const namePatched = "patched" // the kernel that results are about, where there are several

// sheet is what is shown, in whichever form. The page's template calls its
// exported methods.
type sheet struct {
	*results.Results
	noise
	methods []figure.Method // those that have figures
	base    string          // column of the baseline, "" without any kernel
	against []string        // columns of the kernels that are compared with it
	kernels []string        // columns of all kernels
	Fastest string          // column of the one that nothing can be faster than, or ""
	groups  []*group
	Largest int // vCPUs of the largest VM that vCPUs were looked up in
	index   map[results.Place]int
	shown   map[int]bool // figures that a page has a number of
}

// group is all curves under one title.
type group struct {
	*figure.Group
	curves []*curve
}

// curve is the figures that differ by their size alone, in its order: they are
// shown with the same number of decimals.
type curve struct {
	*group
	rows     []row
	decimals map[figure.Method]int
}

// row is one line: what was measured, of every kernel by every method. A row
// may stand for several sizes at which everything came out the same.
type row struct {
	*curve
	key   figure.Key
	sizes []int
	cells map[cell]results.Figure
	alike []row // the rows that it stands for besides
}

// cell tells the figures of a row apart.
type cell struct {
	method figure.Method
	column string
}

// measuredBy tells whether there is a figure by a method.
func (r row) measuredBy(m figure.Method) bool {
	for c := range r.cells {
		if c.method == m {
			return true
		}
	}
	return false
}

func (g *group) rows() []row {
	var out []row
	for _, c := range g.curves {
		out = append(out, c.rows...)
	}
	return out
}

func (r row) op() *figure.Operation { return r.key.Operation() }

func (r row) label() string { return r.op().Label.Of(r.key) }

// again is the column of a kernel's repetition.
func again(column string) string { return results.Which{Kernel: column, Again: true}.Column() }

// newSheet lays out the figures of r.
func newSheet(r *results.Results) *sheet {
	s := &sheet{Results: r, noise: noiseOf(r), index: r.Index(), shown: make(map[int]bool)}
	for _, k := range r.Kernels {
		s.kernels = append(s.kernels, k.Name)
		if k.Limit {
			s.Fastest = k.Name
		}
	}
	if len(s.kernels) > 0 {
		s.base, s.against = s.kernels[0], s.kernels[1:]
	}
	// Variants have a table of their own.
	if len(s.against) > 1 && slices.Contains(s.against, namePatched) {
		s.against = []string{namePatched}
	}

	s.methods = slices.DeleteFunc(slices.Clone(figure.Methods), func(m figure.Method) bool {
		return !slices.ContainsFunc(r.Figures, func(f results.Figure) bool { return f.Method == m })
	})
	for _, f := range r.Figures {
		switch f.Key.Op {
		case figure.Get, figure.ByID, figure.Walk, figure.Create, figure.CreateAll:
			s.Largest = max(s.Largest, f.Key.VCPUs)
		}
	}
	for i := range figure.Groups {
		if g := s.gather(&figure.Groups[i]); len(g.curves) > 0 {
			s.groups = append(s.groups, g)
		}
	}
	return s
}

// gather makes the curves of a group, in the order in which they were measured,
// lookups of IDs that no vCPU has last.
func (s *sheet) gather(of *figure.Group) *group {
	g := &group{Group: of}
	curves := make(map[figure.Key]*curve)
	for _, f := range s.Figures {
		op := f.Key.Operation()
		// The ordinals of one VM, the largest, say it all.
		if op.Group != of || !op.Shown(f.Key) || f.Key.Op == figure.Create && f.Key.VCPUs != s.Largest {
			continue
		}

		series := f.Key.Series()
		c := curves[series]
		if c == nil {
			c = &curve{group: g, decimals: make(map[figure.Method]int)}
			curves[series] = c
			g.curves = append(g.curves, c)
		}
		n := slices.IndexFunc(c.rows, func(r row) bool { return r.key == f.Key })
		if n < 0 {
			n = len(c.rows)
			c.rows = append(c.rows, row{curve: c, key: f.Key, sizes: []int{f.Key.Size()}, cells: make(map[cell]results.Figure)})
		}
		c.rows[n].cells[cell{f.Method, f.Column}] = f
		c.decimals[f.Method] = max(c.decimals[f.Method], decimalsOf(f))
	}

	for _, c := range g.curves {
		slices.SortFunc(c.rows, func(a, b row) int { return cmp.Compare(a.sizes[0], b.sizes[0]) })
	}
	last := func(c *curve) int {
		if k := c.rows[0].key; k.Missing && k.Op == figure.ByID {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(g.curves, func(a, b *curve) int { return last(a) - last(b) })
	return g
}

// boots are those of a column by a method.
func (s *sheet) boots(m figure.Method, column string) []results.Boot {
	return slices.DeleteFunc(slices.Clone(s.Boots), func(b results.Boot) bool { return b.Method != m || b.Column() != column })
}

func (s *sheet) curves() []*curve {
	var out []*curve
	for _, g := range s.groups {
		out = append(out, g.curves...)
	}
	return out
}

// column is one column of cells.
type column struct {
	cell
	what what
}

// what is what a column says of a kernel.
type what int

const (
	value  what = iota
	change      // how it differs from the baseline
	goal        // what it is held to
)

// columns are those of a table that compares kernels, a method after the other.
// With repetition the baseline's second column is one of them.
func (s *sheet) columns(repetition, goals bool, methods ...figure.Method) []column {
	var out []column
	for _, m := range methods {
		out = append(out, column{cell{m, s.base}, value})
		if repetition {
			out = append(out, column{cell{m, again(s.base)}, value})
		}
		for _, k := range s.against {
			out = append(out, column{cell{m, k}, value}, column{cell{m, k}, change})
		}
		if goals && s.HasGoals() {
			out = append(out, column{cell{m, s.against[0]}, goal})
		}
	}
	return out
}

// everyKernel are the columns of a table that has all kernels side by side.
func (s *sheet) everyKernel(m figure.Method) []column {
	return each(s.kernels, func(k string) column { return column{cell{m, k}, value} })
}

// Compared are the baseline and the kernels that are compared with it.
func (s *sheet) Compared() []string { return append([]string{s.base}, s.against...) }

// HasVariants says that there are more kernels than the two that the first
// tables compare.
func (s *sheet) HasVariants() bool { return len(s.kernels) > 1+len(s.against) }

// merged returns a group's rows, those of a curve that follow each other and look
// the same in all these columns made one.
func (s *sheet) merged(g *group, columns []column) []row {
	var out []row
	for _, c := range g.curves {
		first := len(out)
		for _, next := range c.rows {
			n := len(out) - 1
			if n < first || slices.ContainsFunc(columns, func(c column) bool { return s.text(out[n], c) != s.text(next, c) }) {
				out = append(out, next)
				continue
			}
			out[n].sizes = append(slices.Clip(out[n].sizes), next.sizes...)
			out[n].alike = append(out[n].alike, next)
		}
	}
	return out
}

// text is a cell as it is shown, "" if there is nothing to show.
func (s *sheet) text(r row, c column) string {
	switch c.what {
	case change:
		return s.change(r, c.cell).String()
	case goal:
		return s.target(r, c.method).String()
	}
	return r.number(c.cell)
}

// number is a figure as it is shown, "" if there is none.
func (r row) number(c cell) string {
	f, ok := r.cells[c]
	if !ok {
		return ""
	}
	return number(f.Value, r.decimals[c.method])
}

// change compares a kernel with the baseline.
func (s *sheet) change(r row, c cell) difference {
	op := r.op()
	base, measured := r.cells[cell{c.method, s.base}]
	f, ok := r.cells[c]
	if !ok || !measured || op.Compare == figure.Chance {
		return difference{}
	}
	again, ok := r.cells[cell{c.method, again(s.base)}]
	if !ok {
		again = base
	}
	return compare(base, again, f, max(s.floor(f), op.Apart))
}
