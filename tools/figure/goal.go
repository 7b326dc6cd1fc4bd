// SPDX-License-Identifier: GPL-2.0-only

package figure

// Case is a figure of the patched kernel whose goal is asked for.
type Case struct {
	Key    Key
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

// GoalOf returns the goal of a figure, NoGoal if it has none.
func GoalOf(c Case) (value float64, ok bool) {
	if rule := c.Key.Operation().Goal; rule != nil {
		return rule(c)
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
	if c.Key.Operation().Unit.Decimals > 0 {
		slack = 0
	}
	if patched > value && patched >= value+slack {
		return Goal{Missed, value}
	}
	return Goal{Met, value}
}

// Goals in instructions. One for all vCPUs of a VM is for a VM of the size
// that it was set for.
const (
	goalGet          = 18
	goalGetCheapRCU  = 12
	goalByIndex      = 30
	goalByID         = 60
	goalWalk         = 6
	goalCreate       = 46_000
	goalBuild        = 48_000_000
	goalBuildVCPUs   = 1024
	goalGrowth       = 1.1  // a straight line
	goalMemoryFactor = 1.25 // of the baseline's memory, from two vCPUs on
)

// atMost is a goal in instructions.
func atMost(insns float64) func(Case) (float64, bool) {
	return func(c Case) (float64, bool) { return insns, c.Method == ICount }
}

// always is a goal whatever the method.
func always(value float64) func(Case) (float64, bool) {
	return func(Case) (float64, bool) { return value, true }
}

func goalOfGet(c Case) (float64, bool) {
	if c.CheapRCU {
		return goalGetCheapRCU, c.Method == ICount
	}
	return goalGet, c.Method == ICount
}

func goalOfByID(c Case) (float64, bool) {
	if isIndex(c.Key) {
		return goalByIndex, c.Method == ICount
	}
	return goalByID, c.Method == ICount
}

func goalOfBuild(c Case) (float64, bool) {
	return goalBuild, c.Method == ICount && c.Key.VCPUs == goalBuildVCPUs
}

// goalOfSlotWaits is that the container adds nothing to what a change of memory
// slots waits for on any kernel.
func goalOfSlotWaits(c Case) (float64, bool) { return c.Base, true }

func goalOfMemory(c Case) (float64, bool) {
	if c.Key.VCPUs == 1 {
		return c.Base, c.Measured
	}
	return c.Base * goalMemoryFactor, c.Measured
}

func goalOfSize(c Case) (float64, bool) { return c.Base, c.Measured && c.Key.Object == "kvm" }
