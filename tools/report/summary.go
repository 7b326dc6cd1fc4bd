// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"slices"

	"vcpulab/tools/figure"
)

// answer is one line of the page's tables: in the first ones an operation over all
// sizes that were measured.
type answer struct {
	First  bool   // it is on the first screen
	Code   string // a name of C, "" for what is none
	What   string
	Sizes  string
	Base   []quoted
	Again  quoted // of the baseline again, without a text if it looks the same
	Others []other
	Target targetSpan
	rows   []row
}

// other is what a kernel besides the baseline gave.
type other struct {
	Kernel string
	Value  []quoted
	Change string
	Class  string // of the page's style
	Sign   string // points the same way as the colour
}

// answers sum up what a method gave, one line for each operation.
func (s *sheet) answers(m figure.Method) []answer {
	var out []answer
	for _, g := range s.groups {
		for _, rows := range s.summed(g) {
			if !slices.ContainsFunc(rows, func(r row) bool { return r.measuredBy(m) }) {
				continue
			}
			of, key := rows[0].op().Summary, rows[0].key
			out = append(out, answer{
				First: of.First.Or(false, key), Code: of.Code.Of(key), What: of.What(key), Sizes: sizesOver(rows),
				Base: s.over(rows, cell{m, s.base}), Others: s.others(rows, m), Target: s.targetOver(rows, m), rows: rows,
			})
		}
	}
	return out
}

// others are what the kernels that are compared gave.
func (s *sheet) others(rows []row, m figure.Method) []other {
	return each(s.against, func(k string) other { return s.other(rows, cell{m, k}) })
}

// other is what a kernel gave over the rows, with the span of its changes from the
// worst to the best.
func (s *sheet) other(rows []row, c cell) other {
	out := other{Kernel: c.column, Value: s.over(rows, c)}
	all := slices.DeleteFunc(each(rows, func(r row) difference { return s.change(r, c) }), func(d difference) bool { return d.Verdict == unknown })
	if len(all) == 0 {
		return out
	}

	slices.SortStableFunc(all, func(a, b difference) int { return cmp.Compare(b.order(), a.order()) })
	worst, best := all[0], all[len(all)-1]
	look := looks[worst.Verdict]
	if w, b := worst.Verdict, best.Verdict; w != b && (b == Better || b == Worse) {
		look = looks[best.Verdict]
		if w == Worse {
			look.class, look.sign = "mixed", "◆"
		}
	}
	out.Change, out.Class, out.Sign = spanOf(worst, best), look.class, look.sign
	return out
}

// summed returns the rows that each line of the answers sums up.
func (s *sheet) summed(g *group) [][]row {
	var out [][]row
	for _, c := range g.curves {
		rows := slices.Clone(c.rows)
		of := rows[0].op().Summary
		if of == nil || !of.Of.Or(true, rows[0].key) {
			continue
		}
		if of.Largest {
			rows = slices.DeleteFunc(rows, func(r row) bool { return r.key.VCPUs != s.Largest })
		}
		switch n := len(out); {
		case len(rows) == 0:
		case of.Together && n > 0:
			out[n-1] = append(out[n-1], rows...)
		default:
			out = append(out, rows)
		}
	}
	return out
}

// sizesOver says over which sizes the rows reach.
func sizesOver(rows []row) string {
	if rows[0].Sizes == "" {
		return ""
	}
	first, last := rows[0].sizes[0], rows[0].sizes[0]
	for _, r := range rows {
		first, last = min(first, r.sizes[0]), max(last, r.sizes[0])
	}

	unit := rows[0].Sizes
	if rows[0].key.Op == figure.Create {
		unit += " already"
	}
	switch {
	case first != last:
		return fmt.Sprintf("%d to %d %s", first, last, unit)
	case first == 1 && rows[0].key.Op != figure.Create:
		return "1 vCPU"
	}
	return fmt.Sprintf("%d %s", first, unit)
}

// over is the span of a kernel's figures over the rows: the smallest and the
// largest, or one if they look the same.
func (s *sheet) over(rows []row, c cell) []quoted {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { _, ok := r.cells[c]; return !ok })
	if len(rows) == 0 {
		return nil
	}

	byValue := func(a, b row) int { return cmp.Compare(a.cells[c].Value, b.cells[c].Value) }
	lo, hi := slices.MinFunc(rows, byValue), slices.MaxFunc(rows, byValue)
	if lo.number(c) == hi.number(c) {
		return []quoted{s.quote(lo, c)}
	}
	return []quoted{s.quote(lo, c), s.quote(hi, c)}
}
