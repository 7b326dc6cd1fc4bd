// SPDX-License-Identifier: GPL-2.0-only

package figure

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
	When    caseCondition
	Counted float64 // in instructions
	Always  float64 // whatever the method
	Base    float64 // so many times the baseline's figure
}

// GoalOf returns the goal of a figure, NoGoal if it has none.
func GoalOf(c Case) (value float64, ok bool) {
	for _, r := range c.Operation().Goal {
		if r.When == nil || r.When(c) {
			return r.Counted + r.Always + r.Base*c.Base, r.Counted == 0 || c.Method == ICount
		}
	}
	return 0, false
}

// Judge says whether a figure of the patched kernel meets its goal. There are
// whole instructions only: what is shared among the lookups of a pass does
// not count.
func Judge(c Case, patched float64) Goal {
	value, ok := GoalOf(c)
	if !ok {
		return Goal{}
	}

	slack := 0.5
	if c.Key.Operation().Unit.Places > 0 {
		slack = 0
	}
	if patched > value && patched >= value+slack {
		return Goal{Missed, value}
	}
	return Goal{Met, value}
}
