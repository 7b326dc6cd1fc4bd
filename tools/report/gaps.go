// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// waiting lists the longest wait of each kernel and phase, and where in the
// kernel it was.
func (s *sheet) waiting(m figure.Method) []string {
	var out []string
	unit := "ns"
	if m.Exact() {
		unit = "ns of the virtual clock"
	}
	add := func(b results.Boot, what string, c measure.Call) {
		out = append(out, fmt.Sprintf("%s: %s, for %s %s, in %s.", b.Column(), what,
			number(float64(c.LongestNanos), 0), unit, strings.Join(c.Stack, " < ")))
	}
	for _, b := range s.r.Boots {
		if b.Method != m {
			continue
		}
		for _, g := range b.Gaps {
			if g.Longest != nil {
				add(b, fmt.Sprintf("a running vCPU waited %d times %s, longest", g.Blocked.Count, figure.PhaseText(g.Phase)), *g.Longest)
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
					what = "with a vCPU running, " + strings.TrimPrefix(figure.PhaseText(g.Phase), "while ")
				}
				add(b, fmt.Sprintf("KVM_CREATE_VCPU waited %d times %s, longest", times, what), longest)
			}
		}
	}
	return out
}

// gapPlots draw how gaps are distributed in each phase, a kernel a line.
func (s *sheet) gapPlots(m figure.Method) []drawing {
	var out []drawing
	for _, phase := range []measure.Phase{measure.Before, measure.During, measure.After, measure.Other} {
		p := plot{title: "Exit to entry, " + figure.PhaseText(phase)}
		vcpus, lo, hi, few := 0, 0.0, 0.0, 1.0
		for k, column := range append([]string{s.base}, s.against...) {
			line, g := s.gapLine(m, column, phase)
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

		p.x = decades(m.Quantity()+" from exit to entry (log)", lo, hi)
		// As parts of a million: an axis has no values below 1.
		p.y = decades("longer, of a million (log)", few, 1e6)
		caption := fmt.Sprintf("How many of the gaps without a task switch are longer, in a VM that grows to %d vCPUs. ", vcpus)
		out = append(out, s.finish(p, m, caption, len(out)))
	}
	return out
}

// gapLine is, for each length, how many gaps in a million are longer. All boots
// of a kernel are taken together.
func (s *sheet) gapLine(m figure.Method, column string, phase measure.Phase) ([]point, measure.Gaps) {
	var counts [measure.NumBuckets]uint64
	var of measure.Gaps
	all := uint64(0)
	for _, b := range s.r.Boots {
		if b.Method != m || b.Column() != column {
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
