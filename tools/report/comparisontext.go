// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteText writes the comparison for people: what is different, or with all
// every figure. It returns the error of w.
func (c *Comparison) WriteText(w io.Writer, all bool, o Options) error {
	p := &paper{colour: o.Colour}
	for _, of := range []struct {
		name string
		Measured
	}{{"old", c.Old}, {"new", c.New}} {
		text := fmt.Sprintf("%s: %s, tool %s", of.name, of.Created, of.Tool)
		if of.Running != "" {
			text += ", the running kernel: " + of.Running
		}
		if of.Interrupted {
			text += ", INTERRUPTED before its last boot"
		}
		p.line("", text)
	}

	var both []string
	for name := range c.Old.Series {
		if _, ok := c.New.Series[name]; ok {
			both = append(both, name)
		}
	}
	slices.Sort(both)
	for _, name := range both {
		if was, is := c.Old.Series[name], c.New.Series[name]; was != is {
			p.line("", fmt.Sprintf("%s: series %s and %s", name, orNone(short(was)), orNone(short(is))))
		}
	}
	for _, ob := range c.Obstacles {
		p.wrapped(red, fmt.Sprintf("not comparable, %s: %s: %s and %s", about(ob), ob.What, orNone(ob.Old), orNone(ob.New)))
	}

	c.rows(p, all)
	p.line("", "")
	var parts []string
	for _, v := range Verdicts {
		if n := c.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing measured in either"}
	}
	p.line("", count(len(c.Figures), "figure")+": "+strings.Join(parts, ", ")+".")
	_, err := io.WriteString(w, p.b.String())
	return err
}

// rows writes a line for each figure that is different.
func (c *Comparison) rows(p *paper, all bool) {
	g := &grid{left: []bool{true, true, true, false, false, true, true}, gap: "  "}
	g.rows = append(g.rows, gridRow{style: faint, cells: []string{"figure", "kernel", "method", "old", "new", "unit", "what"}})
	for _, f := range c.Figures {
		what, style := f.Verdict, ""
		switch f.Verdict {
		case Better:
			what, style = f.Change, green
		case Worse:
			what, style = "WORSE: "+f.Change, red
		case WithinNoise:
			what = f.Change
		case Incomparable:
			what += ": " + f.Why
		}
		if style == "" && !all {
			continue
		}
		g.rows = append(g.rows, gridRow{
			cells:  []string{f.Name, f.Kernel, f.Method.Title(), f.text(f.Old), f.text(f.New), f.Unit, what},
			styles: []string{"", "", "", "", "", "", style},
		})
	}
	if len(g.rows) > 1 {
		p.line("", "")
		g.write(p)
	}
}

// text is one of a figure's two values.
func (f Compared) text(v *float64) string {
	if v == nil {
		return "-"
	}
	return number(*v, f.decimals)
}

func about(o Obstacle) string {
	if o.Kernel != "" {
		return o.Kernel
	}
	return o.Method.Title()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
