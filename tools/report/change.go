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
	OnlyOld      Verdict = "only old"       // the new measurement does not have it
	OnlyNew      Verdict = "only new"       // the old measurement does not have it
)

// Verdicts lists them.
var Verdicts = []Verdict{Worse, Better, WithinNoise, Same, Incomparable, OnlyOld, OnlyNew}

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

// compare tells how f differs from base. again is the baseline's second
// column: what lies within the span of the two is noise, and so is a ratio
// that is not further from 1 than floor.
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
		math.Abs(c.ratio-1) <= floor {
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

// look is how a verdict is shown: a class for the colour, and a sign for
// those who do not see it. What is within noise says so itself.
func (v Verdict) look() (class, sign string) {
	look := map[Verdict][2]string{Better: {"better", "▼"}, Worse: {"worse", "▲"}, Same: {"same", "="}, WithinNoise: {"same", ""}}[v]
	return look[0], look[1]
}
