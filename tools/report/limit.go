// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// limit is what a figure of the patched kernel is held to: the figure of the
// kernel that nothing can be faster than, where there is one, else the goal.
type limit struct {
	known    bool
	measured bool // on another kernel
	value    float64
	decimals int
	missed   bool // the goal is, by the patched kernel
	sizes    []int
}

// Goals of figures that do not hang on the baseline's, in instructions. A goal
// for all vCPUs of a VM is for one of the size that it was set for.
const (
	goalGet          = 18
	goalGetCheap     = 12 // where entering RCU costs nothing
	goalByIndex      = 30
	goalByID         = 60
	goalWalk         = 6
	goalCreate       = 46_000
	goalBuild        = 48_000_000
	goalBuildVCPUs   = 1024
	goalGrowth       = 1.1  // a straight line
	goalMemoryFactor = 1.25 // of the baseline's memory, from two vCPUs on
)

// goal is what a figure of this kind shall not exceed.
func (s *sheet) goal(k kind, r row, arm results.Method) (float64, bool) {
	base, measured := r.cells[cell{arm, s.base}]
	insns := arm == results.ICount
	switch k {
	case kindGet:
		if s.r.Kernels[0].RCU == "non-preemptible" {
			return goalGetCheap, insns
		}
		return goalGet, insns
	case kindByID:
		if isDense(r.label) {
			return goalByIndex, insns
		}
		return goalByID, insns
	case kindWalk:
		return goalWalk, insns
	case kindCreate:
		return goalCreate, insns
	case kindBuild:
		return goalBuild, insns && r.sizes[0] == goalBuildVCPUs && !strings.Contains(r.label, ", ")
	case kindGrowth:
		return goalGrowth, true
	case kindWaits:
		return 0, true
	case kindGrowWaits:
		if strings.HasPrefix(r.label, allCalls) {
			return 0, true
		}
		return base.Value, true
	case kindStalled:
		return 0, true
	case kindMemory:
		if r.sizes[0] == 1 {
			return base.Value, measured
		}
		return base.Value * goalMemoryFactor, measured
	case kindSizeof:
		return base.Value, measured && r.label == "struct kvm"
	}
	return 0, false
}

// isDense says that a label is of lookups of IDs that are indices.
func isDense(label string) bool { return strings.HasPrefix(label, string(measure.Dense)) }

// limit returns what the row is held to on an arm.
func (s *sheet) limit(g group, r row, arm results.Method) limit {
	if !s.limited() {
		return limit{}
	}
	// An array is the fastest way from an index to a vCPU, and nothing else.
	if g.kind == kindGet || g.kind == kindByID && isDense(r.label) {
		if f, ok := r.cells[cell{arm, s.fastest}]; ok && s.fastest != "" {
			return limit{known: true, measured: true, value: f.Value, decimals: g.decimals[run{arm, r.label}]}
		}
	}
	v, ok := s.goal(g.kind, r, arm)
	if !ok {
		return limit{}
	}
	// Instructions are whole numbers, what is shared among lookups left out.
	l, part := limit{known: true, value: v}, 0.5
	if g.kind == kindGrowth {
		l.decimals, part = 2, 0
	}
	if f, ok := r.cells[cell{arm, s.against[0]}]; ok && f.Value > v && f.Value >= v+part {
		l.missed, l.sizes = true, r.sizes
	}
	return l
}

// limited says that there is one kernel that is held to something.
func (s *sheet) limited() bool { return len(s.against) == 1 && s.base != "" }

// String is the limit as a cell of a table shows it.
func (l limit) String() string {
	switch {
	case !l.known:
		return ""
	case l.measured:
		return number(l.value, l.decimals)
	case l.missed:
		return "<= " + number(l.value, l.decimals) + " missed"
	}
	return "<= " + number(l.value, l.decimals)
}

// limitSpan is what several rows are held to, as the page shows it.
type limitSpan struct {
	Before  string   // "≤"
	Numbers []quoted // those that were measured lead to their samples
	After   string   // at which sizes it is missed
	Missed  bool
}

// limitOver sums up the limits of several rows.
func (s *sheet) limitOver(g group, rows []row, arm results.Method) limitSpan {
	var all []limit
	var measured []row
	var at []int
	decimals := 0
	for _, r := range rows {
		l := s.limit(g, r, arm)
		if !l.known {
			continue
		}
		decimals = max(decimals, l.decimals)
		all = append(all, l)
		if l.measured {
			measured = append(measured, r)
		}
		if l.missed {
			at = append(at, l.sizes...)
		}
	}
	if len(all) == 0 {
		return limitSpan{}
	}
	if len(measured) == len(all) {
		return limitSpan{Numbers: s.over(g, measured, arm, s.fastest)}
	}
	value := func(a, b limit) int { return cmp.Compare(a.value, b.value) }
	lo, hi := number(slices.MinFunc(all, value).value, decimals), number(slices.MaxFunc(all, value).value, decimals)
	out := limitSpan{Before: "≤ ", Numbers: []quoted{{Text: lo}}}
	if lo != hi {
		out.Numbers = append(out.Numbers, quoted{Text: hi})
	}
	switch {
	case len(at) == 0:
	case len(at) == len(rows):
		out.After, out.Missed = ", missed", true
	default:
		slices.Sort(at)
		out.After, out.Missed = ", missed at "+sizeList(slices.Compact(at)), true
	}
	return out
}

// limitSentence says what a limit is.
func (s *sheet) limitSentence() string {
	if !s.limited() {
		return ""
	}
	text := "Limit: what is aimed at (<=)"
	if s.fastest != "" {
		text = fmt.Sprintf("Limit: of lookups by index what %s takes, the fastest that there can be; else what is aimed at (<=)", s.fastest)
	}
	return text + "."
}
