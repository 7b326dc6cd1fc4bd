// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Waiting lists the longest wait of each kernel and phase, and where in the
// kernel it was.
func (p methodPart) Waiting() []string {
	var out []string
	unit := "ns"
	if p.M.Exact() {
		unit = "ns of the virtual clock"
	}
	add := func(b results.Boot, what string, c measure.Call) {
		out = append(out, fmt.Sprintf("%s: %s, for %s %s, in %s.", b.Column(), what,
			number(float64(c.LongestNanos), 0), unit, strings.Join(c.Stack, " < ")))
	}
	for _, b := range p.Boots {
		if b.Method != p.M {
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

// Gaps draw how gaps are distributed in each phase, a kernel a line.
func (p methodPart) Gaps() []plot {
	var out []plot
	for _, phase := range []measure.Phase{measure.Before, measure.During, measure.After, measure.Other} {
		drawn := plot{Title: "Exit to entry, " + figure.PhaseText(phase)}
		vcpus, shortest, longest := 0, math.Inf(1), 0.0
		for k, column := range p.Compared() {
			line, g := p.gapLine(p.M, column, phase)
			if len(line) == 0 {
				continue
			}
			vcpus = g.VM.VCPUs
			shortest, longest = min(shortest, line[0].X), max(longest, line[len(line)-1].X)
			drawn.Series = append(drawn.Series, series{Name: column, Kernel: k, Line: true, Points: line})
		}
		if len(drawn.Series) == 0 {
			continue
		}

		drawn.X = decades(p.M.Quantity()+" from exit to entry (log)", shortest, longest)
		// As parts of a million: an axis has no values below 1.
		drawn.Y = decades("longer, of a million (log)", 1, 1e6)
		drawn.Caption = fmt.Sprintf("How many of the gaps without a task switch are longer, in a VM that grows to %d vCPUs. ", vcpus)
		out = append(out, p.finish(drawn, p.M, len(out)))
	}
	return out
}

// gapLine is, for each length, how many gaps in a million are longer. All boots
// of a kernel are taken together.
func (s *sheet) gapLine(m figure.Method, column string, phase measure.Phase) (line []point, of measure.Gaps) {
	counts := make(map[int]uint64)
	all := uint64(0)
	for _, b := range s.Boots {
		for _, g := range b.Gaps {
			if b.Method != m || b.Column() != column || g.Phase != phase {
				continue
			}
			of = g
			for _, c := range g.Ran {
				if c.Bucket >= 0 && c.Bucket < measure.NumBuckets && c.Count > 0 {
					counts[c.Bucket] += c.Count
					all += c.Count
				}
			}
		}
	}

	left := all
	for _, bucket := range slices.Sorted(maps.Keys(counts)) {
		low, high := measure.Bounds(bucket)
		if line == nil {
			line = append(line, point{max(float64(low), 1), 1e6})
		}
		if left -= counts[bucket]; left > 0 {
			line = append(line, point{float64(high), float64(left) / float64(all) * 1e6})
		}
	}
	return line, of
}
