// SPDX-License-Identifier: GPL-2.0-only

package figure

import (
	"strings"

	"vcpulab/ebpf/measure"
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
	// Per is what one unit of the figures is for, PerOn the same where it
	// depends on the method.
	Per   string
	PerOn func(Method) string
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
type Comparison int

const (
	// Exact: a count that is the same in every boot. Any variation is a
	// finding. Where time is measured it is compared like Noise.
	Exact Comparison = iota
	// Noise: what repetition of the baseline gives is not told apart.
	Noise
	// Rate: like Noise, but more is better.
	Rate
	// Chance: it depends on where interrupts hit and what the scheduler did.
	// Kernels are not compared by it.
	Chance
)

// Operation says all there is to know of the figures of an Op.
type Operation struct {
	Op Op
	// Name is what benchstat and JSON call its figures. Members of the key
	// stand in braces.
	Name string
	Unit Unit
	// Label is that of a row in its group, nil if there is one row a size.
	Label func(Key) string
	// Hidden are figures that are in no table for people.
	Hidden func(Key) bool

	Compare Comparison
	// Apart is the part by which two kernels, ApartRuns by which two runs have
	// to differ at least: what such a figure costs depends on what the
	// allocators have at hand, hence on all that ran before. Repetition in one
	// run shows less.
	Apart, ApartRuns float64
	// Chancy says that the figures are not in the noise floor of all others.
	Chancy bool

	// Goal is what the series is held to, nil if nothing.
	Goal func(Case) (float64, bool)
	// ByIndex says that nothing can be faster than a fixed array.
	ByIndex func(Key) bool

	// Summary is its line in the page's first tables, nil if it has none.
	Summary *Summary
	// Lines are those of the main table and of a mail.
	Lines []Line
	// Plot is drawn against the number of vCPUs, nil if nothing is.
	Plot  *Plot
	group *Group
}

// Summary is how an operation is summed up over all sizes.
type Summary struct {
	// Code is a name of C, What the rest of the line's title.
	Code func(Key) string
	What func(Key) string
	// Of says which figures have such a line, nil for all.
	Of func(Key) bool
	// First says which lines are on the first screen.
	First func(Key) bool
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

// Selection is at which of the measured sizes a line is in the main table.
type Selection int

// The selections.
const (
	Never       Selection = iota
	FewSizes              // 1, 64 and the largest
	LargestSize           // the largest
)

// Plot is what is said of a curve.
type Plot struct {
	Title   func(Key) string
	Caption func(Key) string
	// Of says which figures are drawn, nil for all.
	Of func(Key) bool
}

// operations are those of the table.
var operations = make(map[Op]*Operation)

func init() {
	for i := range Groups {
		g := &Groups[i]
		for j := range g.Operations {
			op := &g.Operations[j]
			op.group = g
			operations[op.Op] = op
		}
	}
}

// Group is the one that the operation is in.
func (o *Operation) Group() *Group { return o.group }

// LabelOf is the label of a figure's row in its group.
func (o *Operation) LabelOf(k Key) string {
	if o.Label == nil {
		return ""
	}
	return o.Label(k)
}

// Shown says that the figure has a row in the tables for people.
func (o *Operation) Shown(k Key) bool {
	return !o.group.Programs && (o.Hidden == nil || !o.Hidden(k))
}

// IsExact says that any variation of the figure is a finding.
func (o *Operation) IsExact(m Method) bool { return o.Compare == Exact && m.Exact() }

func (o *Operation) sizedByOrdinal() bool { return strings.Contains(o.Name, "{at}") }

// PerUnit is what one unit of the group's figures is for, the units of the
// methods included.
func (g *Group) PerUnit(methods ...Method) string {
	var units []string
	for _, m := range methods {
		switch {
		case g.PerOn != nil:
			units = append(units, g.PerOn(m))
		case g.Operations[0].Unit.Cost:
			units = append(units, m.Quantity())
		}
	}
	return strings.TrimSpace(strings.Join(units, " or ") + " " + g.Per)
}

// idsOf describes how the VM numbers its vCPUs.
func idsOf(k Key) string { return string(k.IDs) + " IDs" }

// orderOf describes in which order vCPUs are looked up, "" for the usual one.
func orderOf(k Key) string {
	return map[measure.Order]string{measure.Same: "the same each time", measure.Random: "random order"}[k.Order]
}

// lookedUp describes IDs and order of lookups.
func lookedUp(k Key) string {
	text := idsOf(k)
	if k.Missing {
		text = "missing, " + text
	}
	return joined(text, orderOf(k))
}

// unlessSparse describes the IDs of VMs whose IDs are sparse unless said
// otherwise.
func unlessSparse(k Key) string {
	if k.IDs == measure.Sparse {
		return ""
	}
	return idsOf(k)
}

// joined joins what is not empty.
func joined(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, ", ")
}

// constant is a function of keys that always gives the same text.
func constant(text string) func(Key) string { return func(Key) string { return text } }

// Usual says that a figure is of lookups in the usual order, of IDs that are
// not shuffled: those are what plots show.
func (k Key) Usual() bool { return k.Order == "" && k.IDs != measure.Shuffled }

// paths say what a guest, or user space, has KVM do.
var paths = map[measure.Path]string{
	measure.PathRequest:   "request to all vCPUs",
	measure.PathYield:     "yield, without a candidate",
	measure.PathIPI:       "IPI to all others",
	measure.PathHyperVIPI: "Hyper-V IPI to one",
	measure.PathSynIC:     "Hyper-V SynIC, to one",
	measure.PathXenSend:   "Xen event, from the guest",
	measure.PathXenIoctl:  "Xen event, from outside",
	measure.PathDirtyRing: "reset of dirty rings",
}

// phases say what goes on in a phase.
var phases = map[measure.Phase]string{
	measure.Before: "before its VM grows",
	measure.During: "while its VM grows",
	measure.After:  "after its VM has grown",
	measure.None:   "for as long, nothing grows",
	measure.Other:  "while another VM grows",
	measure.Slots:  "while slots change, too",
}

// PhaseText says what goes on in a phase.
func PhaseText(p measure.Phase) string { return phases[p] }
