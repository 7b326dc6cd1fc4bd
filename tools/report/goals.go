// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"vcpulab/tools/figure"
)

// target is what a figure of the patched kernel is held to: the figure of the
// kernel that nothing can be faster than, where there is one, else the goal.
type target struct {
	known    bool
	limit    bool // measured on another kernel
	value    float64
	decimals int
	outcome  figure.Outcome
	sizes    []int
}

// hasGoals says that there is one kernel that is held to something.
func (s *sheet) hasGoals() bool { return len(s.against) == 1 && s.base != "" }

// judge says whether the patched kernel's figure of a row meets its goal.
func (s *sheet) judge(r row, m figure.Method) figure.Goal {
	if !s.hasGoals() {
		return figure.Goal{}
	}
	base, measured := r.cells[cell{m, s.base}]
	c := figure.Case{
		Key: r.key, Method: m, Base: base.Value, Measured: measured,
		CheapRCU: s.r.Kernels[0].RCU == "non-preemptible",
	}
	f, ok := r.cells[cell{m, s.against[0]}]
	if !ok {
		f.Value = math.Inf(-1) // what was not measured misses nothing
	}
	return figure.Judge(c, f.Value)
}

// target returns what a row is held to.
func (s *sheet) target(g group, r row, m figure.Method) target {
	if !s.hasGoals() {
		return target{}
	}
	decimals := g.decimals[curve{m, r.key.Series()}]

	// An array is the fastest way from an index to a vCPU, and nothing else.
	if byIndex := r.op().ByIndex; s.fastest != "" && byIndex != nil && byIndex(r.key) {
		if f, ok := r.cells[cell{m, s.fastest}]; ok {
			return target{known: true, limit: true, value: f.Value, decimals: decimals}
		}
	}

	goal := s.judge(r, m)
	if goal.Outcome == figure.NoGoal {
		return target{}
	}
	return target{known: true, value: goal.Value, decimals: max(r.op().Unit.Decimals, 0), outcome: goal.Outcome, sizes: r.sizes}
}

// String is the target as a cell of a table shows it.
func (t target) String() string {
	switch {
	case !t.known:
		return ""
	case t.limit:
		return number(t.value, t.decimals)
	case t.outcome == figure.Missed:
		return "<= " + number(t.value, t.decimals) + " missed"
	}
	return "<= " + number(t.value, t.decimals)
}

// targetTitle heads the column of goals.
func (s *sheet) targetTitle() string {
	if s.fastest != "" {
		return "limit, goal"
	}
	return "goal"
}

// targetSentence says what limits and goals are.
func (s *sheet) targetSentence() string {
	if !s.hasGoals() {
		return ""
	}
	text := "Goals (<=) are what the series is held to."
	if s.fastest != "" {
		text = fmt.Sprintf("Limit: what %s takes to look vCPUs up by index, which nothing can be faster than. ", s.fastest) + text
	}
	return text
}

// targetSpan is what several rows are held to, as the page shows it.
type targetSpan struct {
	Before  string   // "≤"
	Numbers []quoted // those that were measured lead to their samples
	After   string   // at which sizes it is missed
	Missed  bool
}

// targetOver sums up what several rows are held to.
func (s *sheet) targetOver(g group, rows []row, m figure.Method) targetSpan {
	var all []target
	var limits []row
	var at []int
	for _, r := range rows {
		t := s.target(g, r, m)
		if !t.known {
			continue
		}
		all = append(all, t)
		if t.limit {
			limits = append(limits, r)
		}
		if t.outcome == figure.Missed {
			at = append(at, t.sizes...)
		}
	}
	if len(all) == 0 {
		return targetSpan{}
	}
	if len(limits) == len(all) {
		return targetSpan{Numbers: s.over(g, limits, m, s.fastest)}
	}

	byValue := func(a, b target) int { return cmp.Compare(a.value, b.value) }
	lowest, highest := slices.MinFunc(all, byValue), slices.MaxFunc(all, byValue)
	lo, hi := number(lowest.value, lowest.decimals), number(highest.value, highest.decimals)
	out := targetSpan{Before: "≤ ", Numbers: []quoted{{Text: lo}}}
	if lo != hi {
		out.Numbers = append(out.Numbers, quoted{Text: hi})
	}
	out.Missed = len(at) > 0
	switch {
	case len(at) == len(rows):
		out.After = ", missed"
	case len(at) > 0:
		slices.Sort(at)
		out.After = ", missed at " + sizeList(slices.Compact(at))
	}
	return out
}

// goalCount is what became of the goals: one is for a curve, and is missed if
// one of its figures misses it.
type goalCount struct {
	met, all int
	missed   []string
}

// countGoals sums up all goals.
func (s *sheet) countGoals() goalCount {
	var out goalCount
	for _, g := range s.groups {
		for _, rows := range g.curves() {
			held, at := false, []int(nil)
			for _, r := range rows {
				outcomes := s.outcomes(r)
				held = held || len(outcomes) > 0
				if slices.Contains(outcomes, figure.Missed) {
					at = append(at, r.sizes...)
				}
			}
			switch {
			case len(at) > 0:
				out.all++
				out.missed = append(out.missed, missedText(g, rows, at))
			case held:
				out.all++
				out.met++
			}
		}
	}
	return out
}

// outcomes are those of a row's goals, of all methods.
func (s *sheet) outcomes(r row) []figure.Outcome {
	var out []figure.Outcome
	for _, m := range s.methods {
		if o := s.judge(r, m).Outcome; o != figure.NoGoal {
			if _, ok := r.cells[cell{m, s.against[0]}]; ok {
				out = append(out, o)
			}
		}
	}
	return out
}

// missedText names a curve whose goal is missed.
func missedText(g group, rows []row, at []int) string {
	text := g.Title
	if label := rows[0].label(); label != "" {
		text += ", " + label
	}
	switch {
	case len(at) == len(rows) || g.Sizes == "":
	case len(at) == 1:
		text += " with " + count(at[0], "vCPU")
	default:
		text += " with " + sizeList(at) + " vCPUs"
	}
	return text
}

// sentence says how many goals are met, and which are not.
func (c goalCount) sentence() string {
	switch {
	case c.all == 0:
		return ""
	case len(c.missed) == 0:
		return fmt.Sprintf("All %d goals are met.", c.all)
	}
	const most = 2
	missed := c.missed
	if len(missed) > most {
		missed = append(slices.Clone(missed[:most]), fmt.Sprintf("and %d more", len(missed)-most))
	}
	return fmt.Sprintf("%d of %s met; missed: %s.", c.met, plural(c.all, "goal is", "goals are"), strings.Join(missed, "; "))
}
