// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	text "text/template"
)

// The drawing's size, and the room around the plot, in its own units. It is
// scaled to the page, so letters must be readable when it is small. What does not
// depend on the data stands in the template as a number.
const (
	plotWidth  = 440
	plotHeight = 290
	roomLeft   = 52
	roomRight  = 14
	roomTop    = 22 // and a row of the legend, or more
	legendRow  = 15
	roomBottom = 44
)

// colours is how many kernels have a colour of their own, shapes how many have
// marks of their own.
const (
	colours = 8
	shapes  = 4
)

//go:embed plot.svg.tmpl
var plotSource string

// drawings are the templates of a plot and of the picture: SVG whose colours are
// the page's.
var drawings = text.Must(text.New("drawings").Funcs(text.FuncMap{"at": at, "tick": tickLabel}).Parse(plotSource))

// plot is a drawing with what is said about it.
type plot struct {
	ID          string // of the page's elements that belong to it
	Title, Text string // for those who cannot see it
	Caption     string
	X, Y        axis
	Series      []series
	Bars        []bar
}

// bar stands at a place of the horizontal axis, half of Width to each side.
type bar struct {
	series
	At, Width, Value float64
}

type box struct{ X, Y, Width, Height float64 }

// Box is that of a bar.
func (p plot) Box(b bar) box {
	left, top := p.X.Place(b.At-b.Width/2), p.Y.Place(b.Value)
	return box{left, top, p.X.Place(b.At+b.Width/2) - left, p.Y.From - top}
}

// series is what one kernel gave.
type series struct {
	Name   string
	Kernel int  // its place among the kernels, which decides colour and mark
	Dashed bool // the second line of a kernel
	Points []point
	Line   bool // joined
	Marks  bool // each point marked
}

type point struct{ X, Y float64 }

// SVG is the drawing for a page.
func (p plot) SVG() (template.HTML, error) {
	var b strings.Builder
	err := drawings.ExecuteTemplate(&b, "plot", p.placed())
	return template.HTML(b.String()), err
}

// placed is the plot with its axes where they are drawn, under the legend.
func (p plot) placed() plot {
	p.X.From, p.X.To = roomLeft, plotWidth-roomRight
	p.Y.From, p.Y.To = plotHeight-roomBottom, float64(roomTop+legendRow*len(p.legendRows()))
	return p
}

// Colour is the number of the kernel's colour.
func (s series) Colour() int { return s.Kernel % colours }

// mark is a point that is marked. Its shape tells kernels apart without color.
type mark struct {
	series
	point
}

// Mark is one of the series' marks.
func (s series) Mark(x, y float64) mark { return mark{s, point{x, y}} }

// Shape is the number of the kernel's shape.
func (s series) Shape() int { return s.Kernel % shapes }

// Widths in the legend: of a letter, of a line's sample, and around it.
const (
	letterWidth = 7.5
	sampleWidth = 24
	sampleGap   = 4
	legendGap   = 14
)

// legendWidth is what the series takes in a row of the legend.
func (s series) legendWidth() float64 {
	return legendGap + sampleWidth + sampleGap + float64(len(s.Name))*letterWidth
}

// legendRows spreads the series that have a name over rows. The axis' label
// stands before the last one.
func (p plot) legendRows() [][]series {
	const room = plotWidth - roomRight
	last := room - float64(len(p.Y.Label))*letterWidth
	var rows [][]series
	width := 0.0
	for _, s := range p.Series {
		if s.Name == "" {
			continue
		}
		if len(rows) == 0 || width+s.legendWidth() > last {
			rows, width = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], s)
		width += s.legendWidth()
	}
	return rows
}

// Middle is the mark on a line of the legend that begins here.
func (m mark) Middle() mark { return m.Mark(m.X+sampleWidth/2, m.Y) }

// Legend names the lines above the plot, at the right: each is where its sample begins.
func (p plot) Legend() []mark {
	var out []mark
	rows := p.legendRows()
	for n, row := range rows {
		next := point{plotWidth - roomRight + legendGap, p.Y.To - 16 - float64(legendRow*(len(rows)-1-n))}
		for _, s := range row {
			next.X -= s.legendWidth()
		}
		for _, s := range row {
			out = append(out, mark{s, next})
			next.X += s.legendWidth()
		}
	}
	return out
}

// at is a coordinate, so far from v, with one decimal, or none if that is 0.
func at(v float64, off ...float64) string {
	for _, o := range off {
		v += o
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// axis maps values to places of a plot.
type axis struct {
	Label    string
	log      bool
	min, max float64  // of values; above 0 on a logarithmic axis
	names    []string // of what stands at 0, 1 and so on, nil for numbers
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

// Tick is what stands at a tick.
func (a axis) Tick(v float64) string {
	if a.names != nil {
		return a.names[int(v)]
	}
	return tickLabel(v)
}

// named is an axis with a place for each name.
func named(label string, names []string) axis {
	a := axis{Label: label, names: names, min: -0.5, max: float64(len(names)) - 0.5}
	for i := range names {
		a.Ticks = append(a.Ticks, float64(i))
	}
	return a
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
	if !(lo > 0) {
		lo = 1
	}
	lo = max(lo, 0.1)
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

// countAxis is a linear axis from 0 to a number of vCPUs, which is its last tick.
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
	size, unit := 1.0, ""
	switch {
	case v >= 1e9:
		size, unit = 1e9, "G"
	case v >= 1e6:
		size, unit = 1e6, "M"
	case v >= 1e4:
		size, unit = 1e3, "k"
	}
	return strconv.FormatFloat(v/size, 'g', 4, 64) + unit
}
