// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for people: a table, patch by patch, then what
// is wrong, then the verdict.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	width := make([]int, len(r.Columns))
	for i, name := range r.Columns {
		width[i] = max(len(name), 7)
	}
	fmt.Fprintf(&b, "%-10s", "")
	for i, name := range r.Columns {
		fmt.Fprintf(&b, "  %-*s", width[i], name)
	}
	b.WriteByte('\n')
	for j, row := range r.Rows {
		fmt.Fprintf(&b, "%-10s", row.Name())
		for i := range r.Columns {
			fmt.Fprintf(&b, "  %-*s", width[i], r.at(i, j).short())
		}
		b.WriteString("  " + row.Subject + "\n")
	}
	for i := range r.Cells {
		r.Cells[i].explain(&b)
	}
	for _, name := range r.Columns {
		if why := r.WithoutSparse[name]; why != "" {
			fmt.Fprintf(&b, "\n%s: without sparse: %s\n", name, why)
		}
	}
	made, known := 0, 0
	for _, c := range r.Cells {
		if c.Cached || c.Seconds == 0 && c.Verdict != Failed {
			known++
			continue
		}
		made += c.Made
	}
	verdict := "good"
	if err := r.Err(); err != nil {
		verdict = "not good"
	}
	fmt.Fprintf(&b, "\n%d builds, %d known from before, %d objects made in %.0f s: %s\n", len(r.Cells), known, made, r.Seconds, verdict)
	if r.Dir != "" {
		fmt.Fprintf(&b, "logs: %s\n", r.Dir)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// at returns the cell of column i and row j.
func (r *Report) at(i, j int) *Cell { return &r.Cells[i*len(r.Rows)+j] }

// short is what stands in the table.
func (c *Cell) short() string {
	switch c.Verdict {
	case Failed:
		return "FAILED"
	case Warned:
		return fmt.Sprintf("+%d", len(c.New))
	case Unknown:
		return "?"
	case baseline:
		return fmt.Sprintf("(%d)", c.Warnings)
	}
	return "ok"
}

// explain writes what is wrong with a cell.
func (c *Cell) explain(b *strings.Builder) {
	where := fmt.Sprintf("\n%s, %s", c.Column, Row{Patch: c.Patch}.Name())
	switch c.Verdict {
	case Failed:
		fmt.Fprintf(b, "%s does not compile:\n  %s\n", where, strings.ReplaceAll(c.Error, "\n", "\n  "))
	case Unknown:
		fmt.Fprintf(b, "%s: none before it did compile, so that warnings could not be compared\n", where)
	case Warned:
		fmt.Fprintf(b, "%s has new warnings:\n", where)
		for _, w := range c.New {
			fmt.Fprintf(b, "  + %v\n", w)
		}
		for _, w := range c.Gone {
			fmt.Fprintf(b, "  - %v\n", w)
		}
		fmt.Fprintf(b, "  log: %s\n", c.Log)
	}
}
