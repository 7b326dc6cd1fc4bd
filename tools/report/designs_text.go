// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

// WriteText writes the comparison for people at a terminal, and where the rest is.
// What does not fit beside each other stands below each other. It returns the error
// of w.
func (d *Designs) WriteText(w io.Writer, files Files, colour bool) error {
	p := &paper{colour: colour}
	p.wrapped(bold, d.Sentence)
	p.line("", "")
	p.wrapped("", d.Answer)
	if d.of.Interrupted {
		p.line(red, "The run was INTERRUPTED before its last boot.")
	}
	d.table(p, lineWidth)
	for _, note := range d.Notes {
		p.wrapped("", note)
	}
	p.wrapped("", files.rest())
	return p.writeTo(w)
}

// DesignsMail writes the comparison of designs for a cover letter: plain text of at
// most 75 columns. The error is that of NewDesigns, or of w.
func DesignsMail(w io.Writer, r *results.Results) error {
	d, err := NewDesigns(r)
	if err != nil {
		return err
	}
	p := &paper{width: mailWidth}
	p.wrapped("", d.Sentence)
	d.table(p, mailWidth)
	p.wrapped("", strings.Join(d.Notes, " "))
	p.line("", "")
	p.wrapped("", d.Answer)
	return p.writeTo(w)
}

// table writes the table, as many groups of columns beside each other as fit into a
// width, and what each design is.
func (d *Designs) table(p *paper, fit int) {
	for groups := d.Groups(); len(groups) > 0; {
		n := 1
		for n < len(groups) && d.grid(groups[:n+1]).width() <= fit {
			n++
		}
		p.line("", "")
		d.grid(groups[:n]).write(p)
		groups = groups[n:]
	}
	p.line("", "")
	for _, r := range d.Rows {
		p.wrapped("", fmt.Sprintf("%s: %s; lookups: %s", r.Name, r.About, r.Lookups))
	}
	p.line("", "")
}

// grid is a table of these groups of columns.
func (d *Designs) grid(groups []DesignGroup) *grid {
	g := &grid{left: []bool{true}, gap: "  "}
	g.rows = []gridRow{{style: faint, cells: []string{""}, over: true}, {style: faint, cells: []string{""}}}
	for _, r := range d.Rows {
		g.rows = append(g.rows, gridRow{cells: []string{r.Name}, styles: []string{""}})
	}
	for _, group := range groups {
		over := &g.rows[0]
		over.cells = slices.Concat(over.cells, []string{group.Group}, make([]string, len(group.Columns)-1))
		for i, c := range group.Columns {
			g.left = append(g.left, false)
			g.rows[1].cells = append(g.rows[1].cells, c.Title)
			for n, r := range d.Rows {
				row, style := &g.rows[n+2], ""
				if r.Cells[group.from+i].Best {
					style = green
				}
				row.cells, row.styles = append(row.cells, r.Cells[group.from+i].Text), append(row.styles, style)
			}
		}
	}
	return g
}

// DesignsMarkdown writes the comparison of designs as GitHub's Markdown: the
// sentence, the table and the answer. The error is that of NewDesigns, or of w.
func DesignsMarkdown(w io.Writer, r *results.Results) error {
	d, err := NewDesigns(r)
	if err != nil {
		return err
	}
	g := &grid{left: []bool{true}}
	head := []string{"design"}
	for _, c := range d.Columns {
		g.left = append(g.left, false)
		head = append(head, escapeMarkdown(c.Title))
	}
	g.left = append(g.left, true)
	g.add(append(head, "lookups")...)
	for _, r := range d.Rows {
		cells := []string{"`" + r.Name + "`"}
		for _, c := range r.Cells {
			text := escapeMarkdown(c.Text)
			if c.Best {
				text = "**" + text + "**"
			}
			cells = append(cells, text)
		}
		g.add(append(cells, escapeMarkdown(r.Lookups))...)
	}
	p := &paper{}
	para := func(text string) { p.wrapped("", escapeMarkdown(text)); p.line("", "") }
	para(d.Sentence)
	g.markdown(&p.b)
	p.line("", "")
	para(d.heads())
	para(strings.Join(d.Notes, " "))
	p.wrapped("", escapeMarkdown(d.Answer))
	return p.writeTo(w)
}

// DesignGroup is what stands over columns that follow each other.
type DesignGroup struct {
	Group   string
	Columns []DesignColumn
	from    int // place of the first one
}

// Groups are the columns by what stands over them.
func (d *Designs) Groups() []DesignGroup {
	var out []DesignGroup
	for i, c := range d.Columns {
		if n := len(out); n > 0 && out[n-1].Group == c.Group {
			out[n-1].Columns = append(out[n-1].Columns, c)
		} else {
			out = append(out, DesignGroup{c.Group, []DesignColumn{c}, i})
		}
	}
	return out
}

// Designs is the comparison of designs for a page, nil if there is none.
func (s *sheet) Designs() *Designs {
	d, err := NewDesigns(s.Results)
	if err != nil {
		return nil // there are no designs
	}
	for _, r := range d.Rows {
		for i, c := range r.Cells {
			if n, ok := s.index[c.place]; ok {
				s.shown[n] = true
				r.Cells[i].ID = figureID(n)
			}
		}
	}
	return d
}

// heads says in a sentence what the numbers of the columns are, where there is no
// room above them.
func (d *Designs) heads() string {
	var parts []string
	for _, g := range d.Groups() {
		var titles []string
		for _, c := range g.Columns {
			titles = append(titles, c.Title)
		}
		parts = append(parts, fmt.Sprintf("%s: %s", list(titles), g.Group))
	}
	return strings.Join(parts, "; ") + "."
}
