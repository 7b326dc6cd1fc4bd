// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"vcpulab/tools/junit"
	"vcpulab/tools/progress"
)

//go:embed report.txt.tmpl
var reportText string

var texts = template.Must(template.New("").Funcs(template.FuncMap{
	"at":     (*Report).at,
	"count":  progress.Count,
	"short":  (*Cell).short,
	"row":    rowName,
	"pad":    func(column, text string) string { return fmt.Sprintf("%-*s", max(len(column), 7), text) },
	"indent": func(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") },

	"Failed":  func() State { return Failed },
	"Unknown": func() State { return Unknown },
	"Warned":  func() State { return Warned },
}).Parse(reportText))

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	with := struct {
		*Report
		Made, Known int
	}{Report: r}
	for _, c := range r.Cells {
		if c.Cached {
			with.Known++
		} else {
			with.Made += c.Made
		}
	}
	return texts.ExecuteTemplate(w, "report", with)
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
				jc.Output = fmt.Sprintf("%s, %s: %d of %s made, %s, log: %s\n", c.Compiler, c.Checker,
					c.Made, progress.Count(c.All, "object"), progress.Count(c.Warnings, "warning"), c.Log)
			}
			if why := r.WithoutSparse[c.Column]; why != "" {
				jc.Output += "without sparse: " + why + "\n"
			}
			if !c.Cached {
				jc.Took = junit.Seconds(c.Seconds)
			}
			var b strings.Builder
			_ = texts.ExecuteTemplate(&b, "cell", c) // a Builder takes anything
			if b.Len() > 0 {
				line, text, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
				jc.Failure = &junit.Message{Line: strings.TrimSuffix(line, ":"), Sort: string(c.State), Text: text}
			}
			suite.Cases = append(suite.Cases, jc)
		}
	}
	return suite
}
