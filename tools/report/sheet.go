// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"slices"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// namePatched is the kernel that results are about, where there are several.
const namePatched = "patched"

// sheet is what is shown, in whichever form.
type sheet struct {
	r       *results.Results
	methods []figure.Method // those that have figures
	base    string          // column of the baseline, "" without any kernel
	against []string        // columns of the kernels that are compared with it
	kernels []string        // columns of all kernels
	fastest string          // column of the one that nothing can be faster than, or ""
	groups  []group
	largest int // vCPUs of the largest VM that vCPUs were looked up in
	index   map[results.Place]int
	shown   map[int]bool // figures that a page has a number of
	noise   noise
}

// group is all rows under one title.
type group struct {
	*figure.Group
	rows []row
	// decimals are those of each curve's figures on each method.
	decimals map[curve]int
}

// curve is the figures that differ by their size alone: they are shown with
// the same number of decimals.
type curve struct {
	method figure.Method
	series figure.Key
}

// row is one line: what was measured, of every kernel by every method. A row
// may stand for several sizes at which everything came out the same.
type row struct {
	key   figure.Key
	sizes []int
	cells map[cell]results.Figure
	// alike are the rows that it stands for besides.
	alike []row
}

// cell tells the figures of a row apart.
type cell struct {
	method figure.Method
	column string
}

func (r row) op() *figure.Operation { return r.key.Operation() }

func (r row) label() string { return r.op().LabelOf(r.key) }

// again is the column of a kernel's repetition.
func again(column string) string { return results.Boot{Kernel: column, Again: true}.Column() }

// newSheet lays out the figures of r.
func newSheet(r *results.Results) *sheet {
	s := &sheet{r: r, noise: noiseOf(r), index: r.Index(), shown: make(map[int]bool)}
	for i, k := range r.Kernels {
		s.kernels = append(s.kernels, k.Name)
		if i == 0 {
			s.base = k.Name
		} else {
			s.against = append(s.against, k.Name)
		}
		if k.Limit {
			s.fastest = k.Name
		}
	}
	// Variants have a table of their own.
	if len(s.against) > 1 && slices.Contains(s.against, namePatched) {
		s.against = []string{namePatched}
	}

	for _, m := range figure.Methods {
		if slices.ContainsFunc(r.Figures, func(f results.Figure) bool { return f.Method == m }) {
			s.methods = append(s.methods, m)
		}
	}
	for _, f := range r.Figures {
		switch f.Key.Op {
		case figure.Get, figure.ByID, figure.Walk, figure.Create, figure.CreateAll:
			s.largest = max(s.largest, f.Key.VCPUs)
		}
	}
	for i := range figure.Groups {
		if g := s.gather(&figure.Groups[i]); len(g.rows) > 0 {
			s.groups = append(s.groups, g)
		}
	}
	return s
}

// gather makes the rows of a group: one for each key, in the order in which
// their curves were measured, lookups of IDs that no vCPU has last.
func (s *sheet) gather(of *figure.Group) group {
	g := group{Group: of, decimals: make(map[curve]int)}
	rows := make(map[figure.Key]int)
	rank := make(map[figure.Key]int)
	for _, f := range s.r.Figures {
		op := f.Key.Operation()
		// The ordinals of one VM, the largest, say it all.
		if op.Group() != of || !op.Shown(f.Key) || f.Key.Op == figure.Create && f.Key.VCPUs != s.largest {
			continue
		}

		series := f.Key.Series()
		if _, ok := rank[series]; !ok {
			rank[series] = len(rank)
		}
		n, ok := rows[f.Key]
		if !ok {
			n = len(g.rows)
			rows[f.Key] = n
			g.rows = append(g.rows, row{key: f.Key, sizes: []int{f.Key.Size()}, cells: make(map[cell]results.Figure)})
		}
		g.rows[n].cells[cell{f.Method, f.Column}] = f
		c := curve{f.Method, series}
		g.decimals[c] = max(g.decimals[c], decimalsOf(f))
	}
	slices.SortStableFunc(g.rows, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(missingLast(a), missingLast(b)),
			cmp.Compare(rank[a.key.Series()], rank[b.key.Series()]),
			cmp.Compare(a.sizes[0], b.sizes[0]))
	})
	return g
}

func missingLast(r row) int {
	if r.key.Missing && r.key.Op == figure.ByID {
		return 1
	}
	return 0
}

// curves returns the group's rows, those of a curve together.
func (g group) curves() [][]row {
	var out [][]row
	for _, r := range g.rows {
		if n := len(out); n > 0 && out[n-1][0].key.Series() == r.key.Series() {
			out[n-1] = append(out[n-1], r)
		} else {
			out = append(out, []row{r})
		}
	}
	return out
}

// column is one column of cells.
type column struct {
	method figure.Method
	kernel string
	what   what
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
		out = append(out, column{m, s.base, value})
		if repetition {
			out = append(out, column{m, again(s.base), value})
		}
		for _, k := range s.against {
			out = append(out, column{m, k, value}, column{m, k, change})
		}
		if goals && s.hasGoals() {
			out = append(out, column{m, s.against[0], goal})
		}
	}
	return out
}

// everyKernel are the columns of a table that has all kernels side by side.
func (s *sheet) everyKernel(m figure.Method) []column {
	var out []column
	for _, k := range s.kernels {
		out = append(out, column{m, k, value})
	}
	return out
}

// hasVariants says that there are more kernels than the two that the first
// tables compare.
func (s *sheet) hasVariants() bool { return len(s.kernels) > 1+len(s.against) }

// merged returns the rows, those of a curve that follow each other and look the
// same in all these columns made one.
func (s *sheet) merged(g group, rows []row, columns []column) []row {
	var out []row
	for _, next := range rows {
		if n := len(out); n > 0 && s.lookAlike(g, out[n-1], next, columns) {
			out[n-1].sizes = append(slices.Clip(out[n-1].sizes), next.sizes...)
			out[n-1].alike = append(out[n-1].alike, next)
			continue
		}
		out = append(out, next)
	}
	return out
}

func (s *sheet) lookAlike(g group, a, b row, columns []column) bool {
	if a.key.Series() != b.key.Series() {
		return false
	}
	return !slices.ContainsFunc(columns, func(c column) bool { return s.text(g, a, c) != s.text(g, b, c) })
}

// text is a cell as it is shown, "" if there is nothing to show.
func (s *sheet) text(g group, r row, c column) string {
	switch c.what {
	case change:
		return s.change(r, c.method, c.kernel).String()
	case goal:
		return s.target(g, r, c.method).String()
	}
	return g.number(r, c.method, c.kernel)
}

// number is a figure as it is shown, "" if there is none.
func (g group) number(r row, m figure.Method, column string) string {
	f, ok := r.cells[cell{m, column}]
	if !ok {
		return ""
	}
	return number(f.Value, g.decimals[curve{m, r.key.Series()}])
}

// change compares a kernel with the baseline.
func (s *sheet) change(r row, m figure.Method, column string) difference {
	op := r.op()
	base, measured := r.cells[cell{m, s.base}]
	f, ok := r.cells[cell{m, column}]
	if !ok || !measured || op.Compare == figure.Chance {
		return difference{}
	}
	again, ok := r.cells[cell{m, again(s.base)}]
	if !ok {
		again = base
	}
	return compare(base, again, f, max(s.noise.floor(f), op.Apart))
}
