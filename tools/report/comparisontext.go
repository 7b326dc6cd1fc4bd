// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
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

	for _, name := range slices.Sorted(maps.Keys(c.Old.Series)) {
		was := c.Old.Series[name]
		if is, both := c.New.Series[name]; both && was != is {
			p.line("", fmt.Sprintf("%s: series %s and %s", name, cmp.Or(short(was), "none"), cmp.Or(short(is), "none")))
		}
	}
	for _, o := range c.Obstacles {
		p.wrapped(red, fmt.Sprintf("not comparable, %s: %s: %s and %s",
			cmp.Or(o.Kernel, o.Method.Title()), o.What, cmp.Or(o.Old, "none"), cmp.Or(o.New, "none")))
	}

	c.rows(p, all)
	p.line("", "")
	var parts []string
	for _, v := range Verdicts {
		if n := c.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	p.line("", count(len(c.Figures), "figure")+": "+cmp.Or(strings.Join(parts, ", "), "nothing measured in either")+".")
	return p.writeTo(w)
}

// rows writes a line for each figure that is different.
func (c *Comparison) rows(p *paper, all bool) {
	g := &grid{left: []bool{true, true, true, false, false, true, true}, gap: "  "}
	g.rows = append(g.rows, gridRow{style: faint, cells: []string{"figure", "kernel", "method", "old", "new", "unit", "what"}})
	for _, f := range c.Figures {
		what, style := string(f.Verdict), ""
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
