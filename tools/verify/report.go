// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"fmt"
	"io"
	"strings"

	"vcpulab/tools/junit"
	"vcpulab/tools/progress"
)

// Write writes verify.json, for programs, and verify.xml, for CI systems, into
// the directory that has the logs.
func (r *Report) Write() error {
	return junit.Save(r.Dir, "verify", r, r.junit())
}

// junit makes a case of each check.
func (r *Report) junit() junit.Suite {
	suite := junit.Suite{Name: "verify"}
	for _, c := range r.Checks {
		one := junit.Case{Name: c.Name, Class: "verify", Took: junit.Seconds(c.Seconds)}
		if c.Status == NotRun {
			one.Error = &junit.Message{Line: c.Why, Sort: string(NotRun)}
		} else if len(c.Findings) > 0 {
			var text strings.Builder
			for _, f := range c.Findings {
				fmt.Fprintln(&text, f)
			}
			one.Failure = &junit.Message{Line: c.Findings[0].Message, Sort: c.Name, Text: strings.TrimSpace(text.String())}
		}
		suite.Cases = append(suite.Cases, one)
	}
	return suite
}

// WriteText writes the report for people: a line for each check, what was found,
// and a verdict.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		c.line(&b)
	}
	for _, c := range r.Checks {
		for _, f := range c.Findings {
			fmt.Fprintf(&b, "\n%s: %v\n", c.Name, f)
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %s", progress.Count(r.Patches, "patch"), progress.Count(len(r.Checks), "check"), progress.Count(r.Findings, "finding"))
	if r.NotRun > 0 {
		fmt.Fprintf(&b, ", %s not run", progress.Count(r.NotRun, "check"))
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

// line writes what became of the check.
func (c *Result) line(b *strings.Builder) {
	fmt.Fprintf(b, "%-11s %6.1f s  ", c.Name, c.Seconds)
	switch {
	case c.Status == NotRun:
		fmt.Fprintf(b, "not run: %s", strings.ReplaceAll(c.Why, "\n", "\n  "))
	case len(c.Findings) > 0:
		b.WriteString(progress.Count(len(c.Findings), "finding"))
	default:
		b.WriteString("good")
	}
	if n := len(c.Explained); n > 0 {
		fmt.Fprintf(b, ", %d explained", n)
	}
	b.WriteByte('\n')
}
