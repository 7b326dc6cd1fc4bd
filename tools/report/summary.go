// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

// answer is one line of the page's first table: an operation over all sizes
// that were measured.
type answer struct {
	kind   kind
	Code   string // a name of C, "" for what is none
	What   string
	Sizes  string
	Base   []quoted
	Others []other
	Limit  limitSpan
}

// other is what a kernel besides the baseline gave.
type other struct {
	Value  []quoted
	Change string
	Class  string // of the page's style
	Sign   string // points the same way as the colour
}

// answers sum up the sheet, an operation a line.
func (s *sheet) answers(arm results.Method) []answer {
	var out []answer
	for _, g := range s.groups {
		for _, rows := range s.lines(g) {
			a := answer{kind: g.kind, Base: s.over(g, rows, arm, s.base)}
			a.Code, a.What = g.headline(rows[0])
			a.Sizes = sizesOver(g.kind, rows)
			for _, k := range s.against {
				o := other{Value: s.over(g, rows, arm, k)}
				o.Change, o.Class, o.Sign = s.changesOver(rows, arm, k)
				a.Others = append(a.Others, o)
			}
			a.Limit = s.limitOver(g, rows, arm)
			out = append(out, a)
		}
	}
	return out
}

// lines returns the rows that each line of the answers sums up: those of a
// label; of a creation all, because its cost does not hang on the IDs; of
// building VMs the largest.
func (s *sheet) lines(g group) [][]row {
	var out [][]row
	for _, r := range g.rows {
		switch n := len(out); {
		case g.kind == kindOther:
			continue
		case g.kind.stall() && !g.inAnswers(r), g.kind == kindRate, g.kind == kindCycles:
			continue
		case (g.kind == kindRead || g.kind == kindInsert || g.kind == kindSlower) && !g.inRaceAnswers(r):
			continue
		// Its parts are in the tables.
		case g.kind == kindBuild && (r.sizes[0] != s.largest || strings.Contains(r.label, ", ")):
			continue
		case g.kind == kindGrowth && r.sizes[0] != s.largest:
			continue
		case n > 0 && (out[n-1][0].label == r.label || (g.kind == kindCreate || g.kind == kindWaits)):
			out[n-1] = append(out[n-1], r)
		default:
			out = append(out, []row{r})
		}
	}
	return out
}

// headline names an operation.
func (g group) headline(r row) (code, what string) {
	title, per, _ := g.kind.about()
	switch g.kind {
	case kindGet, kindByID:
		return title, r.label
	case kindWalk:
		return title, "per vCPU"
	case kindCreate:
		return "KVM_CREATE_VCPU", "one ioctl"
	case kindBuild:
		return "KVM_CREATE_VCPU", "all of a VM, " + r.label
	case kindGrowth:
		return "KVM_CREATE_VCPU", "one of the last over one of the first, " + r.label
	case kindWaits:
		return "KVM_CREATE_VCPU", "grace periods waited for"
	case kindGap, kindLongest, kindGrowWaits, kindSlots, kindStalled:
		return g.stallHeadline(r)
	case kindStart:
		return "", "Start of a VM until " + r.label
	case kindPath:
		return "", r.label + ", a call of KVM's function for it"
	case kindSlower:
		return g.raceHeadline(r)
	case kindMemory:
		return "", "Memory of what holds vCPUs, " + per + ", " + r.label
	case kindObject:
		return r.label, "memory, " + per
	case kindSizeof:
		return "sizeof(" + r.label + ")", per
	}
	return "", title
}

// sizesOver says over which sizes the rows reach.
func sizesOver(k kind, rows []row) string {
	_, _, unit := k.about()
	if unit == "" {
		return ""
	}
	first, last := rows[0].sizes[0], rows[0].sizes[0]
	for _, r := range rows {
		first, last = min(first, r.sizes[0]), max(last, r.sizes[0])
	}
	switch {
	case first == last && k == kindCreate:
		return fmt.Sprintf("%d there already", first)
	case k == kindCreate:
		return fmt.Sprintf("%d to %d there already", first, last)
	case first == last:
		return count(first, "vCPU")
	}
	return fmt.Sprintf("%d to %d vCPUs", first, last)
}

// over is the span of a kernel's figures over the rows: the smallest and the
// largest, or one if they look the same.
func (s *sheet) over(g group, rows []row, arm results.Method, column string) []quoted {
	var all []row
	for _, r := range rows {
		if _, ok := r.cells[cell{arm, column}]; ok {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil
	}
	value := func(a, b row) int {
		return cmp.Compare(a.cells[cell{arm, column}].Value, b.cells[cell{arm, column}].Value)
	}
	lo, hi := slices.MinFunc(all, value), slices.MaxFunc(all, value)
	if g.text(lo, arm, column) == g.text(hi, arm, column) {
		return []quoted{s.quote(g, lo, arm, column)}
	}
	return []quoted{s.quote(g, lo, arm, column), s.quote(g, hi, arm, column)}
}

// changesOver is the span of a kernel's changes over the rows, from the
// worst to the best.
func (s *sheet) changesOver(rows []row, arm results.Method, column string) (text, class, sign string) {
	var all []change
	for _, r := range rows {
		if c := s.change(r, arm, column); c.verdict != unknown {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return "", "", ""
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(b.order(), a.order()) })
	worst, best := all[0], all[len(all)-1]
	class, sign = worst.verdict.look()
	if w, b := worst.verdict, best.verdict; w != b && (b == better || b == worse) {
		class, sign = b.look()
		if w == worse {
			class, sign = "mixed", "◆"
		}
	}
	return spanOf(worst, best), class, sign
}

// spanOf says from where to where changes go.
func spanOf(worst, best change) string {
	from, to := worst.page(), best.page()
	changed := func(c change) bool { return c.verdict == better || c.verdict == worse }
	switch {
	case from == to:
		return from
	case !changed(worst) && !changed(best):
		return "≈ within noise"
	case !changed(worst):
		return "up to " + to
	case !changed(best):
		return "up to " + from
	case worst.verdict != best.verdict || worst.word == "":
		return from + " to " + to
	}
	// Both the same way: in the same form, too.
	a, b := worst.short(), best.short()
	if strings.HasSuffix(a, "%") != strings.HasSuffix(b, "%") {
		a, b = worst.times(), best.times()
	}
	return a + " – " + b + " " + best.word
}

// times is how often the one fits into the other.
func (c change) times() string {
	r := c.ratio
	if r < 1 {
		r = 1 / r
	}
	digits := 2
	if r >= 2 {
		digits = 1
	}
	if r >= 10 {
		digits = 0
	}
	return number(r, digits) + "×"
}

// order puts changes in a row: the larger, the worse.
func (c change) order() float64 {
	if !math.IsNaN(c.ratio) {
		if c.rate {
			return 1 / c.ratio
		}
		return c.ratio
	}
	switch c.verdict {
	case better:
		return 0
	case worse:
		return math.Inf(1)
	}
	return 1
}

// page is String as it is set on a page.
func (c change) page() string {
	switch {
	case c.verdict == within:
		return "≈ " + c.amount
	case c.word == "":
		return c.String()
	}
	return c.short() + " " + c.word
}

func (c change) short() string { return strings.Replace(c.amount, "x", "×", 1) }

// look is how a verdict is shown: a class for the colour, and a sign for
// those who do not see it.
func (v verdict) look() (class, sign string) {
	switch v {
	case better:
		return "better", "▼"
	case worse:
		return "worse", "▲"
	case same:
		return "same", "="
	case within: // says so itself
		return "same", ""
	}
	return "", ""
}
