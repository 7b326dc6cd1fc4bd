// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

// WriteText writes the comparison for people at a terminal, and where the rest is. What
// does not fit beside each other stands below each other. It returns the error of w.
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
	p.wrapped("", sentence("files", files))
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

func (d *Designs) grid(groups []DesignGroup) *grid {
	above, head := []string{""}, []string{""}
	rows := each(d.Rows, func(r DesignRow) gridRow { return gridRow{cells: []string{r.Name}, styles: make(map[int]string)} })
	for _, group := range groups {
		above = slices.Concat(above, []string{group.Group}, make([]string, len(group.Columns)-1))
		for i, c := range group.Columns {
			head = append(head, c.Title)
			for n, r := range d.Rows {
				own := group.Cells(r)[i]
				if own.Best {
					rows[n].styles[len(rows[n].cells)] = green
				}
				rows[n].cells = append(rows[n].cells, own.Text)
			}
		}
	}
	g := &grid{left: make([]bool, len(head)), gap: "  "}
	g.left[0] = true
	g.rows = append([]gridRow{{style: faint, cells: above, over: true}, {style: faint, cells: head}}, rows...)
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

// DesignsSentence writes what wins where as a paragraph of Markdown. The error is that
// of NewDesigns, or of w.
func DesignsSentence(w io.Writer, r *results.Results) error {
	d, err := NewDesigns(r)
	if err != nil {
		return err
	}
	p := &paper{}
	p.wrapped("", escapeMarkdown(d.Sentence))
	return p.writeTo(w)
}

// DesignGroup is what stands over columns that follow each other.
type DesignGroup struct {
	Group   string
	Columns []DesignColumn
	from    int // place of the first one
}

// Cells are those of a row in these columns.
func (g DesignGroup) Cells(r DesignRow) []DesignCell { return r.Cells[g.from:][:len(g.Columns)] }

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
	title := func(c DesignColumn) string { return c.Title }
	return strings.Join(each(d.Groups(), func(g DesignGroup) string { return list(each(g.Columns, title)) + ": " + g.Group }), "; ") + "."
}

// with is a column with a number in it: "walks in the caches (0.6 ns a vCPU)".
func (c DesignColumn) with(number string) string {
	return fmt.Sprintf("%s (%s)", c.Wins, strings.TrimSpace(number+" "+c.Unit))
}

// number is a cell's as a sentence has it: of lines the sum.
func (c DesignCell) number() string {
	if c.place.Key.Op == "" {
		return number(*c.Value, 0)
	}
	return c.Text
}

// sentence says which designs are ahead in which columns. Where most are, it does not
// list them.
func (d *Designs) sentence() string {
	var won ordered[string] // columns by who is first
	var level []string      // those that most designs share
	candidates := slices.DeleteFunc(slices.Clone(d.Rows), func(r DesignRow) bool { return r.Limit })
	for c, column := range d.Columns {
		var names []string
		var best DesignCell
		for _, i := range d.first[c] {
			names = append(names, d.Rows[i].Name)
			if own := d.Rows[i].Cells[c]; best.Value == nil || *own.Value < *best.Value {
				best = own
			}
		}
		switch {
		case len(names) == 0:
		case len(names) == 1:
			won.add(names[0]+" is first at", column.with(best.number()))
		case len(names) > 2 && 2*len(names) > len(candidates):
			level = append(level, column.Wins)
		default:
			won.add(list(names)+" are first at", column.with(best.number()))
		}
	}
	clauses := each(won.keys, func(who string) string { return who + " " + list(won.of[who]) })
	if len(level) > 0 {
		clauses = append(clauses, "most are level at "+list(level))
	}
	names := each(candidates, func(r DesignRow) string { return r.Name })
	return sentence("ahead", struct{ Candidates, Clauses []string }{names, clauses})
}

// answer says which designs other than the baseline's the figures favour, those that
// are first in the most columns, and how the main series compares with each of them.
func (d *Designs) answer() string {
	wins, compared := make([]int, len(d.Rows)), 0
	for _, rows := range d.first {
		compared += min(len(rows), 1)
		for _, i := range rows {
			wins[i]++
		}
	}
	out := struct {
		Most, Compared        int
		Names, Others, Speaks []string
	}{Most: slices.Max(wins[1:]), Compared: compared}
	main := slices.IndexFunc(d.Rows, func(r DesignRow) bool { return r.Name == namePatched })
	for i, r := range d.Rows {
		switch {
		case i > 0 && wins[i] == out.Most:
			out.Names = append(out.Names, r.Name)
			if main >= 0 && wins[main] < out.Most {
				out.Speaks = append(out.Speaks, d.against(main, i))
			}
		case !r.Limit:
			out.Others = append(out.Others, fmt.Sprintf("%s in %d", r.Name, wins[i]))
		}
	}
	return sentence("answer", out)
}

// against says in what a row is ahead of another one, and in what behind.
func (d *Designs) against(row, other int) string {
	a, b := d.Rows[row], d.Rows[other]
	out := struct {
		Name, Other    string
		Before, Behind []string
	}{Name: a.Name, Other: b.Name}
	for c, column := range d.Columns {
		if column.Wins == "" || a.Cells[c].Value == nil || b.Cells[c].Value == nil {
			continue
		}
		text := fmt.Sprintf("%s (%s, not %s)", column.Wins, a.Cells[c].number(), b.Cells[c].number())
		switch ahead(column, a.Cells[c], b.Cells[c]) {
		case -1:
			out.Before = append(out.Before, text)
		case 1:
			out.Behind = append(out.Behind, text)
		}
	}
	return sentence("against", out)
}
