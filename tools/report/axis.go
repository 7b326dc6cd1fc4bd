// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"math"
	"slices"
	"strconv"
)

// axis maps values to places of a plot.
type axis struct {
	Label    string
	log      bool
	min, max float64 // of values; above 0 on a logarithmic axis
	Ticks    []float64
	From, To float64 // places, in units of the drawing
}

// Place returns where v is drawn. What lies outside is drawn at the edge.
func (a axis) Place(v float64) float64 {
	lo, hi := a.min, a.max
	v = min(max(v, lo), hi)
	if a.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	if hi == lo {
		return a.From
	}
	return a.From + (v-lo)/(hi-lo)*(a.To-a.From)
}

// linear is an axis from 0 to at least top, with round ticks.
func linear(label string, top float64) axis {
	if !(top > 1e-9) {
		top = 1 // nothing to see
	}
	const parts = 4
	step := math.Pow(10, math.Floor(math.Log10(top/parts)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*step*(parts+1) >= top {
			step *= m
			break
		}
	}
	a := axis{Label: label}
	for i := 0; ; i++ {
		t := step * float64(i)
		a.Ticks = append(a.Ticks, t)
		if t >= top {
			a.max = t
			return a
		}
	}
}

// decades is a logarithmic axis of whole powers of ten.
func decades(label string, lo, hi float64) axis {
	lo = max(lo, 1)
	from := math.Floor(math.Log10(lo))
	to := max(math.Ceil(math.Log10(max(hi, lo))), from+1)
	a := axis{Label: label, log: true, min: math.Pow(10, from), max: math.Pow(10, to)}
	for e := from; e <= to; e++ {
		a.Ticks = append(a.Ticks, math.Pow(10, e))
	}
	return a
}

// sizesAxis is a logarithmic axis of numbers of vCPUs, with a tick at every
// second power of two.
func sizesAxis(label string, largest int) axis {
	a := axis{Label: label, log: true, min: 1, max: float64(max(largest, 2))}
	for t := 1.0; t <= a.max; t *= 4 {
		a.Ticks = append(a.Ticks, t)
	}
	return a
}

// countAxis is a linear axis from 0 to a number of vCPUs, which is its last
// tick.
func countAxis(label string, largest int) axis {
	a := linear(label, float64(largest))
	if largest%4 == 0 {
		a.Ticks = nil
		for i := range 5 {
			a.Ticks = append(a.Ticks, float64(largest/4*i))
		}
	}
	a.max = float64(largest)
	a.Ticks = slices.DeleteFunc(a.Ticks, func(t float64) bool { return t > a.max })
	return a
}

// tickLabel is a tick's value, short: 40k, 2.5M.
func tickLabel(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if v >= unit.size {
			if unit.name == "k" {
				unit.size = 1e3
			}
			return strconv.FormatFloat(v/unit.size, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
