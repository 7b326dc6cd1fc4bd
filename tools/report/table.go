// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"vcpulab/tools/results"
)

// Options say how Table writes.
type Options struct {
	// Colour colours what got better or worse. What happened is always said
	// in words, too.
	Colour bool
}

// OptionsFor returns what suits w: colours on a terminal, unless NO_COLOR is
// set.
func OptionsFor(w io.Writer) Options {
	f, ok := w.(*os.File)
	return Options{Colour: ok && term.IsTerminal(int(f.Fd())) &&
		os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Escape sequences of a terminal.
const (
	plain  = "\x1b[0m"
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	indent = "  "
)

// lineWidth is how wide notes may get, in columns.
const lineWidth = 96

// Table writes the results for people at a terminal, in less than 100 columns
// with one kernel besides the baseline. It returns the error of w.
func Table(w io.Writer, r *results.Results, o Options) error {
	s := newSheet(r)
	t := &table{sheet: s, colour: o.Colour}
	t.layout()
	t.line(bold, s.subject())
	for _, arm := range s.arms {
		t.line("", armSentence(arm))
	}
	t.head()
	for _, g := range s.groups {
		t.group(g)
	}
	for _, arm := range t.arms {
		t.variants(arm)
	}
	t.line("", "")
	t.notes()
	_, err := io.WriteString(w, t.b.String())
	return err
}

// table writes lines of columns that are aligned over all groups.
type table struct {
	*sheet
	b       strings.Builder
	colour  bool
	columns []column
	gap     string // between columns
	label   int    // width of the label, in columns of the terminal
	size    int    // width of the size
}

// column is one column of cells.
type column struct {
	arm    results.Method
	kernel string
	change bool // of the kernel, not its value
	limit  bool // what the kernel is held to
	width  int
}

func (c column) title(base string) string {
	switch {
	case c.change:
		return "change"
	case c.limit:
		return "limit"
	case c.kernel == again(base):
		return "again"
	}
	return c.kernel
}

// layout decides on the columns, and how wide they are.
func (t *table) layout() {
	t.gap = "  "
	if len(t.arms) > 1 {
		t.gap = " "
	}
	for _, arm := range t.arms {
		t.columns = append(t.columns, column{arm: arm, kernel: t.base})
		// With two arms there is no room for it: the notes must do.
		if t.noise.differs(arm) && len(t.arms) == 1 {
			t.columns = append(t.columns, column{arm: arm, kernel: again(t.base)})
		}
		for _, k := range t.against {
			t.columns = append(t.columns, column{arm: arm, kernel: k}, column{arm: arm, kernel: k, change: true})
		}
		if t.limited() && len(t.arms) == 1 {
			t.columns = append(t.columns, column{arm: arm, limit: true})
		}
	}
	for i := range t.columns {
		t.columns[i].width = utf8.RuneCountInString(t.columns[i].title(t.base))
	}
	t.size = len("vCPUs")
	for _, g := range t.groups {
		for _, r := range t.merged(g) {
			t.label = max(t.label, utf8.RuneCountInString(rowLabel(r)))
			t.size = max(t.size, len(rowSize(g, r)))
			for i, c := range t.columns {
				t.columns[i].width = max(c.width, utf8.RuneCountInString(t.cell(g, r, c)))
			}
		}
	}
}

func rowLabel(r row) string {
	if r.name != "" {
		return r.name
	}
	return r.label
}

func rowSize(g group, r row) string {
	if _, _, sizes := g.kind.about(); sizes == "" {
		return ""
	}
	return sizeList(r.sizes)
}

// cell is what stands in a column of a row.
func (t *table) cell(g group, r row, c column) string {
	switch {
	case c.change:
		return t.change(r, c.arm, c.kernel).String()
	case c.limit:
		return t.limit(g, r, c.arm).String()
	}
	text := g.text(r, c.arm, c.kernel)
	if c.kernel == again(t.base) && text == g.text(r, c.arm, t.base) {
		text = "="
	}
	// Points stand below each other in a group.
	if text != "" && !strings.Contains(text, ".") && g.fractions(c.arm) {
		text += "  "
	}
	return text
}

// fractions says that a figure of the group is shown with a decimal.
func (g group) fractions(arm results.Method) bool {
	for run, d := range g.decimals {
		if run.arm == arm && d > 0 {
			return true
		}
	}
	return false
}

// head writes the columns' titles.
func (t *table) head() {
	t.line("", "")
	lead := pad("", len(indent)+t.label) + t.gap + padLeft("vCPUs", t.size)
	if len(t.arms) > 1 {
		line := pad("", utf8.RuneCountInString(lead))
		for _, arm := range t.arms {
			width := -len(t.gap)
			for _, c := range t.columns {
				if c.arm == arm {
					width += len(t.gap) + c.width
				}
			}
			title := " " + armName(arm) + " "
			left := max((width-len(title))/2, 0)
			line += t.gap + strings.Repeat("-", left) + title + strings.Repeat("-", max(width-left-len(title), 0))
		}
		t.line(faint, line)
	}
	line := lead
	for _, c := range t.columns {
		if c.change || c.limit {
			line += t.gap + pad(c.title(t.base), c.width)
		} else {
			line += t.gap + padLeft(c.title(t.base), c.width)
		}
	}
	t.line(faint, line)
}

// group writes the rows of one kind under its title.
func (t *table) group(g group) {
	t.line(bold, g.heading(t.arms))
	last := ""
	for _, r := range t.merged(g) {
		label := rowLabel(r)
		if label == last {
			label = ""
		} else {
			last = label
		}
		line := indent + pad(label, t.label) + t.gap + padLeft(rowSize(g, r), t.size)
		t.b.WriteString(line)
		blanks := "" // left out at the end of a line
		for _, c := range t.columns {
			text := t.cell(g, r, c)
			if !c.change && !c.limit {
				t.b.WriteString(blanks + t.gap + padLeft(text, c.width))
				blanks = ""
				continue
			}
			blanks += t.gap
			if text != "" {
				t.b.WriteString(blanks)
				t.style(t.cellColour(g, r, c), text)
				blanks = ""
			}
			blanks += pad("", c.width-utf8.RuneCountInString(text))
		}
		t.b.WriteByte('\n')
	}
}

// cellColour is the colour of a change, or of a limit that is missed.
func (t *table) cellColour(g group, r row, c column) string {
	if !c.limit {
		return colourOf(t.change(r, c.arm, c.kernel).verdict)
	}
	if t.limit(g, r, c.arm).missed {
		return red
	}
	return ""
}

func colourOf(v verdict) string {
	switch v {
	case better:
		return green
	case worse:
		return red
	}
	return ""
}
