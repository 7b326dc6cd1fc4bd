// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"vcpulab/tools/junit"
)

// Names of the files that Write writes.
const (
	jsonFile  = "verify.json"
	junitFile = "verify.xml"
)

// Write writes verify.json, for programs, and verify.xml, for CI systems, into
// the directory that has the logs.
func (r *Report) Write() error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(r.Dir, jsonFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return junit.WriteFile(filepath.Join(r.Dir, junitFile), r.junit())
}

// whole is the row for what is about no mail alone.
const whole = "series"

// junit makes a case of each check and mail, and of each check and what is
// about no mail alone.
func (r *Report) junit() junit.Suite {
	suite := junit.Suite{Name: "verify"}
	for _, c := range r.Checks {
		if c.Status == NotRun {
			suite.Cases = append(suite.Cases, junit.Case{
				Name: whole, Class: c.Name, Took: junit.Seconds(c.Seconds), Error: &junit.Message{Line: c.Why, Sort: string(NotRun)},
			})
			continue
		}
		for i, row := range append([]Row{{Subject: whole}}, r.Rows...) {
			one := junit.Case{Name: row.Subject, Class: c.Name, Took: junit.Seconds(c.Seconds)}
			if i > 0 {
				one.Name, one.Took = fmt.Sprintf("%d: %s", row.Number, row.Subject), 0
			}
			if list := c.about(row); len(list) > 0 {
				var texts []string
				for _, f := range list {
					texts = append(texts, f.String())
				}
				one.Failure = &junit.Message{Line: list[0].Message, Sort: c.Name, Text: strings.Join(texts, "\n")}
			}
			suite.Cases = append(suite.Cases, one)
		}
	}
	return suite
}

// about returns the findings about a mail, or, for a row without a name, those
// about no mail alone.
func (c *Result) about(row Row) []Finding {
	return slices.DeleteFunc(slices.Clone(c.Findings), func(f Finding) bool { return f.Patch != row.Name })
}

// WriteText writes the report for people: a table with a column for each
// check, patch by patch, what each column is, what was found, and a verdict.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	total := 0
	for _, row := range r.Rows {
		total = max(total, row.Number)
	}
	const letters = "abcdefghijklmnopqrstuvwxyz"
	fmt.Fprintf(&b, "%7s  %s\n", "", letters[:len(r.Checks)])
	for _, row := range append(r.Rows, Row{Subject: "(the series as a whole, the tree that it makes)"}) {
		label := fmt.Sprintf("%3d/%d", row.Number, total)
		if row.Name == "" {
			label = whole
		}
		fmt.Fprintf(&b, "%7s  ", label)
		for _, c := range r.Checks {
			switch {
			case c.Status == NotRun:
				b.WriteByte('?')
			case len(c.about(row)) > 0:
				b.WriteByte('x')
			default:
				b.WriteByte('.')
			}
		}
		b.WriteString("  " + row.Subject + "\n")
	}
	b.WriteByte('\n')
	for i, c := range r.Checks {
		c.line(&b, letters[i])
	}
	for _, c := range r.Checks {
		for _, f := range c.Findings {
			fmt.Fprintf(&b, "\n%s: %v\n", c.Name, f)
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %s", count(total, "patch"), count(len(r.Checks), "check"), count(r.Findings, "finding"))
	if r.NotRun > 0 {
		fmt.Fprintf(&b, ", %s not run", count(r.NotRun, "check"))
	}
	verdict := "good"
	if r.Err() != nil {
		verdict = "not good"
	}
	fmt.Fprintf(&b, ": %s\n", verdict)
	if r.Dir != "" {
		fmt.Fprintf(&b, "logs: %s\n", r.Dir)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line writes what became of the check as a whole.
func (c *Result) line(b *strings.Builder, letter byte) {
	fmt.Fprintf(b, "%c  %-11s %6.1f s  ", letter, c.Name, c.Seconds)
	switch {
	case c.Status == NotRun:
		fmt.Fprintf(b, "not run: %s", strings.ReplaceAll(c.Why, "\n", "\n     "))
	case len(c.Findings) > 0:
		b.WriteString(count(len(c.Findings), "finding"))
	default:
		b.WriteString("good")
	}
	if n := len(c.Explained); n > 0 {
		fmt.Fprintf(b, ", %d explained", n)
	}
	b.WriteByte('\n')
}
