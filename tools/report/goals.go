// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"math"
	"slices"

	"vcpulab/tools/figure"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// target is what a figure of the patched kernel is held to: the figure of the
// kernel that nothing can be faster than, where there is one, else the goal.
type target struct {
	figure.Goal
	limit    bool // measured on another kernel
	decimals int
}

// HasGoals says that there is one kernel that is held to something.
func (s *sheet) HasGoals() bool { return len(s.against) == 1 && s.base != "" }

// judge says whether the patched kernel's figure of a row meets its goal.
func (s *sheet) judge(r row, m figure.Method) figure.Goal {
	if !s.HasGoals() {
		return figure.Goal{}
	}
	base, measured := r.cells[cell{m, s.base}]
	f, ok := r.cells[cell{m, s.against[0]}]
	if !ok {
		f.Value = math.Inf(-1) // what was not measured misses nothing
	}
	return figure.Judge(figure.Case{
		Key: r.key, Method: m, Base: base.Value, Measured: measured,
		CheapRCU: s.Kernels[0].RCU == "non-preemptible",
	}, f.Value)
}

// target returns what a row is held to.
func (s *sheet) target(r row, m figure.Method) target {
	// An array is the fastest way from an index to a vCPU, and nothing else.
	if s.HasGoals() && s.Fastest != "" && r.op().ByIndex.Or(false, r.key) {
		if f, ok := r.cells[cell{m, s.Fastest}]; ok {
			return target{figure.Goal{Value: f.Value}, true, r.decimals[m]}
		}
	}
	return target{s.judge(r, m), false, r.op().Unit.Places}
}

// number is the target's value as it is shown.
func (t target) number() string { return number(t.Value, t.decimals) }

// String is the target as a cell of a table shows it.
func (t target) String() string {
	switch {
	case t.limit:
		return t.number()
	case t.Outcome == figure.NoGoal:
		return ""
	case t.Outcome == figure.Missed:
		return "<= " + t.number() + " missed"
	}
	return "<= " + t.number()
}

// TargetTitle heads the column of goals, "" if there is none.
func (s *sheet) TargetTitle() string {
	switch {
	case !s.HasGoals():
		return ""
	case s.Fastest != "":
		return "limit, goal"
	}
	return "goal"
}

// TargetSentence says what limits and goals are.
func (s *sheet) TargetSentence() string { return sentence("targets", s) }

// targetSpan is what several rows are held to, as the page shows it.
type targetSpan struct {
	Before  string   // "≤"
	Numbers []quoted // those that were measured lead to their samples
	After   string   // at which sizes it is missed
	Missed  bool
}

// targetOver sums up what several rows are held to.
func (s *sheet) targetOver(rows []row, m figure.Method) targetSpan {
	var goals []target
	var limits []row
	var at []int
	for _, r := range rows {
		t := s.target(r, m)
		if t.limit {
			limits = append(limits, r)
		} else if t.Outcome != figure.NoGoal {
			goals = append(goals, t)
		}
		if t.Outcome == figure.Missed {
			at = append(at, r.sizes...)
		}
	}
	if len(goals) == 0 {
		return targetSpan{Numbers: s.over(limits, cell{m, s.Fastest})}
	}

	byValue := func(a, b target) int { return cmp.Compare(a.Value, b.Value) }
	lo, hi := slices.MinFunc(goals, byValue), slices.MaxFunc(goals, byValue)
	out := targetSpan{Before: "≤ ", Numbers: []quoted{{Text: lo.number()}}, Missed: len(at) > 0}
	if lo.Value != hi.Value {
		out.Numbers = append(out.Numbers, quoted{Text: hi.number()})
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
	Met, All int
	// Unexplained are those that are missed where instructions were counted, and no
	// reason is known. Missed are all, these first.
	Unexplained, Missed []string
}

// Goals sums up all goals.
func (s *sheet) Goals() goalCount {
	var out goalCount
	var explained []string
	for _, c := range s.curves() {
		held, known, why, at := false, true, "", []int(nil)
		for _, r := range c.rows {
			for _, m := range s.methods {
				g := s.judge(r, m)
				held = held || g.Outcome != figure.NoGoal && r.number(cell{m, s.against[0]}) != ""
				if g.Outcome == figure.Missed {
					at = append(at, r.sizes...)
					known = known && (g.Why != "" || !m.Exact())
					why = cmp.Or(why, g.Why)
				}
			}
		}
		if !held {
			continue
		}

		out.All++
		slices.Sort(at)
		switch missed := c.missedAt(slices.Compact(at)); {
		case len(at) == 0:
			out.Met++
		case !known:
			out.Unexplained = append(out.Unexplained, missed)
		case why != "":
			explained = append(explained, missed+" ("+why+")")
		default:
			explained = append(explained, missed)
		}
	}
	out.Missed = slices.Concat(out.Unexplained, explained)
	return out
}

// missedAt names a curve whose goal is missed at these sizes.
func (c *curve) missedAt(at []int) string {
	text := c.Title
	if label := c.rows[0].label(); label != "" {
		text += ", " + label
	}
	switch {
	case len(at) == len(c.rows) || c.Sizes == "":
		return text
	case len(at) == 1:
		return text + " with " + progress.Count(at[0], "vCPU")
	}
	return text + " with " + sizeList(at) + " vCPUs"
}

// UnexplainedGoals names the goals of counted figures that are missed without a reason
// that is known.
func UnexplainedGoals(r *results.Results) []string { return newSheet(r).Goals().Unexplained }

// Sentence says how many goals are met, and which are not.
func (c goalCount) Sentence() string { return sentence("goals", c) }
