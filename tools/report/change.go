// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"strings"

	"vcpulab/tools/results"
)

// verdict is which way a figure went.
type verdict int

const (
	unknown verdict = iota // one of the two is missing
	same                   // the same number
	within                 // other, but not by more than the baseline differs from itself
	better
	worse
)

// change is how a figure of a kernel differs from the baseline's.
type change struct {
	verdict verdict
	ratio   float64 // new over old; NaN for a difference
	amount  string  // "2.8x", "4.0%", "+16"
	word    string  // "fewer"; "" for a difference
	rate    bool    // more is better
}

// String is the change in words: it needs neither colour nor sign to be read.
func (c change) String() string {
	switch c.verdict {
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
func compare(base, again, f results.Figure, floor float64) change {
	if f.Value == base.Value {
		return change{verdict: same, ratio: 1}
	}
	c := change{verdict: worse, ratio: math.NaN(), rate: results.IsRate(f.Unit)}
	if (f.Value < base.Value) != c.rate {
		c.verdict = better
	}
	switch {
	// A structure grows by a member, what a VM holds by times.
	case f.Unit == results.UnitBytes || f.Unit == results.UnitWaits || base.Value <= 0 || f.Value <= 0:
		c.amount = signed(f.Value-base.Value, max(decimalsOf(base), decimalsOf(f)))
	default:
		c.ratio = f.Value / base.Value
		c.amount = amount(c.ratio)
		c.word = words(f.Unit, c.verdict)
	}
	if f.Low <= max(base.High, again.High) && f.High >= min(base.Low, again.Low) ||
		math.Abs(c.ratio-1) <= floor {
		c.verdict = within
		if !math.IsNaN(c.ratio) {
			c.amount = "0%"
			if percent := (c.ratio - 1) * 100; math.Abs(percent) >= 0.05 {
				c.amount = fmt.Sprintf("%+.1f%%", percent)
			}
		}
	}
	return c
}

// words says which way a unit went: instructions get fewer, only times get
// faster.
func words(unit string, v verdict) string {
	if unit == results.UnitRatio {
		if v == better {
			return "flatter"
		}
		return "steeper"
	}
	if unit == results.UnitSlowdown {
		if v == better {
			return "less disturbed"
		}
		return "more disturbed"
	}
	if strings.HasPrefix(unit, "ns/") {
		if v == better {
			return "faster"
		}
		return "slower"
	}
	if (v == better) != results.IsRate(unit) {
		return "fewer"
	}
	return "more"
}

// inPercent is up to where a change is said in per cent. What is more is said
// in times.
const inPercent = 25

// amount says how far a ratio is from 1, without which way.
func amount(ratio float64) string {
	if ratio < 1 {
		if percent := (1 - ratio) * 100; percent < inPercent {
			return percentage(percent)
		}
		ratio = 1 / ratio
	} else if percent := (ratio - 1) * 100; percent < inPercent {
		return percentage(percent)
	}
	if ratio < 9.95 {
		return fmt.Sprintf("%.1fx", ratio)
	}
	return number(ratio, 0) + "x"
}

func percentage(p float64) string {
	if p < 0.1 {
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", p)
}
