// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// trend is which way a figure went.
type trend int

const (
	unknown trend = iota // one of the two is missing
	same                 // the same number
	within               // other, but not by more than the baseline differs from itself
	better
	worse
)

// difference is how a figure of a kernel differs from the baseline's.
type difference struct {
	trend  trend
	ratio  float64 // new over old; NaN for a difference
	amount string  // "2.8x", "4.0%", "+16"
	word   string  // "fewer"; "" for a difference
	rate   bool    // more is better
}

// String is the difference in words: it needs neither colour nor sign to be read.
func (c difference) String() string {
	switch c.trend {
	case unknown:
		return ""
	case same:
		return "same"
	case within:
		return "~ " + c.amount
	}
	return strings.TrimSpace(c.amount + " " + c.word)
}

// compare tells how f differs from base. again is the baseline's second
// column: what lies within the span of the two is noise, and so is a ratio
// that is not further from 1 than floor.
func compare(base, again, f results.Figure, floor float64) difference {
	if f.Value == base.Value {
		return difference{trend: same, ratio: 1}
	}

	op := f.Key.Operation()
	c := difference{trend: worse, ratio: math.NaN(), rate: op.Compare == figure.Rate}
	if (f.Value < base.Value) != c.rate {
		c.trend = better
	}
	if op.Unit.Difference || base.Value <= 0 || f.Value <= 0 {
		c.amount = signed(f.Value-base.Value, max(decimalsOf(base), decimalsOf(f)))
	} else {
		c.ratio = f.Value / base.Value
		c.amount = amount(c.ratio)
		ifBetter, ifWorse := op.Unit.Words(f.Method)
		if c.word = ifWorse; c.trend == better {
			c.word = ifBetter
		}
	}

	if f.Low <= max(base.High, again.High) && f.High >= min(base.Low, again.Low) ||
		math.Abs(c.ratio-1) <= floor {
		c.trend = within
		if !math.IsNaN(c.ratio) {
			c.amount = "0%"
			if percent := (c.ratio - 1) * 100; math.Abs(percent) >= 0.05 {
				c.amount = fmt.Sprintf("%+.1f%%", percent)
			}
		}
	}
	return c
}

// inPercent is up to where a change is said in per cent. What is more is said
// in times.
const inPercent = 25

// isPercent says that a change is told in per cent.
func isPercent(ratio float64) bool { return math.Abs(ratio-1)*100 < inPercent }

// amount says how far a ratio is from 1, without which way.
func amount(ratio float64) string {
	if percent := math.Abs(ratio-1) * 100; isPercent(ratio) {
		if percent < 0.1 {
			return "<0.1%"
		}
		return fmt.Sprintf("%.1f%%", percent)
	}
	if ratio = max(ratio, 1/ratio); ratio < 9.95 {
		return fmt.Sprintf("%.1fx", ratio)
	}
	return number(ratio, 0) + "x"
}

// spanOf says from where to where changes go.
func spanOf(worst, best difference) string {
	from, to := worst.page(), best.page()
	changed := func(c difference) bool { return c.trend == better || c.trend == worse }
	switch {
	case from == to:
		return from
	case !changed(worst) && !changed(best):
		return "≈ within noise"
	case !changed(worst):
		return "up to " + to
	case !changed(best):
		return "up to " + from
	case worst.trend != best.trend || worst.word == "":
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
	digits := 2
	if r >= 2 {
		digits = 1
	}
	if r >= 10 {
		digits = 0
	}
	return number(r, digits) + "×"
}

// order puts changes in a row: the larger, the worse.
func (c difference) order() float64 {
	if !math.IsNaN(c.ratio) {
		if c.rate {
			return 1 / c.ratio
		}
		return c.ratio
	}
	switch c.trend {
	case better:
		return 0
	case worse:
		return math.Inf(1)
	}
	return 1
}

// page is String as it is set on a page.
func (c difference) page() string {
	switch {
	case c.trend == within:
		return "≈ " + c.amount
	case c.word == "":
		return c.String()
	}
	return c.short() + " " + c.word
}

func (c difference) short() string { return strings.Replace(c.amount, "x", "×", 1) }

// look is how a trend is shown: a class for the colour, and a sign for
// those who do not see it. What is within noise says so itself.
func (t trend) look() (class, sign string) {
	look := map[trend][2]string{better: {"better", "▼"}, worse: {"worse", "▲"}, same: {"same", "="}, within: {"same", ""}}[t]
	return look[0], look[1]
}
