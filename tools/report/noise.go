// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// noise is what measuring the same thing again gave.
type noise struct {
	methods map[figure.Method]*repetition
	// varied are the figures of lookups that were not the same in every boot
	// although they are counts: something is wrong with each.
	varied []results.Figure
	// apart are the differences of the figures that are not exact.
	apart []distance
}

// distance is one between the baseline and its repetition.
type distance struct {
	method  figure.Method
	unit    string
	compare figure.Comparison
	size    int // of what was measured
	part    float64
}

// repetition compares the baseline with its repetition by one method.
type repetition struct {
	figures   int
	identical int
	// largest difference of those that differ, as a part of the value, and
	// whose it is
	largest float64
	of      string
}

func noiseOf(r *results.Results) noise {
	n := noise{methods: make(map[figure.Method]*repetition)}
	index := r.Index()
	for _, f := range r.Figures {
		op := f.Key.Operation()
		if op.IsExact(f.Method) && op.Unit.Cost && f.Low != f.High {
			n.varied = append(n.varied, f)
		}
		if len(r.Kernels) == 0 || f.Column != r.Kernels[0].Name {
			continue
		}
		i, ok := index[results.Place{Key: f.Key, Column: again(f.Column), Method: f.Method}]
		if !ok {
			continue
		}

		part := apart(f, r.Figures[i])
		n.apart = append(n.apart, distance{f.Method, f.Unit(), op.Compare, f.Key.Size(), part})
		if op.Chancy {
			continue // the longest of thousands differs every time
		}
		rep := n.methods[f.Method]
		if rep == nil {
			rep = &repetition{}
			n.methods[f.Method] = rep
		}
		rep.figures++
		if part == 0 {
			rep.identical++
		}
		if part > rep.largest {
			rep.largest, rep.of = part, f.Name()
		}
	}
	return n
}

// apart is the relative difference of two figures.
func apart(a, b results.Figure) float64 {
	if a.Value == b.Value {
		return 0
	}
	return math.Abs(a.Value-b.Value) / max(math.Abs(a.Value), math.Abs(b.Value))
}

// floor is the smallest relative difference that counts for figures like f: of
// the same unit and compared in the same way. It is what the repetition
// differed by, at this size or a larger one. More vCPUs make less noise, so a
// smaller VM has at least as much. A figure's own repetition alone would not
// do: it may have come out the same by chance.
func (n noise) floor(f results.Figure) float64 {
	floor := 0.0
	if f.Key.Operation().IsExact(f.Method) {
		return floor // repetition gives the same
	}
	for _, d := range n.apart {
		if d.method == f.Method && d.unit == f.Unit() && d.compare == f.Key.Operation().Compare && d.size >= f.Key.Size() {
			floor = max(floor, d.part)
		}
	}
	return floor
}

// differs says that the repetition gave another number somewhere.
func (n noise) differs(m figure.Method) bool {
	rep := n.methods[m]
	return rep != nil && rep.identical < rep.figures
}

// probes says what measuring costs and what can be told apart, "" if that was
// not measured.
func (s *sheet) probes(m figure.Method) string {
	f, ok := s.r.Find(figure.Key{Op: figure.ProbeLoop}, s.base, m)
	if !ok {
		return ""
	}
	text := fmt.Sprintf(" To bracket a run of passes costs %s %s, which fall out of the difference between N and 2N;",
		number(f.Value, decimalsOf(f)), m.Quantity())
	if m.Exact() {
		return text + " one instruction a pass more or less is seen."
	}
	return text + " less than the repetition differs by is not told apart."
}

// sentence is the noise floor of a method in words.
func (n noise) sentence(m figure.Method) string {
	rep := n.methods[m]
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
			f.Name(), f.Column, number(f.Low, 2), number(f.High, 2)))
		if len(names) == 3 && len(n.varied) > 4 {
			names = append(names, fmt.Sprintf("and %d more", len(n.varied)-3))
			break
		}
	}
	return "Not the same in every boot, although exact: " + strings.Join(names, ", ") + "."
}
