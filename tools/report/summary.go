// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"slices"

	"vcpulab/tools/figure"
)

// answer is one line of the page's first tables: an operation over all sizes
// that were measured.
type answer struct {
	First  bool   // it is on the first screen
	Code   string // a name of C, "" for what is none
	What   string
	Sizes  string
	Base   []quoted
	Others []other
	Target targetSpan
	Values [][]quoted // of all kernels
	costs  bool       // in the method's unit
}

// other is what a kernel besides the baseline gave.
type other struct {
	Value  []quoted
	Change string
	Class  string // of the page's style
	Sign   string // points the same way as the colour
}

// answers sum up the sheet, one line for each operation.
func (s *sheet) answers(m figure.Method) []answer {
	var out []answer
	for _, g := range s.groups {
		for _, rows := range s.summed(g) {
			of, key := rows[0].op().Summary, rows[0].key
			a := answer{
				First: of.First != nil && of.First(key), What: of.What(key), Sizes: sizesOver(g, rows),
				Base: s.over(g, rows, m, s.base), Target: s.targetOver(g, rows, m), costs: rows[0].op().Unit.Cost,
			}
			if of.Code != nil {
				a.Code = of.Code(key)
			}
			for _, k := range s.against {
				o := other{Value: s.over(g, rows, m, k)}
				o.Change, o.Class, o.Sign = s.changesOver(rows, m, k)
				a.Others = append(a.Others, o)
			}
			if s.hasVariants() {
				for _, k := range s.kernels {
					a.Values = append(a.Values, s.over(g, rows, m, k))
				}
			}
			out = append(out, a)
		}
	}
	return out
}

// summed returns the rows that each line of the answers sums up.
func (s *sheet) summed(g group) [][]row {
	var out [][]row
	for _, rows := range g.curves() {
		of := rows[0].op().Summary
		if of == nil || of.Of != nil && !of.Of(rows[0].key) {
			continue
		}
		if of.Largest {
			rows = slices.DeleteFunc(rows, func(r row) bool { return r.key.VCPUs != s.largest })
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
func sizesOver(g group, rows []row) string {
	if g.Sizes == "" {
		return ""
	}
	first, last := rows[0].sizes[0], rows[0].sizes[0]
	for _, r := range rows {
		first, last = min(first, r.sizes[0]), max(last, r.sizes[0])
	}

	unit := " " + g.Sizes
	if rows[0].key.Op == figure.Create {
		unit += " already"
	}
	switch {
	case first != last:
		return fmt.Sprintf("%d to %d%s", first, last, unit)
	case first == 1 && rows[0].key.Op != figure.Create:
		return "1 vCPU"
	}
	return fmt.Sprintf("%d%s", first, unit)
}

// over is the span of a kernel's figures over the rows: the smallest and the
// largest, or one if they look the same.
func (s *sheet) over(g group, rows []row, m figure.Method, column string) []quoted {
	c := cell{m, column}
	var all []row
	for _, r := range rows {
		if _, ok := r.cells[c]; ok {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil
	}

	byValue := func(a, b row) int { return cmp.Compare(a.cells[c].Value, b.cells[c].Value) }
	lo, hi := slices.MinFunc(all, byValue), slices.MaxFunc(all, byValue)
	if g.number(lo, m, column) == g.number(hi, m, column) {
		return []quoted{s.quote(g, lo, m, column)}
	}
	return []quoted{s.quote(g, lo, m, column), s.quote(g, hi, m, column)}
}

// changesOver is the span of a kernel's changes over the rows, from the
// worst to the best.
func (s *sheet) changesOver(rows []row, m figure.Method, column string) (text, class, sign string) {
	var all []difference
	for _, r := range rows {
		if c := s.change(r, m, column); c.trend != unknown {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return "", "", ""
	}

	slices.SortStableFunc(all, func(a, b difference) int { return cmp.Compare(b.order(), a.order()) })
	worst, best := all[0], all[len(all)-1]
	class, sign = worst.trend.look()
	if w, b := worst.trend, best.trend; w != b && (b == better || b == worse) {
		class, sign = b.look()
		if w == worse {
			class, sign = "mixed", "◆"
		}
	}
	return spanOf(worst, best), class, sign
}
