// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// Files are what a measurement leaves, of which Brief tells.
type Files struct{ JSON, Bench, Page string }

// Brief writes what came out in at most 30 lines: a sentence, the main table,
// which goals are missed, and where the rest is. It returns the error of w.
func Brief(w io.Writer, r *results.Results, files Files, colour bool) error {
	s := newSheet(r)
	p := &paper{colour: colour}
	p.wrapped(bold, s.Sentence())
	if r.Interrupted {
		p.line(red, "The run was INTERRUPTED before its last boot.")
	}
	if len(s.varied) > 0 {
		p.line(red, fmt.Sprintf("Not the same in every boot, although exact: %s, see the report.", progress.Count(len(s.varied), "figure")))
	}
	for _, o := range r.Omitted {
		p.wrapped("", o.What+" not measured: "+o.Why)
	}
	if host := r.Host.Running; host != nil && host.NoMemory != "" {
		p.wrapped("", "memory not counted: "+host.NoMemory)
	}
	goals := s.Goals()
	style := ""
	if len(goals.Missed) > 0 {
		style = red
	}
	p.wrapped(style, goals.Sentence())

	p.line("", "")
	s.mainTable(p)
	p.line("", "")
	p.wrapped("", sentence("files", files))
	return p.writeTo(w)
}

// mainTable writes the lines that the table of operations marks as main.
func (s *sheet) mainTable(p *paper) {
	columns := s.columns(false, len(s.methods) == 1, s.methods...)
	g := s.newGrid(columns, s.methods)
	if len(s.methods) == 1 {
		g.rows[0].cells[0] = s.methods[0].Quantity() + ", " + s.methods[0].Title()
	}
	first := len(g.rows)
	for _, line := range figure.Lines() {
		for _, r := range picked(s.rowsOf(line.Of), line.Main) {
			g.rows = append(g.rows, s.textRow(r, line.Label, columns))
		}
	}
	unrepeated(g.rows[first:], 0)
	g.write(p)
}

// picked are those of a curve's rows that the main table has.
func picked(rows []row, which figure.Selection) []row {
	if len(rows) == 0 || which == figure.Never {
		return nil
	}
	last := rows[len(rows)-1]
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		few := which == figure.FewSizes && (r.key.VCPUs == 1 || r.key.VCPUs == 64)
		return r.key != last.key && !few
	})
}

// rowsOf returns the rows of a curve, from the smallest to the largest.
func (s *sheet) rowsOf(series figure.Key) []row {
	all := s.curves()
	if i := slices.IndexFunc(all, func(c *curve) bool { return c.rows[0].key.Series() == series }); i >= 0 {
		return all[i].rows
	}
	return nil
}

// Sentence says what came out, in numbers.
func (s *sheet) Sentence() string {
	if len(s.Kernels) == 0 || len(s.methods) == 0 {
		return "Nothing was measured."
	}

	var clauses []string
	for i, m := range s.methods {
		first := true
		for _, line := range figure.Lines() {
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
		return s.Subject() + "."
	}
	return "On Linux " + s.Kernels[0].Release + ", " + strings.Join(clauses, "; ") + "."
}

// clause says of one line what it takes, and what it took without the series;
// "" if it was not measured.
func (s *sheet) clause(line figure.Line, m figure.Method, first bool) string {
	rows := s.rowsOf(line.Of)
	if len(rows) == 0 {
		return ""
	}
	subject := line.Subject
	if line.Main == figure.LargestSize {
		rows = picked(rows, line.Main)
		subject = fmt.Sprintf(subject, rows[0].key.VCPUs)
	}
	base, now := joinQuoted(s.over(rows, cell{m, s.base}), " to "), ""
	if len(s.against) > 0 {
		now = joinQuoted(s.over(rows, cell{m, s.mainKernel()}), " to ")
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

// joinQuoted is a span as text.
func joinQuoted(span []quoted, separator string) string {
	return strings.Join(each(span, func(q quoted) string { return q.Text }), separator)
}
