// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"strings"

	"vcpulab/tools/results"
)

// noise is what measuring the same thing again gave.
type noise struct {
	arms map[results.Method]*repetition
	// varied are the figures of lookups that were not the same in every boot
	// although they are counts: something is wrong with each.
	varied []results.Figure
	// apart are the differences of the figures that are not exact.
	apart []difference
}

// difference is one between the baseline and its repetition.
type difference struct {
	arm  results.Method
	unit string
	size int // of what was measured
	part float64
}

// repetition compares the baseline with its repetition on one arm.
type repetition struct {
	figures   int
	identical int
	// largest difference of those that differ, as a part of the value, and
	// whose it is
	largest float64
	of      string
}

func noiseOf(r *results.Results) noise {
	n := noise{arms: make(map[results.Method]*repetition)}
	for _, f := range r.Figures {
		if f.Method.Exact() && f.Unit == f.Method.Unit() && f.Low != f.High {
			n.varied = append(n.varied, f)
		}
		if len(r.Kernels) == 0 || f.Column != r.Kernels[0].Name {
			continue
		}
		b, ok := r.Find(f.Name, again(f.Column), f.Method)
		if !ok {
			continue
		}
		sh := parseShape(f.Name)
		if sh.stall() {
			// How long the longest of thousands is differs every time.
			n.apart = append(n.apart, difference{f.Method, f.Unit, sh.size(), apart(f, b)})
			continue
		}
		rep := n.arms[f.Method]
		if rep == nil {
			rep = &repetition{}
			n.arms[f.Method] = rep
		}
		rep.figures++
		if f.Value == b.Value {
			rep.identical++
			continue
		}
		d := apart(f, b)
		n.apart = append(n.apart, difference{f.Method, f.Unit, sh.size(), d})
		if d > rep.largest {
			rep.largest, rep.of = d, f.Name
		}
	}
	return n
}

// apart is by which part two figures differ.
func apart(a, b results.Figure) float64 {
	if a.Value == b.Value {
		return 0
	}
	return math.Abs(a.Value-b.Value) / max(math.Abs(a.Value), math.Abs(b.Value))
}

// floor is the smallest part by which figures of this unit and size must differ
// to be told apart: what the repetition differed by, here or at a larger size.
// More vCPUs make less noise, so a larger size says what a smaller one has at
// least. One figure's own repetition would say too little: that it came out
// the same twice may be luck.
func (n noise) floor(arm results.Method, unit string, size int) float64 {
	floor := 0.0
	for _, d := range n.apart {
		if d.arm == arm && d.unit == unit && d.size >= size {
			floor = max(floor, d.part)
		}
	}
	return floor
}

// differs says that the repetition gave another number somewhere.
func (n noise) differs(arm results.Method) bool {
	rep := n.arms[arm]
	return rep != nil && rep.identical < rep.figures
}

// probes says what measuring costs and what can be told apart, "" if the results
// are of a version that did not say.
func (s *sheet) probes(arm results.Method) string {
	f, ok := s.r.Find("probe/loop", s.base, arm)
	if !ok {
		return ""
	}
	text := fmt.Sprintf(" To bracket a run of passes costs %s %s, which fall out of the difference between N and 2N;", number(f.Value, decimalsOf(f)), unitName(arm))
	if arm.Exact() {
		return text + " one instruction a pass more or less is seen."
	}
	return text + " less than the repetition differs by is not told apart."
}

// sentence is the noise floor of an arm in words.
func (n noise) sentence(arm results.Method) string {
	rep := n.arms[arm]
	if rep == nil {
		return "A/A: the baseline was not measured twice, the noise floor is not known."
	}
	text := fmt.Sprintf("A/A: identical in %d of %s", rep.identical, count(rep.figures, "figure"))
	if rep.identical == rep.figures {
		return text + "."
	}
	percent := rep.largest * 100
	digits := 1
	if percent < 0.1 {
		digits = 3
	}
	return text + fmt.Sprintf("; largest difference %.*f%% (%s).", digits, percent, rep.of)
}

// finding says which counts varied, "" if none did.
func (n noise) finding() string {
	if len(n.varied) == 0 {
		return ""
	}
	var names []string
	for _, f := range n.varied {
		names = append(names, fmt.Sprintf("%s of %s (%s to %s)",
			f.Name, f.Column, number(f.Low, 2), number(f.High, 2)))
		if len(names) == 3 && len(n.varied) > 4 {
			names = append(names, fmt.Sprintf("and %d more", len(n.varied)-3))
			break
		}
	}
	return "Not the same in every boot, although exact: " + strings.Join(names, ", ") + "."
}
