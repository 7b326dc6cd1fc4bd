// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Colours says whether w takes them: on a terminal, unless NO_COLOR is set.
// Whatever has a file descriptor may be one.
func Colours(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Table writes the results for people at a terminal, in less than 100 columns with one kernel
// besides the baseline. Colours say nothing that words do not. It returns the error of w.
func Table(w io.Writer, r *results.Results, colour bool) error {
	s := newSheet(r)
	p := &paper{colour: colour}
	p.line(bold, s.Subject())
	for _, m := range s.methods {
		p.wrapped("", m.Sentence())
	}
	p.line("", "")

	single := len(s.methods) == 1
	s.fullTable(p, s.columns(single && s.repetition(s.methods[0]).Differs(), single, s.methods...), s.methods)
	if s.HasVariants() {
		for _, m := range s.methods {
			s.variantTable(p, m)
		}
	}

	p.line("", "")
	s.notes(p)
	return p.writeTo(w)
}

// fullTable writes all groups, each under its title.
func (s *sheet) fullTable(p *paper, columns []column, methods []figure.Method) {
	g := s.newGrid(columns, methods)
	// What looks the same in one column may differ in one that is left out.
	all := s.columns(true, true, methods...)
	if s.HasVariants() && slices.Equal(columns, s.everyKernel(methods[0])) {
		all = columns
	}
	for _, of := range s.groups {
		heading := of.Title
		if per := of.PerUnit(methods...); per != "" {
			heading += ", " + per
		}
		g.rows = append(g.rows, gridRow{style: bold, heading: heading})
		first := len(g.rows)
		for _, r := range s.merged(of, all) {
			g.rows = append(g.rows, s.textRow(r, "  "+r.label(), columns))
		}
		unrepeated(g.rows[first:], 0)
	}
	g.write(p)
}

// newGrid is a grid with these columns after those of label and size, with its head.
func (s *sheet) newGrid(columns []column, methods []figure.Method) *grid {
	g := &grid{left: []bool{true, false}, gap: "  "}
	head := []string{"", "vCPUs"}
	for _, c := range columns {
		g.left = append(g.left, c.what != value)
		head = append(head, s.title(c))
	}
	if len(methods) > 1 && len(columns) > len(methods) {
		// With two methods there is less room.
		g.gap = " "
		above := make([]string, len(head))
		for i, c := range columns {
			if i == 0 || columns[i-1].method != c.method {
				above[i+2] = c.method.Title()
			}
		}
		g.rows = append(g.rows, gridRow{style: faint, cells: above, over: true})
	}
	g.rows = append(g.rows, gridRow{style: faint, cells: head})
	return g
}

func (s *sheet) title(c column) string {
	switch {
	case c.what == change:
		return "change"
	case c.what == goal:
		return s.TargetTitle()
	case c.column == again(s.base):
		return "again"
	}
	return c.column
}

func (s *sheet) textRow(r row, label string, columns []column) gridRow {
	out := gridRow{cells: []string{label, r.sizeText()}, styles: make(map[int]string)}
	for _, c := range columns {
		text := s.text(r, c)
		if c.column == again(s.base) && text == r.number(cell{c.method, s.base}) && text != "" {
			text = "="
		}
		// Points stand below each other in a group.
		if c.what == value && text != "" && !strings.Contains(text, ".") && r.fractions(c.method) {
			text += "  "
		}
		out.styles[len(out.cells)] = s.style(r, c)
		out.cells = append(out.cells, text)
	}
	return out
}

// style is that of a change, or of a goal that is missed.
func (s *sheet) style(r row, c column) string {
	switch {
	case c.what == goal && s.target(r, c.method).Outcome == figure.Missed:
		return red
	case c.what == change:
		return map[Verdict]string{Better: green, Worse: red}[s.change(r, c.cell).Verdict]
	}
	return ""
}

// sizeText are the sizes that a row is of, "" if it has none.
func (r row) sizeText() string {
	if r.Sizes == "" {
		return ""
	}
	return sizeList(r.sizes)
}

// fractions says that a figure of the group is shown with a decimal.
func (g *group) fractions(m figure.Method) bool {
	return slices.ContainsFunc(g.curves, func(c *curve) bool { return c.decimals[m] > 0 })
}

// variantTable writes the figures of all kernels side by side.
func (s *sheet) variantTable(p *paper, m figure.Method) {
	title := "All kernels"
	if len(s.methods) > 1 {
		title += ", " + m.Title()
	}
	p.line("", "")
	p.line(bold, title)
	about := &grid{left: []bool{true, true}, gap: "  "}
	for _, k := range s.Kernels {
		if k.About != "" {
			about.add("  "+k.Name, k.About)
		}
	}
	about.write(p)
	s.fullTable(p, s.everyKernel(m), []figure.Method{m})
}

// notes writes what the numbers need to be read right.
func (s *sheet) notes(p *paper) {
	p.wrapped(red, s.Finding())
	for _, m := range s.methods {
		text := s.Noise(m)
		if len(s.methods) > 1 {
			text = m.Title() + ": " + text
		}
		p.wrapped("", text)
	}
	if s.Uncertain() {
		p.wrapped("", uncertainSentence)
	}
	if len(s.methods) == 1 {
		p.wrapped("", s.TargetSentence())
	}
	p.wrapped("", strings.Join(s.Explanations(), " "))
	p.wrapped("", s.Repeated()+" Measured with "+strings.Join(s.where(), ", ")+".")
}

const uncertainSentence = "~ is within what the baseline differs from itself, between boots or in A/A."

// Uncertain says that a change lies within the noise.
func (s *sheet) Uncertain() bool {
	columns := s.columns(false, false, s.methods...)
	for _, g := range s.groups {
		for _, r := range g.rows() {
			if slices.ContainsFunc(columns, func(c column) bool { return c.what == change && s.change(r, c.cell).Verdict == WithinNoise }) {
				return true
			}
		}
	}
	return false
}
