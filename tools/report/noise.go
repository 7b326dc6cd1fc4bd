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
	repetitions map[figure.Method]*repetition
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
	n := noise{repetitions: make(map[figure.Method]*repetition)}
	index := r.Index()
	for _, f := range r.Figures {
		op := f.Key.Operation()
		if op.IsExact(f.Method) && op.Unit.Cost && f.Low != f.High {
			n.varied = append(n.varied, f)
		}
		i, repeated := index[results.Place{Key: f.Key, Column: again(f.Column), Method: f.Method}]
		if !repeated || len(r.Kernels) == 0 || f.Column != r.Kernels[0].Name {
			continue
		}

		part := 0.0
		if a, b := f.Value, r.Figures[i].Value; a != b {
			part = math.Abs(a-b) / max(math.Abs(a), math.Abs(b))
		}
		n.apart = append(n.apart, distance{f.Method, f.Unit(), op.Compare, f.Key.Size(), part})
		if op.Chancy {
			continue // the longest of thousands differs every time
		}
		if n.repetitions[f.Method] == nil {
			n.repetitions[f.Method] = &repetition{}
		}
		rep := n.repetitions[f.Method]
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

// floor is the smallest relative difference that counts for figures like f: of
// the same unit and compared in the same way. It is what the repetition
// differed by, at this size or a larger one. More vCPUs make less noise, so a
// smaller VM has at least as much. A figure's own repetition alone would not
// do: it may have come out the same by chance.
func (n noise) floor(f results.Figure) float64 {
	floor := 0.0
	op := f.Key.Operation()
	if op.IsExact(f.Method) {
		return floor // repetition gives the same
	}
	for _, d := range n.apart {
		if d.method == f.Method && d.unit == f.Unit() && d.compare == op.Compare && d.size >= f.Key.Size() {
			floor = max(floor, d.part)
		}
	}
	return floor
}

// differs says that the repetition gave another number somewhere.
func (n noise) differs(m figure.Method) bool {
	rep := n.repetitions[m]
	return rep != nil && rep.identical < rep.figures
}

// noiseSentence is the noise floor of a method in words, and what measuring costs
// if that was measured.
func (s *sheet) noiseSentence(m figure.Method) string {
	f, ok := s.Find(figure.Key{Op: figure.ProbeLoop}, s.base, m)
	if !ok {
		return s.repetitions[m].String()
	}
	apart := "less than the repetition differs by is not told apart"
	if m.Exact() {
		apart = "one instruction a pass more or less is seen"
	}
	return fmt.Sprintf("%s To bracket a run of passes costs %s %s, which fall out of the difference between N and 2N; %s.",
		s.repetitions[m], number(f.Value, decimalsOf(f)), m.Quantity(), apart)
}

// String says what the repetition gave.
func (r *repetition) String() string {
	if r == nil {
		return "A/A: the baseline was not measured twice, the noise floor is not known."
	}
	text := fmt.Sprintf("A/A: identical in %d of %s", r.identical, count(r.figures, "figure"))
	if r.identical == r.figures {
		return text + "."
	}
	percent := r.largest * 100
	digits := 1
	if percent < 0.1 {
		digits = 3
	}
	return text + fmt.Sprintf("; largest difference %.*f%% (%s).", digits, percent, r.of)
}

// Finding says which counts varied, "" if none did.
func (n noise) Finding() string {
	if len(n.varied) == 0 {
		return ""
	}
	var names []string
	for _, f := range n.varied {
		names = append(names, fmt.Sprintf("%s of %s (%s to %s)", f.Name(), f.Column, number(f.Low, 2), number(f.High, 2)))
	}
	return "Not the same in every boot, although exact: " + strings.Join(firstOf(4, names), ", ") + "."
}
