// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Escape sequences of a terminal.
const (
	plain = "\x1b[0m"
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
)

// lineWidth is how wide notes may get, in columns, and mailWidth the same in a mail.
const (
	lineWidth = 96
	mailWidth = 75
)

// paper is text for a terminal.
type paper struct {
	b      strings.Builder
	colour bool
	width  int // of notes, lineWidth if it is 0
}

func (p *paper) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (p *paper) line(style, text string) {
	p.b.WriteString(p.styled(style, strings.TrimRight(text, " ")) + "\n")
}

// wrapped writes a text as lines of at most the paper's width.
func (p *paper) wrapped(style, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > cmp.Or(p.width, lineWidth) {
			p.line(style, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		p.line(style, line)
	}
}

// styled is text in a style, if colours are wanted.
func (p *paper) styled(style, text string) string {
	if !p.colour || style == "" || text == "" {
		return text
	}
	return style + text + plain
}

// grid is a table of text: whatever prints one fills it and writes it.
type grid struct {
	left []bool // which columns are aligned at the left
	gap  string // between columns
	rows []gridRow
}

type gridRow struct {
	style   string // of the whole line
	heading string // it is nothing but this, unless that is ""
	cells   []string
	styles  map[int]string // of cells that have another one
	over    bool           // each cell stands over several columns, from its own on
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, gridRow{cells: cells}) }

// widths are those of the columns. What stands over several has room there.
func (g *grid) widths() []int {
	out := make([]int, len(g.left))
	for _, r := range g.rows {
		for i, c := range r.cells {
			if !r.over {
				out[i] = max(out[i], utf8.RuneCountInString(c))
			}
		}
	}
	for _, r := range g.rows {
		last, room := len(r.cells)-1, 0
		for i, c := range slices.Backward(r.cells) {
			room += len(g.gap) + out[i]
			if r.over && c != "" {
				out[last] += max(len(g.gap)+utf8.RuneCountInString(c)-room, 0)
				last, room = i-1, 0
			}
		}
	}
	return out
}

func (g *grid) width() int {
	all := -len(g.gap)
	for _, w := range g.widths() {
		all += len(g.gap) + w
	}
	return all
}

// write writes the table as text. There are no blanks at the end of lines.
func (g *grid) write(p *paper) {
	widths := g.widths()
	for _, r := range g.rows {
		if r.heading != "" || r.over {
			p.line(r.style, r.heading+g.over(r.cells, widths))
			continue
		}

		var cells []string
		for i, text := range r.cells {
			styled := p.styled(cmp.Or(r.styles[i], r.style), text)
			cells = append(cells, g.padded(i, styled, widths[i]-utf8.RuneCountInString(text)))
		}
		p.line("", strings.Join(cells, g.gap))
	}
}

// padded is a cell's text with so many blanks where its column wants them.
func (g *grid) padded(column int, text string, blanks int) string {
	if g.left[column] {
		return text + strings.Repeat(" ", blanks)
	}
	return strings.Repeat(" ", blanks) + text
}

// over is a line of which each cell stands over several columns.
func (g *grid) over(cells []string, widths []int) string {
	line, at := "", 0
	for i, text := range cells {
		if text != "" {
			line += strings.Repeat(" ", max(at-utf8.RuneCountInString(line), 0)) + text
		}
		at += widths[i] + len(g.gap)
	}
	return line
}

// markdown writes the table as GitHub's Markdown, the first row as its head.
// Its source is aligned, so that it reads well unrendered, too.
func (g *grid) markdown(b *strings.Builder) {
	widths := g.widths()
	for n, r := range g.rows {
		b.WriteByte('|')
		for i, text := range r.cells {
			b.WriteString(" " + g.padded(i, text, widths[i]-utf8.RuneCountInString(text)) + " |")
		}
		b.WriteByte('\n')
		if n > 0 {
			continue
		}

		b.WriteByte('|')
		for i, width := range widths {
			rule := strings.Repeat("-", max(width, 2)-1)
			if g.left[i] {
				b.WriteString(" :" + rule + " |")
			} else {
				b.WriteString(" " + rule + ": |")
			}
		}
		b.WriteByte('\n')
	}
}

// unrepeated empties cells of a column that say what the one above does.
func unrepeated(rows []gridRow, column int) {
	last := ""
	for _, r := range rows {
		if text := r.cells[column]; text == last {
			r.cells[column] = ""
		} else {
			last = text
		}
	}
}
