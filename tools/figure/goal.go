// SPDX-License-Identifier: GPL-2.0-only

package figure

import "slices"

// Case is a figure of the patched kernel whose goal is asked for.
type Case struct {
	Key
	Method Method
	// Base is the baseline's figure, if Measured.
	Base     float64
	Measured bool
	// CheapRCU says that entering a read section of RCU costs nothing.
	CheapRCU bool
}

// Outcome is what became of a goal.
type Outcome int

// The outcomes.
const (
	NoGoal Outcome = iota
	Met
	Missed
)

// Goal is what a figure shall not exceed, and whether it does.
type Goal struct {
	Outcome Outcome
	Value   float64
}

// rule is a goal of the figures for which When holds, nil for all. The first one
// that holds counts.
type rule struct {
	When    predicate[Case]
	Counted float64 // in instructions
	Always  float64 // whatever the method
	Base    float64 // so many times the baseline's figure
}

// Judge says whether a figure of the patched kernel meets its goal, NoGoal if it
// has none. There are whole instructions only: what is shared among the lookups of
// a pass does not count.
func Judge(c Case, patched float64) Goal {
	op := c.Operation()
	i := slices.IndexFunc(op.Goal, func(r rule) bool { return r.When == nil || r.When(c) })
	if i < 0 || op.Goal[i].Counted != 0 && c.Method != ICount {
		return Goal{}
	}

	slack := 0.5
	if op.Unit.Places > 0 {
		slack = 0
	}
	r := op.Goal[i]
	value := r.Counted + r.Always + r.Base*c.Base
	if patched > value && patched >= value+slack {
		return Goal{Missed, value}
	}
	return Goal{Met, value}
}
