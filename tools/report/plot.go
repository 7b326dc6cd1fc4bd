// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"html"
	"strings"
)

// The drawing's size, and the room around the plot, in its own units. It is
// scaled to the page, so letters must be readable when it is small.
const (
	plotWidth  = 440
	plotHeight = 290
	roomLeft   = 52
	roomRight  = 14
	roomTop    = 22 // and a row of the legend, or more
	legendRow  = 15
	roomBottom = 44
)

// colours is how many kernels have a colour of their own.
const colours = 8

// plot is a drawing: hand-made SVG whose colours are the page's.
type plot struct {
	id          string // of the page's elements that belong to it
	title, text string // for those who cannot see it
	x, y        axis
	series      []series
	top         int // where the plot begins, under the legend
}

// series is what one kernel gave.
type series struct {
	name   string
	kernel int  // its place among the kernels, which decides colour and mark
	dashed bool // the second line of a kernel
	points []point
	line   bool // joined
	marks  bool // each point marked
}

type point struct{ x, y float64 }

// svg writes the drawing.
func (p plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d">`,
		plotWidth, plotHeight, p.id, p.id)
	fmt.Fprintf(&b, "\n<title id=\"%s-t\">%s</title>\n<desc id=\"%s-d\">%s</desc>\n",
		p.id, html.EscapeString(p.title), p.id, html.EscapeString(p.text))
	p.draw(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

// draw writes what the drawing consists of.
func (p plot) draw(b *strings.Builder) {
	p.x.from, p.x.to = roomLeft, plotWidth-roomRight
	rows := p.legendRows()
	p.top = roomTop + legendRow*len(rows)
	p.y.from, p.y.to = plotHeight-roomBottom, float64(p.top)
	p.axes(b)
	for _, s := range p.series {
		p.curve(b, s)
	}
	p.legend(b, rows)
}

func (p plot) axes(b *strings.Builder) {
	b.WriteString(`<g class="grid">`)
	for _, t := range p.y.ticks {
		fmt.Fprintf(b, `<path d="M%d %sH%d"/>`, roomLeft, place(p.y.place(t)), plotWidth-roomRight)
	}
	for _, t := range p.x.ticks {
		fmt.Fprintf(b, `<path d="M%s %dv4"/>`, place(p.x.place(t)), plotHeight-roomBottom)
	}
	b.WriteString("</g>\n<g class=\"tick\">")
	for _, t := range p.y.ticks {
		fmt.Fprintf(b, `<text class="y" x="%d" y="%s">%s</text>`, roomLeft-6, place(p.y.place(t)+4), tickLabel(t))
	}
	for _, t := range p.x.ticks {
		fmt.Fprintf(b, `<text class="x" x="%s" y="%d">%s</text>`, place(p.x.place(t)), plotHeight-roomBottom+17, tickLabel(t))
	}
	fmt.Fprintf(b, "</g>\n"+`<text class="x axis" x="%d" y="%d">%s</text>`,
		(roomLeft+plotWidth-roomRight)/2, plotHeight-6, html.EscapeString(p.x.label))
	fmt.Fprintf(b, `<text class="axis" x="4" y="%d">%s</text>`+"\n", p.top-12, html.EscapeString(p.y.label))
}

// curve draws one series.
func (p plot) curve(b *strings.Builder, s series) {
	fmt.Fprintf(b, `<g class="k%d">`, s.kernel%colours)
	var d strings.Builder
	for i, at := range s.points {
		command := "L"
		if i == 0 || !s.line {
			command = "M"
		}
		d.WriteString(command + place(p.x.place(at.x)) + " " + place(p.y.place(at.y)))
		if !s.line {
			d.WriteString("h0")
		}
	}
	class := "line"
	switch {
	case !s.line:
		class = "dots"
	case s.dashed:
		class = "line dashed"
	}
	if len(s.points) > 1 || !s.line {
		fmt.Fprintf(b, `<path class="%s" d="%s"/>`, class, d.String())
	}
	if s.marks {
		for _, at := range s.points {
			b.WriteString(mark(s.kernel, s.dashed, p.x.place(at.x), p.y.place(at.y)))
		}
	}
	b.WriteString("</g>\n")
}

// mark is a point's shape, which tells kernels apart without colour. It is
// hollow on a dashed line.
func mark(kernel int, hollow bool, x, y float64) string {
	class := "mark"
	if hollow {
		class = "mark hollow"
	}
	at := place(x) + " " + place(y)
	switch kernel % 4 {
	case 0:
		return fmt.Sprintf(`<circle class="%s" cx="%s" cy="%s" r="4"/>`, class, place(x), place(y))
	case 1:
		return fmt.Sprintf(`<path class="%s" d="M%sm-3.2 -3.2h6.4v6.4h-6.4z"/>`, class, at)
	case 2:
		return fmt.Sprintf(`<path class="%s" d="M%sm0 -4.4l4.4 4.4l-4.4 4.4l-4.4 -4.4z"/>`, class, at)
	}
	return fmt.Sprintf(`<path class="%s" d="M%sm0 -4.4l4.2 7.6h-8.4z"/>`, class, at)
}

// Widths in the legend: of a letter, of a line's sample, and around it.
const (
	letterWidth = 6.5
	sampleWidth = 24
	sampleGap   = 4
	legendGap   = 14
)

// legendWidth is what the series takes in a row of the legend.
func (s series) legendWidth() float64 {
	return legendGap + sampleWidth + sampleGap + float64(len(s.name))*letterWidth
}

// legendRows spreads the series that have a name over rows. The axis' label
// stands before the last one.
func (p plot) legendRows() [][]series {
	const room = plotWidth - roomRight
	last := room - float64(len(p.y.label))*letterWidth
	var rows [][]series
	width := 0.0
	for _, s := range p.series {
		if s.name == "" {
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

// legend names the lines above the plot, at the right.
func (p plot) legend(b *strings.Builder, rows [][]series) {
	for n, row := range rows {
		x := float64(plotWidth - roomRight)
		for _, s := range row {
			x -= s.legendWidth()
		}
		y := p.top - 12 - legendRow*(len(rows)-1-n)
		for _, s := range row {
			x += legendGap
			class := "line"
			if s.dashed {
				class = "line dashed"
			}
			fmt.Fprintf(b, `<g class="k%d"><path class="%s" d="M%s %dh%d"/>`, s.kernel%colours, class, place(x), y-4, sampleWidth)
			if s.marks {
				b.WriteString(mark(s.kernel, s.dashed, x+sampleWidth/2, float64(y-4)))
			}
			fmt.Fprintf(b, `<text class="key" x="%s" y="%d">%s</text></g>`+"\n",
				place(x+sampleWidth+sampleGap), y, html.EscapeString(s.name))
			x += s.legendWidth() - legendGap
		}
	}
}

// place is a coordinate with one decimal, or none if that is 0.
func place(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
