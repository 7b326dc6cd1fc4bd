// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Options say how Table and Brief write.
type Options struct {
	// Colour colours what got better or worse. What happened is always said
	// in words, too.
	Colour bool
}

// OptionsFor returns what suits w: colours on a terminal, unless NO_COLOR is
// set. Whatever has a file descriptor may be one.
func OptionsFor(w io.Writer) Options {
	f, ok := w.(interface{ Fd() uintptr })
	return Options{Colour: ok && term.IsTerminal(int(f.Fd())) &&
		os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Table writes the results for people at a terminal, in less than 100 columns
// with one kernel besides the baseline. It returns the error of w.
func Table(w io.Writer, r *results.Results, o Options) error {
	s := newSheet(r)
	p := &paper{colour: o.Colour}
	p.line(bold, s.subject())
	for _, m := range s.methods {
		p.wrapped("", m.Sentence())
	}
	p.line("", "")

	single := len(s.methods) == 1
	s.fullTable(p, s.columns(single && s.noise.differs(s.methods[0]), single, s.methods...), s.methods)
	if s.hasVariants() {
		for _, m := range s.methods {
			s.variantTable(p, m)
		}
	}

	p.line("", "")
	s.notes(p)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// fullTable writes all groups, each under its title.
func (s *sheet) fullTable(p *paper, columns []column, methods []figure.Method) {
	g := s.newGrid(columns, methods)
	// What looks the same in one column may differ in one that is left out.
	all := s.columns(true, true, methods...)
	if s.hasVariants() && slices.Equal(columns, s.everyKernel(methods[0])) {
		all = columns
	}
	for _, of := range s.groups {
		g.rows = append(g.rows, gridRow{style: bold, heading: heading(of, methods)})
		first := len(g.rows)
		for _, r := range s.merged(of, of.rows, all) {
			g.rows = append(g.rows, s.textRow(of, r, "  "+r.label(), columns))
		}
		unrepeated(g.rows[first:], 0)
	}
	g.write(p)
}

// heading is the title of a group with the units of its figures.
func heading(g group, methods []figure.Method) string {
	if per := g.PerUnit(methods...); per != "" {
		return g.Title + ", " + per
	}
	return g.Title
}

// newGrid is a grid with these columns after those of label and size, with
// its head.
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

// title heads a column.
func (s *sheet) title(c column) string {
	switch {
	case c.what == change:
		return "change"
	case c.what == goal:
		return s.targetTitle()
	case c.kernel == again(s.base):
		return "again"
	}
	return c.kernel
}

// textRow is a row as text.
func (s *sheet) textRow(of group, r row, label string, columns []column) gridRow {
	out := gridRow{cells: []string{label, sizes(of, r)}, styles: []string{"", ""}}
	for _, c := range columns {
		text := s.text(of, r, c)
		if c.kernel == again(s.base) && text == of.number(r, c.method, s.base) && text != "" {
			text = "="
		}
		// Points stand below each other in a group.
		if c.what == value && text != "" && !strings.Contains(text, ".") && of.fractions(c.method) {
			text += "  "
		}
		out.cells = append(out.cells, text)
		out.styles = append(out.styles, s.style(of, r, c))
	}
	return out
}

// style is that of a change, or of a goal that is missed.
func (s *sheet) style(g group, r row, c column) string {
	switch {
	case c.what == goal && s.target(g, r, c.method).Outcome == figure.Missed:
		return red
	case c.what == change:
		return map[trend]string{better: green, worse: red}[s.change(r, c.method, c.kernel).trend]
	}
	return ""
}

// sizes are those that a row is of, "" if it has none.
func sizes(g group, r row) string {
	if g.Sizes == "" {
		return ""
	}
	return sizeList(r.sizes)
}

// fractions says that a figure of the group is shown with a decimal.
func (g group) fractions(m figure.Method) bool {
	for c, d := range g.decimals {
		if c.method == m && d > 0 {
			return true
		}
	}
	return false
}

// variantTable writes the figures of all kernels side by side.
func (s *sheet) variantTable(p *paper, m figure.Method) {
	title := "All kernels"
	if len(s.methods) > 1 {
		title += ", " + m.Title()
	}
	p.line("", "")
	p.line(bold, title)
	width := 0
	for _, k := range s.kernels {
		width = max(width, utf8.RuneCountInString(k))
	}
	for _, k := range s.r.Kernels {
		if k.About != "" {
			p.line("", fmt.Sprintf("  %-*s  %s", width, k.Name, k.About))
		}
	}
	s.fullTable(p, s.everyKernel(m), []figure.Method{m})
}

// notes writes what the numbers need to be read right.
func (s *sheet) notes(p *paper) {
	p.wrapped(red, s.noise.finding())
	for _, m := range s.methods {
		text := s.noise.sentence(m) + s.probes(m)
		if len(s.methods) > 1 {
			text = m.Title() + ": " + text
		}
		p.wrapped("", text)
	}
	if s.uncertain() {
		p.wrapped("", uncertainSentence)
	}
	if len(s.methods) == 1 {
		p.wrapped("", s.targetSentence())
	}
	p.wrapped("", strings.Join(s.explanations(), " "))
	p.wrapped("", s.repeated()+" Measured with "+strings.Join(s.where(), ", ")+".")
}

const uncertainSentence = "~ is within what the baseline differs from itself, between boots or in A/A."

// uncertain says that a change lies within the noise.
func (s *sheet) uncertain() bool {
	for _, g := range s.groups {
		for _, r := range g.rows {
			for _, m := range s.methods {
				if slices.ContainsFunc(s.against, func(k string) bool { return s.change(r, m, k).trend == within }) {
					return true
				}
			}
		}
	}
	return false
}
