// SPDX-License-Identifier: GPL-2.0-only

package figure

import (
	"slices"
	"strings"
)

// Op names an operation: what is measured.
type Op string

// Group is what stands under one title in the tables of a report.
type Group struct {
	// Programs says that the figures are for programs, or said in words.
	Programs bool
	// Title heads it; Code says that the title is a name of C.
	Title string
	Code  bool
	// Per is what one unit of the figures is for, PerCounted and PerTimed the
	// same where it depends on the method.
	Per        string
	PerCounted string `toml:"per_counted"`
	PerTimed   string `toml:"per_timed"`
	// Sizes is what the sizes are numbers of, "" if the figures have none.
	Sizes string
	// Short is the title where each row repeats it, "" if that is Title.
	Short string
	// Inline says that Per stands before the label there.
	Inline bool
	// Operations are what the group has rows of.
	Operations []Operation
}

// Comparison is how figures of two kernels, or of two runs, are compared.
type Comparison string

const (
	// Exact: a count that is the same in every boot. Any variation is a
	// finding. Where time is measured it is compared like Noise.
	Exact Comparison = ""
	// Noise: what repetition of the baseline gives is not told apart.
	Noise Comparison = "noise"
	// Rate: like Noise, but more is better.
	Rate Comparison = "rate"
	// Chance: it depends on where interrupts hit and what the scheduler did.
	// Kernels are not compared by it.
	Chance Comparison = "chance"
)

// Operation says all there is to know of the figures of an Op.
type Operation struct {
	Op Op
	// Name is what benchstat and JSON call its figures. Members of the key
	// stand in braces.
	Name string
	// In names its Unit.
	In   string `toml:"unit"`
	Unit Unit   `toml:"-"`
	// Label is that of a row in its group, nil if there is one row a size.
	Label Text
	// Hidden are figures that are in no table for people.
	Hidden Condition

	Compare Comparison
	// Apart is the part by which two kernels, ApartRuns by which two runs have
	// to differ at least: what such a figure costs depends on what the
	// allocators have at hand, hence on all that ran before. Repetition in one
	// run shows less. Creations were seen to differ by 4.3 %, starts by 11.8 %.
	Apart     float64
	ApartRuns float64 `toml:"apart_runs"`
	// Timed says that the figures are about what instruction counts do not tell.
	// They are quoted beside these.
	Timed bool
	// Chancy says that the figures are not in the noise floor of all others.
	Chancy bool

	// Goal is what the series is held to, nil if nothing.
	Goal []rule
	// ByIndex says that nothing can be faster than a fixed array.
	ByIndex Condition `toml:"by_index"`

	// Summary is its line in the page's first tables, nil if it has none.
	Summary *Summary
	// Lines are those of the main table and of a mail.
	Lines []Line
	// Plot is drawn against the number of vCPUs, nil if nothing is.
	Plot *Plot
	// Group is the one that the operation is in.
	Group *Group `toml:"-"`
}

// Summary is how an operation is summed up over all sizes.
type Summary struct {
	// Code is a name of C, What the rest of the line's title.
	Code Text
	What Text
	// Of says which figures have such a line, nil for all.
	Of Condition
	// First says which lines are on the first screen.
	First Condition
	// Largest leaves the largest size. Together sums up all IDs in one line.
	Largest, Together bool
}

// Line is a row of the main table and of a mail.
type Line struct {
	Label string
	Of    Key // without size
	// Sizes are those in a mail.
	Sizes []int
	// Main says at which sizes it is in the main table.
	Main Selection
	// Subject is how a sentence begins that says what came out, "" for none. If
	// Main is LargestSize the number of vCPUs is put into it.
	Subject string
}

// Lines are those of all operations, each with the operation in its key.
func Lines() []Line {
	var out []Line
	for _, g := range Groups {
		for _, op := range g.Operations {
			for _, line := range op.Lines {
				line.Of.Op = op.Op
				out = append(out, line)
			}
		}
	}
	return out
}

// Column is a column of the table that compares designs.
type Column struct {
	// Group and Title head it: Group stands over all columns that have it.
	Group, Title Text
	// Of is what it has figures of, of the largest VM unless that has a size, and
	// Method the method by which they are measured.
	Of     Key
	Method Method
	// Beyond is an object of which what it takes more than the baseline's is added.
	Beyond Key
	// Wins is what a sentence calls the column, "" if it says nothing of it, and
	// Unit what the numbers are in there.
	Wins, Unit string
}

// Has says that a figure of the key, by the method, is in the column, or what is
// added to one.
func (c Column) Has(k Key, m Method) bool {
	of := c.Of
	if of.VCPUs == 0 {
		of.VCPUs = k.VCPUs
	}
	return m == c.Method && (k == of || k == c.Beyond)
}

// Selection is at which of the measured sizes a line is in the main table.
type Selection string

// The selections.
const (
	Never       Selection = ""
	FewSizes    Selection = "few"     // 1, 64 and the largest
	LargestSize Selection = "largest" // the largest
)

// Plot is what is said of a curve.
type Plot struct {
	Title   Text
	Caption Text
	// Of says which figures are drawn, nil for all.
	Of Condition
}

// Shown says that the figure has a row in the tables for people.
func (o *Operation) Shown(k Key) bool {
	return !o.Group.Programs && !o.Hidden.Or(false, k)
}

// IsExact says that any variation of the figure is a finding.
func (o *Operation) IsExact(m Method) bool { return o.Compare == Exact && m.Exact() }

// PerUnit is what one unit of the group's figures is for, the units of the
// methods included.
func (g *Group) PerUnit(methods ...Method) string {
	var units []string
	for _, m := range methods {
		switch {
		case g.PerTimed != "" && m == ICount:
			units = append(units, g.PerCounted)
		case g.PerTimed != "":
			units = append(units, g.PerTimed)
		case g.Operations[0].Unit.Cost:
			units = append(units, m.Quantity())
		}
	}
	return strings.TrimSpace(strings.Join(units, " or ") + " " + g.Per)
}

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
	// Why is the reason that is known for a goal that is missed, "" if none is.
	Why string
}

// rule is a goal of the figures for which When holds, nil for all. The first one
// that holds counts.
type rule struct {
	When    predicate[Case]
	Counted float64 // in instructions
	Always  float64 // whatever the method
	Base    float64 // so many times the baseline's figure
	// Known are the figures that miss it, and why: the first one that holds counts.
	Known []miss
}

// miss is why figures for which When holds miss a goal, up to Most and Base times the
// baseline's figure.
type miss struct {
	When predicate[Case]
	Most float64
	Base float64
	Why  string
}

// Judge says whether a figure of the patched kernel meets its goal, NoGoal if it
// has none. There are whole instructions only: what is shared among the lookups of
// a pass does not count.
func Judge(c Case, patched float64) Goal {
	op := c.Operation()
	i := slices.IndexFunc(op.Goal, func(r rule) bool { return r.When.Or(true, c) })
	if i < 0 || op.Goal[i].Counted != 0 && c.Method != ICount {
		return Goal{}
	}

	slack := 0.5
	if op.Unit.Places > 0 {
		slack = 0
	}
	r := op.Goal[i]
	value := r.Counted + r.Always + r.Base*c.Base
	if patched <= value || patched < value+slack {
		return Goal{Outcome: Met, Value: value}
	}
	goal := Goal{Outcome: Missed, Value: value}
	for _, m := range r.Known {
		if m.When(c) && patched < m.Most+m.Base*c.Base+slack && goal.Why == "" {
			goal.Why = m.Why
		}
	}
	return goal
}
