// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

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
	d.blocks(p, lineWidth)
	p.line("", "")
	for _, r := range d.Rows {
		p.wrapped("", fmt.Sprintf("%s: %s; lookups: %s", r.Name, r.About, r.Lookups))
	}
	p.line("", "")
	for _, note := range d.Notes {
		p.wrapped("", note)
	}
	p.wrapped("", files.rest())
	return p.writeTo(w)
}

// blocks writes the table, as many groups of columns beside each other as fit into
// a width.
func (d *Designs) blocks(p *paper, fit int) {
	const gap = "  "
	var g *grid
	at, width := 0, fit+1
	for _, group := range d.Groups() {
		widths, own := d.widths(at, group, len(gap))
		if width+own > fit {
			if g != nil {
				p.line("", "")
				g.write(p)
			}
			g = &grid{left: []bool{true}, gap: gap}
			g.rows = []gridRow{{style: faint, cells: []string{""}, over: true}, {style: faint, cells: []string{""}}}
			width = 0
			for _, r := range d.Rows {
				g.rows = append(g.rows, gridRow{cells: []string{r.Name}, styles: []string{""}})
				width = max(width, len(r.Name))
			}
		}
		width += own
		for i, c := range group.Columns {
			over := ""
			if i == 0 {
				over = group.Group
			}
			g.left = append(g.left, false)
			g.rows[0].cells = append(g.rows[0].cells, over)
			g.rows[1].cells = append(g.rows[1].cells, fmt.Sprintf("%*s", widths[i], c.Title))
			for n, r := range d.Rows {
				row, style := &g.rows[n+2], ""
				if r.Cells[at].Best {
					style = green
				}
				row.cells, row.styles = append(row.cells, r.Cells[at].Text), append(row.styles, style)
			}
			at++
		}
	}
	p.line("", "")
	g.write(p)
}

// widths are those of a group's columns, of which the first is the one at a place of
// all, and all of them with the gaps before them: what stands over them has room.
func (d *Designs) widths(at int, group DesignGroup, gap int) (widths []int, all int) {
	for i, c := range group.Columns {
		own := utf8.RuneCountInString(c.Title)
		for _, r := range d.Rows {
			own = max(own, utf8.RuneCountInString(r.Cells[at+i].Text))
		}
		widths = append(widths, own)
		all += gap + own
	}
	if more := gap + utf8.RuneCountInString(group.Group) - all; more > 0 {
		widths[len(widths)-1] += more
		all += more
	}
	return widths, all
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
	d.blocks(p, mailWidth)
	p.line("", "")
	for _, r := range d.Rows {
		p.wrapped("", fmt.Sprintf("%s: %s; lookups: %s", r.Name, r.About, r.Lookups))
	}
	p.line("", "")
	p.wrapped("", strings.Join(d.Notes, " "))
	p.line("", "")
	p.wrapped("", d.Answer)
	return p.writeTo(w)
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
}

// Groups are the columns by what stands over them.
func (d *Designs) Groups() []DesignGroup {
	var out []DesignGroup
	for _, c := range d.Columns {
		if n := len(out); n > 0 && out[n-1].Group == c.Group {
			out[n-1].Columns = append(out[n-1].Columns, c)
		} else {
			out = append(out, DesignGroup{c.Group, []DesignColumn{c}})
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
