// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// designsPicture draws what lookups and walks cost against the number of vCPUs, a line
// a design, and a walk in each state of the caches as bars.
func (s *sheet) designsPicture(w io.Writer) error {
	out := picture{Title: "What looking up and walking vCPUs costs, by what holds them"}
	for _, of := range []struct {
		title string
		key   figure.Key // without size
	}{
		{"kvm_get_vcpu()", figure.Key{Op: figure.Get, IDs: measure.Dense}},
		{"kvm_for_each_vcpu(), per vCPU", figure.Key{Op: figure.Walk, IDs: measure.Dense}},
	} {
		p := plot{Title: of.title, Series: curveLines(s.rowsOf(of.key), figure.ICount, s.kernels...)}
		if len(p.Series) == 0 {
			continue
		}
		lo, hi := span(p.Series)
		p.X, p.Y = sizesAxis("vCPUs of the VM (log)", s.Largest), decades("instructions (log)", lo, hi)
		out.add(p.placed())
	}
	if p, ok := s.walkBars(); ok {
		out.add(p)
	}
	if len(out.Panels) == 0 {
		return errNothingToQuote
	}
	return out.write(w, len(s.kernels))
}

// walkBars are a walk in each state of the caches, ok unless none was timed.
func (s *sheet) walkBars() (plot, bool) {
	var names []string
	var bars []bar
	width := 0.8 / float64(len(s.kernels))
	largest, lo, hi := 0, 0.0, 0.0
	for _, state := range measure.States {
		rows := s.rowsOf(figure.Key{Op: figure.Cached, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.ReadID, State: state})
		if len(rows) == 0 {
			continue
		}
		r := rows[len(rows)-1]
		largest = r.key.VCPUs
		for k, kernel := range s.kernels {
			f, ok := r.cells[cell{figure.Native, kernel}]
			if !ok {
				continue
			}
			at := float64(len(names)) + (float64(k)-float64(len(s.kernels)-1)/2)*width
			bars = append(bars, bar{series{Name: kernel, Kernel: k}, at, width * 0.9, f.Value})
			if lo, hi = min(lo, f.Value), max(hi, f.Value); len(bars) == 1 {
				lo = f.Value
			}
		}
		names = append(names, string(state))
	}
	if len(bars) == 0 {
		return plot{}, false
	}
	p := plot{Title: "kvm_for_each_vcpu(), per vCPU, timed", Bars: bars}
	// The legend has a line of each kernel that has bars.
	for k, kernel := range s.kernels {
		if slices.ContainsFunc(bars, func(b bar) bool { return b.Kernel == k }) {
			p.Series = append(p.Series, series{Name: kernel, Kernel: k, Line: true})
		}
	}
	p.X, p.Y = named(fmt.Sprintf("cache lines of %d vCPUs", largest), names), decades("ns (log)", lo, hi)
	return p.placed(), true
}
