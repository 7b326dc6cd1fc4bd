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
