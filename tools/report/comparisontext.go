// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"vcpulab/tools/results"
)

// WriteText writes the comparison for people: what is different, or with all
// every figure. It returns the error of w.
func (c *Comparison) WriteText(w io.Writer, all bool, o Options) error {
	t := &table{sheet: &sheet{}, colour: o.Colour}
	for _, m := range []struct {
		name string
		Measured
	}{{"old", c.Old}, {"new", c.New}} {
		text := fmt.Sprintf("%s: %s, tool %s", m.name, m.Created, m.Tool)
		if m.Running != "" {
			text += ", the running kernel: " + m.Running
		}
		if m.Interrupted {
			text += ", INTERRUPTED before its last boot"
		}
		t.line("", text)
	}
	for _, name := range slices.Sorted(seriesOf(c)) {
		if was, is := c.Old.Series[name], c.New.Series[name]; was != is {
			t.line("", fmt.Sprintf("%s: series %s and %s", name, orNone(short(was)), orNone(short(is))))
		}
	}
	for _, ob := range c.Obstacles {
		t.wrapped(red, fmt.Sprintf("not comparable, %s: %s: %s and %s", about(ob), ob.What, orNone(ob.Old), orNone(ob.New)))
	}
	c.rows(t, all)
	t.line("", "")
	var parts []string
	for _, v := range Verdicts {
		if n := c.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing measured in either"}
	}
	t.line("", count(len(c.Figures), "figure")+": "+strings.Join(parts, ", ")+".")
	_, err := io.WriteString(w, t.b.String())
	return err
}

// rows writes a line for each figure that is different.
func (c *Comparison) rows(t *table, all bool) {
	head := []string{"figure", "kernel", "arm", "old", "new", "unit", "what"}
	lines := [][]string{head}
	var styles []string
	for _, f := range c.Figures {
		what, style := f.Verdict, ""
		switch f.Verdict {
		case Same, OnlyOld, OnlyNew:
			if !all {
				continue
			}
		case WithinNoise:
			if !all {
				continue
			}
			what = f.Change
		case Better:
			what, style = f.Change, green
		case Worse:
			what, style = "WORSE: "+f.Change, red
		case Incomparable:
			if !all {
				continue
			}
			what += ": " + f.Why
		}
		lines = append(lines, []string{f.Name, f.Kernel, armName(f.Method), f.text(f.Old), f.text(f.New), f.Unit, what})
		styles = append(styles, style)
	}
	if len(lines) == 1 {
		return
	}
	widths := make([]int, len(head))
	for _, l := range lines {
		for i, text := range l {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	t.line("", "")
	for n, l := range lines {
		var b strings.Builder
		for i, text := range l[:len(l)-1] {
			if i == 3 || i == 4 {
				text = padLeft(text, widths[i])
			}
			b.WriteString(pad(text, widths[i]) + "  ")
		}
		if n == 0 {
			t.line(faint, b.String()+l[len(l)-1])
			continue
		}
		t.b.WriteString(b.String())
		t.line(styles[n-1], l[len(l)-1])
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
	return armName(results.Method(o.Method))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// seriesOf goes through the names of the kernels of both.
func seriesOf(c *Comparison) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range c.Old.Series {
			if _, both := c.New.Series[name]; both && !yield(name) {
				return
			}
		}
	}
}
