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
	Programs bool   // the figures are for programs, or said in words
	Title    string // heads it
	Code     bool   // the title is a name of C

	Per        string      // what one unit of the figures is for
	PerCounted string      `toml:"per_counted"` // the same where it depends on the method
	PerTimed   string      `toml:"per_timed"`
	Sizes      string      // what the sizes are numbers of, "" if the figures have none
	Short      string      // the title where each row repeats it, "" if that is Title
	Inline     bool        // Per stands before the label there
	Operations []Operation // what the group has rows of
}

// Comparison is how figures of two kernels, or of two runs, are compared.
type Comparison string

const (
	// Exact: a count that is the same in every boot. Any variation is a
	// finding. Where time is measured it is compared like Noise.
	Exact Comparison = ""
	Noise Comparison = "noise" // what repetition of the baseline gives is not told apart
	Rate  Comparison = "rate"  // like Noise, but more is better
	// Chance: it depends on where interrupts hit and what the scheduler did.
	// Kernels are not compared by it.
	Chance Comparison = "chance"
)

// Operation says all there is to know of the figures of an Op.
type Operation struct {
	Op     Op
	Name   string    // what benchstat and JSON call its figures, with members of the key in braces
	In     string    `toml:"unit"` // names its Unit
	Unit   Unit      `toml:"-"`
	Label  Text      // that of a row in its group, nil if there is one row a size
	Hidden Condition // figures that are in no table for people

	Compare Comparison
	// Apart is the part by which two kernels, ApartRuns by which two runs have to differ at
	// least: it depends on all that ran before what the allocators have at hand. Repetition in
	// one run shows less. Creations were seen to differ by 4.3 %, starts by 11.8 %.
	Apart     float64
	ApartRuns float64 `toml:"apart_runs"`
	// Timed says that the figures are about what instruction counts do not tell.
	// They are quoted beside these.
	Timed  bool
	Chancy bool // the figures are not in the noise floor of all others

	Goal    []rule    // what the series is held to, nil if nothing
	ByIndex Condition `toml:"by_index"` // nothing can be faster than a fixed array

	Summary *Summary // its line in the page's first tables, nil if it has none
	Lines   []Line   // those of the main table and of a mail
	Plot    *Plot    // drawn against the number of vCPUs, nil if nothing is
	Group   *Group   `toml:"-"` // the one that the operation is in
}

// Summary is how an operation is summed up over all sizes.
type Summary struct {
	Code     Text      // a name of C
	What     Text      // the rest of the line's title
	Of       Condition // which figures have such a line, nil for all
	First    Condition // which lines are on the first screen
	Largest  bool      // it is of the largest size alone
	Together bool      // it sums up all IDs
}

// Line is a row of the main table and of a mail.
type Line struct {
	Label string
	Of    Key       // without size
	Sizes []int     // those in a mail
	Main  Selection // at which sizes it is in the main table
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
	Group  Text   // stands over all columns that have it
	Title  Text   // heads it
	Of     Key    // what it has figures of, of the largest VM unless that has a size
	Method Method // the method by which they are measured
	Beyond Key    // an object of which what it takes more than the baseline's is added
	Wins   string // what a sentence calls the column, "" if it says nothing of it
	Unit   string // what the numbers are in there
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
	Of      Condition // which figures are drawn, nil for all
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
	Method   Method
	Base     float64 // the baseline's figure, if Measured
	Measured bool
	CheapRCU bool // entering a read section of RCU costs nothing
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
	Why     string // the reason that is known for a goal that is missed, "" if none is
}

// rule is a goal of the figures for which When holds, nil for all. The first one
// that holds counts.
type rule struct {
	When    predicate[Case]
	Counted float64 // in instructions
	Always  float64 // whatever the method
	Base    float64 // so many times the baseline's figure
	Known   []miss  // the figures that miss it, and why: the first one that holds counts
}

// miss is why figures for which When holds miss a goal, up to Most and Base times the
// baseline's figure.
type miss struct {
	When predicate[Case]
	Most float64
	Base float64
	Why  string
}

// Judge says whether a figure of the patched kernel meets its goal. What is shared among the
// lookups of a pass does not count: there are whole instructions only.
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
