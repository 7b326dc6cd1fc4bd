// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vcpulab/tools/junit"
)

// WriteText writes the report for people: a table, patch by patch, then what is
// wrong, then whether all is good.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	width := make([]int, len(r.Columns))
	fmt.Fprintf(&b, "%-10s", "")
	for i, name := range r.Columns {
		width[i] = max(len(name), 7)
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
		if c.Cached {
			known++
			continue
		}
		made += c.Made
	}
	result := "good"
	if r.Err() != nil {
		result = "not good"
	}
	fmt.Fprintf(&b, "\n%d builds, %d known from before, %d objects made in %.0f s: %s\n", len(r.Cells), known, made, r.Seconds, result)
	if r.Dir != "" {
		fmt.Fprintf(&b, "logs: %s\n", r.Dir)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// at returns the cell of column i and row j.
func (r *Report) at(i, j int) *Cell { return &r.Cells[i*len(r.Rows)+j] }

// short is the cell in the table.
func (c *Cell) short() string {
	switch c.State {
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
	where := fmt.Sprintf("\n%s, %s", c.Column, rowName(c.Patch))
	switch c.State {
	case Failed:
		fmt.Fprintf(b, "%s does not compile:\n  %s\n", where, strings.ReplaceAll(c.Error, "\n", "\n  "))
	case Unknown:
		fmt.Fprintf(b, "%s: its warnings could not be compared: no row before it compiled\n", where)
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

// Write writes matrix.json, for programs, matrix.xml, for CI systems, and the
// log of each cell, logs/<column>/<row>.log, into dir. From then on the cells
// name these logs: others, in the cache, are deleted some day.
func (r *Report) Write(dir string) error {
	r.Dir = dir
	for i := range r.Cells {
		c := &r.Cells[i]
		if err := c.keepLog(dir); err != nil {
			return fmt.Errorf("keep the log of %s, %s: %w", c.Column, rowName(c.Patch), err)
		}
	}
	return junit.Save(dir, "matrix", r, r.junit())
}

// keepLog copies the cell's log below dir. A build that did not get to run make
// has none.
func (c *Cell) keepLog(dir string) error {
	if c.Log == "" {
		return nil
	}
	data, err := os.ReadFile(c.Log)
	if errors.Is(err, os.ErrNotExist) {
		c.Log = ""
		return nil
	}
	if err != nil {
		return err
	}
	c.Log = filepath.Join(dir, "logs", c.Column, strings.ReplaceAll(rowName(c.Patch), " ", "-")+".log")
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o755); err != nil {
		return err
	}
	return os.WriteFile(c.Log, data, 0o644)
}

// junit makes a case of each cell, whose class is the column.
func (r *Report) junit() junit.Suite {
	suite := junit.Suite{Name: "build-matrix"}
	for i := range r.Columns {
		for j, row := range r.Rows {
			c := r.at(i, j)
			jc := junit.Case{Name: row.Name() + ": " + row.Subject, Class: c.Column}
			if c.State != Failed {
				jc.Output = fmt.Sprintf("%s, %s: %d of %d objects made, %d warnings, log: %s\n", c.Compiler, c.Checker, c.Made, c.All, c.Warnings, c.Log)
			}
			if why := r.WithoutSparse[c.Column]; why != "" {
				jc.Output += "without sparse: " + why + "\n"
			}
			if !c.Cached {
				jc.Took = junit.Seconds(c.Seconds)
			}
			var b strings.Builder
			if c.explain(&b); b.Len() > 0 {
				line, text, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
				jc.Failure = &junit.Message{Line: strings.TrimSuffix(line, ":"), Sort: string(c.State), Text: text}
			}
			suite.Cases = append(suite.Cases, jc)
		}
	}
	return suite
}
