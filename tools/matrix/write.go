// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vcpulab/tools/junit"
)

// Names of what Write writes.
const (
	jsonFile  = "matrix.json"
	junitFile = "matrix.xml"
	logsDir   = "logs"
)

// Write writes matrix.json, for programs, matrix.xml, for CI systems, and the
// log of each cell, logs/<column>/<row>.log, into dir. From then on the cells
// name these logs: others, in the cache, go away some day.
func (r *Report) Write(dir string) error {
	r.Dir = dir
	for i := range r.Cells {
		if err := r.Cells[i].keepLog(dir); err != nil {
			return fmt.Errorf("keep the log of %s, %s: %w", r.Cells[i].Column, Row{Patch: r.Cells[i].Patch}.Name(), err)
		}
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, jsonFile)
	if err := os.WriteFile(name+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return junit.WriteFile(filepath.Join(dir, junitFile), r.junit())
}

// keepLog copies the cell's log below dir. A build that never came to run make
// has none.
func (c *Cell) keepLog(dir string) error {
	if c.Log == "" {
		return nil
	}
	data, err := os.ReadFile(c.Log)
	if errors.Is(err, fs.ErrNotExist) {
		c.Log = ""
		return nil
	}
	if err != nil {
		return err
	}
	name := filepath.Join(dir, logsDir, c.Column, strings.ReplaceAll(Row{Patch: c.Patch}.Name(), " ", "-")+".log")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	c.Log = name
	return nil
}

// junit makes a case of each cell, whose class is the column.
func (r *Report) junit() junit.Suite {
	suite := junit.Suite{Name: "build-matrix"}
	for i := range r.Columns {
		for j, row := range r.Rows {
			c := r.at(i, j)
			one := junit.Case{Name: row.Name() + ": " + row.Subject, Class: c.Column}
			if c.Verdict != Failed {
				one.Output = fmt.Sprintf("%s, %s: %d of %d objects made, %d warnings, log: %s\n", c.Compiler, c.Checker, c.Made, c.All, c.Warnings, c.Log)
			}
			if why := r.WithoutSparse[c.Column]; why != "" {
				one.Output += "without sparse: " + why + "\n"
			}
			if !c.Cached {
				one.Took = time.Duration(c.Seconds * float64(time.Second))
			}
			var b strings.Builder
			if c.explain(&b); b.Len() > 0 {
				line, text, _ := strings.Cut(strings.TrimSpace(b.String()), "\n")
				one.Failure = &junit.Message{Line: strings.TrimSuffix(line, ":"), Sort: string(c.Verdict), Text: text}
			}
			suite.Cases = append(suite.Cases, one)
		}
	}
	return suite
}
