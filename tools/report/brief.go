// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Files are what a measurement leaves, of which Brief tells.
type Files struct{ JSON, Bench, Page string }

// Brief writes what came out in at most 30 lines: a sentence, the main table,
// which goals are missed, and where the rest is. It returns the error of w.
func Brief(w io.Writer, r *results.Results, files Files, o Options) error {
	s := newSheet(r)
	p := &paper{colour: o.Colour}
	p.wrapped(bold, s.sentence())
	if r.Interrupted {
		p.line(red, "The run was INTERRUPTED before its last boot.")
	}
	if len(s.noise.varied) > 0 {
		p.line(red, fmt.Sprintf("Not the same in every boot, although exact: %s, see the report.", count(len(s.noise.varied), "figure")))
	}
	for _, line := range s.unmeasured() {
		p.wrapped("", line)
	}
	goals := s.countGoals()
	style := ""
	if len(goals.missed) > 0 {
		style = red
	}
	p.wrapped(style, goals.sentence())

	p.line("", "")
	s.mainTable(p)
	p.line("", "")
	rest := "All figures: vcpulab report " + files.JSON
	for _, f := range []struct{ what, name string }{{"plots and samples", files.Page}, {"for benchstat", files.Bench}} {
		if f.name != "" {
			rest += "; " + f.what + ": " + f.name
		}
	}
	p.wrapped("", rest)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// unmeasured says what was asked for and could not be measured, and why.
func (s *sheet) unmeasured() []string {
	var out []string
	for _, o := range s.r.Omitted {
		out = append(out, o.What+" not measured: "+o.Why)
	}
	if host := s.r.Host.Running; host != nil && host.NoMemory != "" {
		out = append(out, "memory not counted: "+host.NoMemory)
	}
	return out
}

// mainTable writes the lines that the table of operations marks as main.
func (s *sheet) mainTable(p *paper) {
	columns := s.columns(false, len(s.methods) == 1, s.methods...)
	g := s.newGrid(columns, s.methods)
	if len(s.methods) == 1 {
		g.rows[0].cells[0] = s.methods[0].Quantity() + ", " + s.methods[0].Title()
	}
	first := len(g.rows)
	for _, line := range s.lines() {
		of, rows := s.curveOf(line.Of)
		for _, r := range picked(rows, line.Main) {
			g.rows = append(g.rows, s.textRow(of, r, line.Label, columns))
		}
	}
	unrepeated(g.rows[first:], 0)
	g.write(p)
}

// picked are those of a curve's rows that the main table has.
func picked(rows []row, which figure.Selection) []row {
	switch {
	case len(rows) == 0 || which == figure.Never:
		return nil
	case which == figure.LargestSize:
		return rows[len(rows)-1:]
	}

	var out []row
	for i, r := range rows {
		if r.key.VCPUs == 1 || r.key.VCPUs == 64 || i == len(rows)-1 {
			out = append(out, r)
		}
	}
	return out
}

// curveOf returns the rows of a curve, from the smallest to the largest, and
// the group that they are in.
func (s *sheet) curveOf(series figure.Key) (group, []row) {
	for _, g := range s.groups {
		for _, rows := range g.curves() {
			if rows[0].key.Series() == series {
				return g, rows
			}
		}
	}
	return group{}, nil
}

// sentence says what came out, in numbers.
func (s *sheet) sentence() string {
	if len(s.r.Kernels) == 0 || len(s.methods) == 0 {
		return "Nothing was measured."
	}

	var clauses []string
	for i, m := range s.methods {
		first := true
		for _, line := range s.lines() {
			// By other methods the first line is enough here.
			if line.Subject == "" || i > 0 && !first {
				continue
			}
			if text := s.clause(line, m, first); text != "" {
				clauses = append(clauses, text)
				first = false
			}
		}
	}
	if len(clauses) == 0 {
		return s.subject() + "."
	}
	return "On Linux " + s.r.Kernels[0].Release + ", " + strings.Join(clauses, "; ") + "."
}

// clause says of one line what it takes, and what it took without the series;
// "" if it was not measured.
func (s *sheet) clause(line figure.Line, m figure.Method, first bool) string {
	g, rows := s.curveOf(line.Of)
	subject := line.Subject
	if line.Main == figure.LargestSize {
		if len(rows) == 0 {
			return ""
		}
		rows = rows[len(rows)-1:]
		subject = fmt.Sprintf(subject, rows[0].key.VCPUs)
	}
	base, now := joinQuoted(s.over(g, rows, m, s.base), " to "), ""
	if len(s.against) > 0 {
		now = joinQuoted(s.over(g, rows, m, s.mainKernel()), " to ")
	}

	unit, with := "", ""
	if first {
		unit = " " + m.Quantity()
		if with = " with the series"; s.mainKernel() != namePatched {
			with = " with " + s.mainKernel()
		}
	}
	switch {
	case base == "":
		return ""
	case now == "":
		return subject + " " + base + unit
	case now == base:
		return subject + " " + now + unit + with + ", as without"
	}
	return subject + " " + now + unit + with + " instead of " + base
}

// Digest writes what came out as Markdown, for a README: a sentence, and a
// table of the operations on the page's first screen, over all sizes. It
// returns the error of w.
func Digest(w io.Writer, r *results.Results) error {
	if len(r.Kernels) < 2 {
		return fmt.Errorf("report: expected two kernels, found %d", len(r.Kernels))
	}
	s := newSheet(r)
	m, _ := s.quotedMethod()

	g := &grid{left: []bool{true, true, false, false, true}}
	g.add(m.Quantity(), "", "before", "after", "")
	for _, a := range s.answers(m) {
		if !a.First {
			continue
		}
		what := escapeMarkdown(a.What)
		if a.Code != "" {
			what = strings.TrimSpace("`" + a.Code + "` " + what)
		}
		i := slices.Index(s.against, s.mainKernel())
		if i < 0 || len(a.Base) == 0 || len(a.Others[i].Value) == 0 {
			continue
		}
		g.add(what, a.Sizes, joinQuoted(a.Base, " – "), joinQuoted(a.Others[i].Value, " – "), escapeMarkdown(a.Others[i].Change))
	}
	if len(g.rows) == 1 {
		return fmt.Errorf("report: found neither counted instructions nor times of user space, which are what a README quotes")
	}

	var b strings.Builder
	b.WriteString(escapeMarkdown(s.source(m)) + "\n\n")
	g.markdown(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// joinQuoted is a span as text.
func joinQuoted(span []quoted, separator string) string {
	var texts []string
	for _, q := range span {
		texts = append(texts, q.Text)
	}
	return strings.Join(texts, separator)
}
