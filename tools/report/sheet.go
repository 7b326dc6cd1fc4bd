// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

// sheet is what is shown, in whichever form.
type sheet struct {
	r       *results.Results
	arms    []results.Method // those that have figures
	base    string           // column of the baseline, "" without any kernel
	against []string         // columns of the kernels that are compared with it
	kernels []string         // columns of all kernels
	fastest string           // column of the one that nothing can be faster than, or ""
	groups  []group
	largest int // vCPUs of the largest VM that vCPUs were looked up in
	raw     *raw
	noise   noise
}

// group is all figures of one kind.
type group struct {
	kind kind
	rows []row
	// decimals are those of each label's figures on each arm.
	decimals map[run]int
}

// run is the rows of one label on one arm: they are shown with the same
// number of decimals.
type run struct {
	arm   results.Method
	label string
}

// row is one line: what was measured, of every kernel on every arm. A row may
// stand for several sizes at which everything came out the same.
type row struct {
	label string
	name  string // the figure's own, if it is of no known kind
	sizes []int
	cells map[cell]results.Figure
	// alike are the rows that it stands for besides.
	alike []row
}

// cell tells the figures of a row apart.
type cell struct {
	arm    results.Method
	column string
}

// again is the column of a kernel's repetition.
func again(column string) string { return results.Boot{Kernel: column, Again: true}.Column() }

// newSheet lays out the figures of r.
func newSheet(r *results.Results) *sheet {
	s := &sheet{r: r, noise: noiseOf(r), raw: newRaw(r)}
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
	// What variants are worth is a table of its own.
	if len(s.against) > 1 && slices.Contains(s.against, namePatched) {
		s.against = []string{namePatched}
	}
	for _, arm := range results.Methods {
		if slices.ContainsFunc(r.Figures, func(f results.Figure) bool { return f.Method == arm }) {
			s.arms = append(s.arms, arm)
		}
	}
	shapes := make([]shape, len(r.Figures))
	for i, f := range r.Figures {
		shapes[i] = parseShape(f.Name)
		if shapes[i].op != memory && !shapes[i].stall() && !shapes[i].usage() && !shapes[i].race() {
			s.largest = max(s.largest, shapes[i].vcpus)
		}
	}
	s.groups = make([]group, 0, numKinds)
	for k := range numKinds {
		if g := s.gather(k, shapes); len(g.rows) > 0 {
			s.groups = append(s.groups, g)
		}
	}
	return s
}

// gather makes the group of one kind, a row for each size.
func (s *sheet) gather(k kind, shapes []shape) group {
	type key struct {
		label, name string
		size        int
	}
	g := group{kind: k, decimals: make(map[run]int)}
	rows := make(map[key]int)
	labels := make(map[string]int)
	for i, f := range s.r.Figures {
		kind, label, size, ok := shapes[i].place(s.largest)
		if kind != k || !ok {
			continue
		}
		at := key{label: label, size: size}
		if kind == kindOther {
			at.name = f.Name
		}
		n, ok := rows[at]
		if !ok {
			n = len(g.rows)
			rows[at] = n
			g.rows = append(g.rows, row{label: label, name: at.name, sizes: []int{size}, cells: make(map[cell]results.Figure)})
			if _, ok := labels[label]; !ok {
				labels[label] = len(labels)
			}
		}
		g.rows[n].cells[cell{f.Method, f.Column}] = f
		runOf := run{f.Method, label}
		g.decimals[runOf] = max(g.decimals[runOf], decimalsOf(f))
	}
	slices.SortStableFunc(g.rows, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(missingLast(a.label), missingLast(b.label)),
			cmp.Compare(labels[a.label], labels[b.label]),
			cmp.Compare(a.sizes[0], b.sizes[0]))
	})
	return g
}

func missingLast(label string) int {
	if strings.HasPrefix(label, missing) {
		return 1
	}
	return 0
}

// merged returns the group's rows, those that follow each other and look the
// same in every column made one.
func (s *sheet) merged(g group) []row {
	var out []row
	for _, next := range g.rows {
		if n := len(out); n > 0 && g.kind != kindOther && s.alike(g, out[n-1], next) {
			out[n-1].sizes = append(slices.Clip(out[n-1].sizes), next.sizes...)
			out[n-1].alike = append(out[n-1].alike, next)
			continue
		}
		out = append(out, next)
	}
	return out
}

func (s *sheet) alike(g group, a, b row) bool {
	if a.label != b.label {
		return false
	}
	for _, arm := range s.arms {
		for _, column := range append([]string{s.base, again(s.base)}, s.against...) {
			if g.text(a, arm, column) != g.text(b, arm, column) {
				return false
			}
		}
		for _, column := range s.against {
			if s.change(a, arm, column).String() != s.change(b, arm, column).String() {
				return false
			}
		}
		if s.limit(g, a, arm).String() != s.limit(g, b, arm).String() {
			return false
		}
	}
	return true
}

// text is a cell as it is shown, "" if there is no such figure.
func (g group) text(r row, arm results.Method, column string) string {
	f, ok := r.cells[cell{arm, column}]
	if !ok {
		return ""
	}
	return number(f.Value, g.decimals[run{arm, r.label}])
}

// change compares a kernel with the baseline.
func (s *sheet) change(r row, arm results.Method, column string) change {
	base, ok := r.cells[cell{arm, s.base}]
	if !ok {
		return change{}
	}
	f, ok := r.cells[cell{arm, column}]
	if !ok {
		return change{}
	}
	again, ok := r.cells[cell{arm, again(s.base)}]
	if !ok {
		again = base
	}
	sh := parseShape(f.Name)
	if sh.chance() {
		return change{} // see stallExplanations
	}
	floor := s.noise.floor(arm, f.Unit, r.sizes[0])
	if sh.op == opStart {
		floor = max(floor, betweenStarts) // see usageExplanations
	}
	return compare(base, again, f, floor)
}
