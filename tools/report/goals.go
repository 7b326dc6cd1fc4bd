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
	figure.Goal
	limit    bool // measured on another kernel
	decimals int
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

	// An array is the fastest way from an index to a vCPU, and nothing else.
	if byIndex := r.op().ByIndex; s.fastest != "" && byIndex != nil && byIndex(r.key) {
		if f, ok := r.cells[cell{m, s.fastest}]; ok {
			return target{figure.Goal{Value: f.Value}, true, g.decimals[curve{m, r.key.Series()}]}
		}
	}
	return target{s.judge(r, m), false, max(r.op().Unit.Decimals, 0)}
}

// String is the target as a cell of a table shows it.
func (t target) String() string {
	text := number(t.Value, t.decimals)
	switch {
	case t.limit:
		return text
	case t.Outcome == figure.NoGoal:
		return ""
	case t.Outcome == figure.Missed:
		return "<= " + text + " missed"
	}
	return "<= " + text
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
	var goals []target
	var limits []row
	var at []int
	for _, r := range rows {
		switch t := s.target(g, r, m); {
		case t.limit:
			limits = append(limits, r)
		case t.Outcome == figure.Missed:
			at = append(at, r.sizes...)
			fallthrough
		case t.Outcome == figure.Met:
			goals = append(goals, t)
		}
	}
	if len(goals) == 0 {
		return targetSpan{Numbers: s.over(g, limits, m, s.fastest)}
	}

	slices.SortFunc(goals, func(a, b target) int { return cmp.Compare(a.Value, b.Value) })
	lo, hi := goals[0], goals[len(goals)-1]
	out := targetSpan{Before: "≤ ", Numbers: []quoted{{Text: number(lo.Value, lo.decimals)}}, Missed: len(at) > 0}
	if lo.Value != hi.Value {
		out.Numbers = append(out.Numbers, quoted{Text: number(hi.Value, hi.decimals)})
	}
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
