// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Verdict is which way a figure went.
type Verdict string

// The ways in which a figure can differ. Those of two measurements also differ in
// what they have.
const (
	unknown      Verdict = ""               // one of the two is missing
	Same         Verdict = "same"           // the same number
	WithinNoise  Verdict = "within noise"   // another number, but not by more than repetition gives
	Better       Verdict = "better"         // less, by more than that
	Worse        Verdict = "worse"          // more, by more than that
	Incomparable Verdict = "not comparable" // see Compared.Why
	Chance       Verdict = "left to chance" // no two measurements are compared by it
	OnlyOld      Verdict = "only old"       // the new measurement does not have it
	OnlyNew      Verdict = "only new"       // the old measurement does not have it
)

// Verdicts lists them.
var Verdicts = []Verdict{Worse, Better, WithinNoise, Same, Incomparable, Chance, OnlyOld, OnlyNew}

// difference is how a figure of a kernel differs from the baseline's.
type difference struct {
	Verdict
	ratio  float64 // new over old; NaN for a difference
	amount string  // "2.8x", "4.0%", "+16"
	word   string  // "fewer"; "" for a difference
	rate   bool    // more is better
}

// String is the difference in words: it needs neither colour nor sign to be read.
func (c difference) String() string {
	switch c.Verdict {
	case unknown:
		return ""
	case Same:
		return "same"
	case WithinNoise:
		return "~ " + c.amount
	}
	return strings.TrimSpace(c.amount + " " + c.word)
}

// compare tells how f differs from base. again is the baseline's second column: the span of
// the two is noise, and so are figures that are not further apart than floor.
func compare(base, again, f results.Figure, floor float64) difference {
	if f.Value == base.Value {
		return difference{Verdict: Same, ratio: 1}
	}

	op := f.Key.Operation()
	c := difference{Verdict: Worse, ratio: math.NaN(), rate: op.Compare == figure.Rate}
	if (f.Value < base.Value) != c.rate {
		c.Verdict = Better
	}
	if op.Unit.Difference || base.Value <= 0 || f.Value <= 0 {
		c.amount = signed(f.Value-base.Value, max(decimalsOf(base), decimalsOf(f)))
	} else {
		c.ratio = f.Value / base.Value
		c.amount = amount(c.ratio)
		ifBetter, ifWorse := op.Unit.Words(f.Method)
		if c.word = ifWorse; c.Verdict == Better {
			c.word = ifBetter
		}
	}

	if f.Low <= max(base.High, again.High) && f.High >= min(base.Low, again.Low) ||
		!math.IsNaN(c.ratio) && apart(f.Value, base.Value) <= floor {
		c.Verdict = WithinNoise
		if percent := (c.ratio - 1) * 100; math.Abs(percent) >= 0.05 {
			c.amount = fmt.Sprintf("%+.1f%%", percent)
		} else if !math.IsNaN(percent) {
			c.amount = "0%"
		}
	}
	return c
}

// isPercent says that a change is told in per cent. What is more is told in times.
func isPercent(ratio float64) bool { return math.Abs(ratio-1) < 0.25 }

// amount says how far a ratio is from 1, without which way.
func amount(ratio float64) string {
	switch percent := math.Abs(ratio-1) * 100; {
	case percent < 0.1:
		return "<0.1%"
	case isPercent(ratio):
		return fmt.Sprintf("%.1f%%", percent)
	}
	ratio = max(ratio, 1/ratio)
	if ratio < 9.95 {
		return fmt.Sprintf("%.1fx", ratio)
	}
	return number(ratio, 0) + "x"
}

// spanOf says from where to where changes go.
func spanOf(worst, best difference) string {
	from, to := worst.page(), best.page()
	changed := func(c difference) bool { return c.Verdict == Better || c.Verdict == Worse }
	switch {
	case from == to:
		return from
	case !changed(worst) && !changed(best):
		return "≈ within noise"
	case !changed(worst):
		return "up to " + to
	case !changed(best):
		return "up to " + from
	case worst.Verdict != best.Verdict || worst.word == "":
		return from + " to " + to
	}
	// Both the same way: in the same form, too.
	a, b := worst.short(), best.short()
	if isPercent(worst.ratio) != isPercent(best.ratio) {
		a, b = worst.times(), best.times()
	}
	return a + " – " + b + " " + best.word
}

// times is how often the one fits into the other.
func (c difference) times() string {
	r := max(c.ratio, 1/c.ratio)
	switch {
	case r >= 10:
		return number(r, 0) + "×"
	case r >= 2:
		return number(r, 1) + "×"
	}
	return number(r, 2) + "×"
}

// order puts changes in a row: the larger, the worse.
func (c difference) order() float64 {
	switch {
	case !math.IsNaN(c.ratio) && c.rate:
		return 1 / c.ratio
	case !math.IsNaN(c.ratio):
		return c.ratio
	case c.Verdict == Better:
		return 0
	case c.Verdict == Worse:
		return math.Inf(1)
	}
	return 1
}

// page is String as it is set on a page.
func (c difference) page() string {
	switch {
	case c.Verdict == WithinNoise:
		return "≈ " + c.amount
	case c.word == "":
		return c.String()
	}
	return c.short() + " " + c.word
}

func (c difference) short() string { return strings.Replace(c.amount, "x", "×", 1) }

// looks are how verdicts are shown: a class for the colour, and a sign for those who
// do not see it. What is within noise says so itself.
var looks = map[Verdict]struct{ class, sign string }{Better: {"better", "▼"}, Worse: {"worse", "▲"}, Same: {"same", "="}, WithinNoise: {"same", ""}}

// noise is what measuring the same thing again gave.
type noise struct {
	// varied are the figures of lookups that were not the same in every boot
	// although they are counts: something is wrong with each.
	varied []results.Figure
	apart  []distance // figures that were measured again, of the baseline at least
}

// distance is how far a figure and its repetition are apart.
type distance struct {
	results.Figure
	part float64
}

// apart is by what part of the larger one two values differ.
func apart(a, b float64) float64 {
	if a == b {
		return 0
	}
	return math.Abs(a-b) / max(math.Abs(a), math.Abs(b))
}

func noiseOf(r *results.Results) noise {
	var n noise
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
		n.apart = append(n.apart, distance{f, apart(f.Value, r.Figures[i].Value)})
	}
	return n
}

// floor is the smallest relative difference that counts for figures like f. It is what the
// repetition of such figures differed by, at this size or a larger one: more vCPUs make less
// noise. A figure's own repetition alone may have come out the same by chance.
func (n noise) floor(f results.Figure) float64 {
	floor := 0.0
	op := f.Key.Operation()
	if op.IsExact(f.Method) {
		return floor // repetition gives the same
	}
	for _, d := range n.apart {
		like := d.Key.Operation()
		if d.Method == f.Method && d.Unit() == f.Unit() && like.Compare == op.Compare && like.Timed == op.Timed && d.Key.Size() >= f.Key.Size() {
			floor = max(floor, d.part)
		}
	}
	return floor
}

// repetition compares the baseline with its repetition by one method.
type repetition struct {
	M                  figure.Method
	Figures, Identical int
	Worst              distance
	Bracket            string // what measuring costs, "" if that was not measured
}

// repetition sums up what repetition gave by a method.
func (n noise) repetition(m figure.Method) repetition {
	r := repetition{M: m}
	for _, d := range n.apart {
		if d.Method != m || d.Key.Operation().Chancy {
			continue // the longest of thousands differs every time
		}
		r.Figures++
		if d.part == 0 {
			r.Identical++
		}
		if d.part > r.Worst.part {
			r.Worst = d
		}
	}
	return r
}

// Differs says that another number was found somewhere, and Percent by how much at most.
func (r repetition) Differs() bool    { return r.Identical < r.Figures }
func (r repetition) Percent() float64 { return r.Worst.part * 100 }

// Noise is the noise floor of a method in words, and what measuring costs
// if that was measured.
func (s *sheet) Noise(m figure.Method) string {
	of := s.repetition(m)
	if f, ok := s.Find(figure.Key{Op: figure.ProbeLoop}, s.base, m); ok {
		of.Bracket = number(f.Value, decimalsOf(f))
	}
	return sentence("noise", of)
}

// Finding says which counts varied, "" if none did.
func (n noise) Finding() string {
	if len(n.varied) == 0 {
		return ""
	}
	names := each(n.varied, func(f results.Figure) string {
		return fmt.Sprintf("%s of %s (%s to %s)", f.Name(), f.Column, number(f.Low, 2), number(f.High, 2))
	})
	return "Not the same in every boot, although exact: " + strings.Join(firstOf(4, names), ", ") + "."
}
