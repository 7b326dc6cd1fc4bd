// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// The operations of figures about who waits while a VM grows.
const (
	opGrow = "grow" // of the thread that makes it grow
	opGaps = "gaps" // between a vCPU's exit and its next entry
)

// phaseNames say what goes on in a phase.
var phaseNames = map[measure.Phase]string{
	measure.Before: "before its VM grows",
	measure.During: "while its VM grows",
	measure.After:  "after its VM has grown",
	measure.None:   "for as long, nothing grows",
	measure.Other:  "while another VM grows",
	measure.Slots:  "while slots change, too",
}

// Which calls figures of growth are of.
const (
	allCalls  = "all KVM_CREATE_VCPU"
	nextCall  = "next memslot call"
	anyCall   = "any memslot call"
	whileRuns = ", vCPU runs"
)

// placeStall says where a figure about who waits stands. The sheet has what
// matters; the rest is for programs.
func (s shape) placeStall() (kind kind, label string, size int, ok bool) {
	phase := phaseNames[measure.Phase(s.phase)]
	switch {
	case s.op == opGaps && s.part == "p99.9" && phase != "":
		return kindGap, phase, s.vcpus, true
	case s.op == opGaps && s.part == "max" && phase != "":
		return kindLongest, phase, s.vcpus, true
	case s.op == opGaps && s.part == "blocked" && phase != "":
		return kindStalled, phase, s.vcpus, true
	case s.op != opGrow || s.phase != "idle" && s.phase != string(measure.Slots):
		return kindOther, "", 0, false
	}
	suffix := ""
	if s.phase != "idle" {
		suffix = whileRuns
	}
	switch {
	case s.part == "create-waits":
		return kindGrowWaits, allCalls + suffix, s.vcpus, true
	case s.part == "slot-waits" && s.slot == "after-growth":
		return kindGrowWaits, nextCall + suffix, s.vcpus, true
	case s.part == "slot-waits" && s.slot == "control":
		return kindGrowWaits, anyCall + suffix, s.vcpus, true
	case s.part == "slot-blocked" && suffix != "":
		// With one processor it is the vCPU that is waited for, not KVM.
	case s.part == "slot-blocked" && s.slot == "after-growth":
		return kindSlots, nextCall, s.vcpus, true
	case s.part == "slot-blocked" && s.slot == "control":
		return kindSlots, anyCall, s.vcpus, true
	}
	return kindOther, "", 0, false
}

// aboutStalls says what the kinds about who waits are.
func (k kind) aboutStalls() (title, per, sizes string) {
	switch k {
	case kindGap:
		return "From a running vCPU's exit to its next entry, 99.9 % at most", "without a task switch", "vCPUs"
	case kindLongest:
		return "From a running vCPU's exit to its next entry, the longest", "without a task switch", "vCPUs"
	case kindGrowWaits:
		return "Grace periods waited for while a VM grows", "", "vCPUs"
	case kindSlots:
		return "Time that a memslot call is blocked while a VM grows", "ns of the guest's clock, median", "vCPUs"
	}
	return "Exits after which a running vCPU waited for something", "", "vCPUs"
}

// chance says that a figure hangs on where interrupts hit and what the scheduler
// did, so that kernels are not compared by it.
func (s shape) chance() bool {
	switch s.part {
	case "max", "guest-max", "ran", "preempted", "blocked-max", "slot-blocked":
		return s.stall()
	}
	return false
}

// stallHeadline names a line of the page's first table, "" for what isn't shown
// there.
func (g group) stallHeadline(r row) (code, what string) {
	switch {
	case g.kind == kindGrowWaits && r.label == allCalls:
		return "KVM_CREATE_VCPU", "grace periods waited for while a VM grows"
	case g.kind == kindGrowWaits && r.label == nextCall:
		return "KVM_SET_USER_MEMORY_REGION", "after that, grace periods waited for"
	case g.kind == kindGrowWaits || g.kind == kindSlots:
		return "", ""
	case r.label == phaseNames[measure.Before] || r.label == phaseNames[measure.During]:
		switch g.kind {
		case kindGap:
			return "", "Exit to entry of a running vCPU, 99.9 % at most, " + r.label
		case kindLongest:
			return "", "Exit to entry of a running vCPU, longest, " + r.label
		}
		return "", "Exits after which a running vCPU waited, " + r.label
	}
	return "", ""
}

// stall says that the kind is about who waits while a VM grows.
func (k kind) stall() bool {
	switch k {
	case kindGap, kindLongest, kindGrowWaits, kindSlots, kindStalled:
		return true
	}
	return false
}

// inAnswers says that the row is a line of the page's first table.
func (g group) inAnswers(r row) bool {
	code, what := g.stallHeadline(r)
	return code+what != ""
}

// stallExplanations say what the figures about who waits mean.
func (s *sheet) stallExplanations() []string {
	for _, g := range s.groups {
		if g.kind == kindGap {
			return []string{"A vCPU exits all the time, with CPUID, while a thread has its VM grow." +
				" With one processor, as where instructions are counted, the two compete for it: gaps in which the scheduler ran something else are counted apart" +
				" and are neither waiting nor among the longest." +
				" The longest of thousands is that which the longest interrupt hit: kernels are not compared by it." +
				" A memslot call waits for one grace period on any kernel; more would be the container's doing."}
		}
	}
	return nil
}

// waiting lists what was waited for longest, a kernel and phase an element, with
// where in the kernel that was.
func (s *sheet) waiting(arm results.Method) []string {
	var out []string
	unit := "ns"
	if arm == results.ICount {
		unit = "ns of the virtual clock"
	}
	add := func(b results.Boot, what string, c measure.Call) {
		out = append(out, fmt.Sprintf("%s: %s, for %s %s, in %s.", b.Column(), what,
			number(float64(c.LongestNanos), 0), unit, strings.Join(c.Stack, " < ")))
	}
	for _, b := range s.r.Boots {
		if b.Method != arm {
			continue
		}
		for _, g := range b.Gaps {
			if g.Longest != nil {
				add(b, fmt.Sprintf("a running vCPU waited %d times %s, longest", g.Blocked.Count, phaseNames[g.Phase]), *g.Longest)
			}
		}
		for _, g := range b.Growths {
			longest, times := measure.Call{}, uint64(0)
			for _, c := range g.Create {
				times += c.Blocked
				if c.LongestNanos > longest.LongestNanos {
					longest = c
				}
			}
			if times > 0 {
				what := "with no vCPU running"
				if g.Running {
					what = "with a vCPU running, " + strings.TrimPrefix(phaseNames[g.Phase], "while ")
				}
				add(b, fmt.Sprintf("KVM_CREATE_VCPU waited %d times %s, longest", times, what), longest)
			}
		}
	}
	return out
}

// gapPlots draw how gaps are distributed in each phase, a kernel a line.
func (s *sheet) gapPlots(arm results.Method) []figureOf {
	var out []figureOf
	for _, phase := range []measure.Phase{measure.Before, measure.During, measure.After, measure.Other} {
		p := plot{title: "Exit to entry, " + phaseNames[phase]}
		vcpus, lo, hi, few := 0, 0.0, 0.0, 1.0
		for k, column := range append([]string{s.base}, s.against...) {
			line, g := s.gapLine(arm, column, phase)
			if len(line) == 0 {
				continue
			}
			vcpus = g.VM.VCPUs
			if lo == 0 {
				lo = line[0].x
			}
			for _, at := range line {
				lo, hi, few = min(lo, at.x), max(hi, at.x), min(few, at.y)
			}
			p.series = append(p.series, series{name: column, kernel: k, line: true, points: line})
		}
		if len(p.series) == 0 {
			continue
		}
		p.x = decades(unitName(arm)+" from exit to entry (log)", lo, hi)
		// As parts of a million: an axis has no values below 1.
		p.y = decades("longer, of a million (log)", few, 1e6)
		caption := fmt.Sprintf("How many of the gaps without a task switch are longer, in a VM that grows to %d vCPUs. ", vcpus)
		out = append(out, s.finish(p, arm, caption, len(out)))
	}
	return out
}

// gapLine is, for each length, how many gaps in a million are longer. All boots
// of a kernel are taken together.
func (s *sheet) gapLine(arm results.Method, column string, phase measure.Phase) ([]point, measure.Gaps) {
	var counts [measure.NumBuckets]uint64
	var of measure.Gaps
	all := uint64(0)
	for _, b := range s.r.Boots {
		if b.Method != arm || b.Column() != column {
			continue
		}
		for _, g := range b.Gaps {
			if g.Phase != phase {
				continue
			}
			of = g
			for _, c := range g.Ran {
				if c.Bucket >= 0 && c.Bucket < len(counts) {
					counts[c.Bucket] += c.Count
					all += c.Count
				}
			}
		}
	}
	var line []point
	left := all
	for b, n := range counts {
		if n == 0 {
			continue
		}
		low, high := measure.Bounds(b)
		if line == nil {
			line = append(line, point{max(float64(low), 1), 1e6})
		}
		if left -= n; left > 0 {
			line = append(line, point{float64(high), float64(left) / float64(all) * 1e6})
		}
	}
	return line, of
}
