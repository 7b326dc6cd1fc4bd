// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"vcpulab/tools/junit"
	"vcpulab/tools/progress"
)

// Closing is the last line of a report: 'N passed, N failed', and what is neither.
func (c Counts) Closing() string {
	s := fmt.Sprintf("%d passed, %d failed", c.Passed, c.Failed)
	for _, other := range []struct {
		n    int
		what string
	}{{c.Skipped, "skipped"}, {c.Known, "known failures"}, {c.BothFail, "failing on both"}, {c.NotComparable, "not comparable"}} {
		if other.n > 0 {
			s += fmt.Sprintf(", %d %s", other.n, other.what)
		}
	}
	return s
}

// Sum says in a line each how comparisons ended, and in a last one the sum of all.
func Sum(all []Comparison) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var sum Counts
	for _, c := range all {
		text := c.Closing()
		if c.Incomplete != "" {
			text += ", and did not come to its end"
			if c.Failed == 0 {
				sum.Failed++ // so that the sum does not pass for good
			}
		}
		fmt.Fprintf(t, "%s:\t%s\n", strings.TrimSpace(c.Arch+" "+c.Params), text)
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
		sum.Known += c.Known
		sum.BothFail += c.BothFail
		sum.NotComparable += c.NotComparable
	}
	_ = t.Flush() // a strings.Builder takes all
	return b.String() + sum.Closing() + "\n"
}

// WriteText writes a table of all tests, then details of those that did not
// pass on both, then the closing line. again is the command that runs a test
// again, with %s for its name; "" leaves it out.
func (c Comparison) WriteText(w io.Writer, again string) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TEST\tBASE\tPATCHED\tVERDICT")
	for _, p := range c.Tests {
		verdict := string(p.Change)
		switch why := p.failure(); {
		case why != "":
			verdict = "FAILED: " + why
		case p.Change == Proved:
			verdict = "fails without the series, as it must"
		case p.Change == Incomparable:
			verdict = "not comparable: timed out on the base"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Name, p.Base.cell(), p.Patched.cell(), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}

	for _, p := range c.Tests {
		b.WriteString(p.details(again))
	}
	if c.Incomplete != "" {
		fmt.Fprintf(&b, "\nTHE RUN DID NOT COME TO ITS END: %s\n", c.Incomplete)
	}
	b.WriteString("\n" + c.Closing() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) cell() string {
	if r == nil {
		return "-"
	}
	s := fmt.Sprintf("%s %.1f s", r.Outcome, r.Seconds)
	if n := len(r.Earlier); n > 0 {
		s += fmt.Sprintf(", try %d", n+1)
	}
	if n := len(r.Splats); n > 0 {
		s += ", " + progress.Count(n, "splat")
	}
	if n := len(r.Overlooked); n > 0 {
		s += fmt.Sprintf(", %d overlooked", n)
	}
	return s
}

// details are what the table does not show, "" if there is nothing.
func (p TestPair) details(again string) string {
	var b strings.Builder
	for _, why := range p.Why {
		fmt.Fprintf(&b, "  %s\n", why)
	}
	b.WriteString(p.History.text())
	p.Base.describe(&b, "base", "")
	p.Patched.describe(&b, "patched", strings.Join(p.Why, "\n"))
	if b.Len() == 0 {
		return ""
	}

	failed := p.failure() != ""
	if failed && p.Patched != nil {
		b.WriteString(p.Patched.splatLines())
	}
	if failed && again != "" {
		fmt.Fprintf(&b, "  to run it again: "+again+"\n", p.Name)
	}
	return "\n" + p.Name + "\n" + b.String()
}

// describe writes the details of a result, but for what was written before.
func (r *Result) describe(b *strings.Builder, kernel, before string) {
	if r == nil {
		return
	}
	for i, e := range r.Earlier {
		fmt.Fprintf(b, "  %s: try %d: %s: %s\n", kernel, i+1, e.Outcome, e.Reason)
	}
	if r.Reason != "" {
		fmt.Fprintf(b, "  %s: %s: %s\n", kernel, r.Outcome, r.Reason)
	}
	for _, s := range r.Splats {
		if !strings.Contains(before, s.Title) && !strings.Contains(r.Reason, s.Title) {
			fmt.Fprintf(b, "  %s: %s: %s\n", kernel, s.Kind, s.Title)
		}
	}
	if r.Log != "" && (r.Outcome.bad() || len(r.Splats) > 0) {
		fmt.Fprintf(b, "  %s: log: %s\n", kernel, r.Log)
	}
	if r.Command != "" {
		fmt.Fprintf(b, "  %s: to start the guest again: %s\n", kernel, r.Command)
	}
}

// splatLines returns the console from the first splat on, with source lines
// where they are known, "" if it was not kept.
func (r *Result) splatLines() string {
	text := cmp.Or(r.Decoded, r.fromSplat())
	if text == "" {
		return ""
	}
	const most = 40
	lines := strings.SplitN(strings.TrimRight(text, "\n"), "\n", most+1)
	text = "  | " + strings.Join(lines[:min(len(lines), most)], "\n  | ") + "\n"
	return strings.ReplaceAll(text, "\r", "")
}

// Files are the names of what Save writes.
var Files = []string{"selftests.json", "selftests.xml", "selftests.ktap"}

// Save writes the comparison with all results into dir, see junit.Save. What fails there
// is what fails the comparison; a test that fails on both kernels counts as skipped, for
// lack of anything better in the format.
func (c Comparison) Save(dir string) error {
	suite := junit.Suite{Name: "kvm-selftests"}
	for _, p := range c.Tests {
		suite.Cases = append(suite.Cases, p.junit())
	}
	if c.Incomplete != "" {
		suite.Cases = append(suite.Cases, junit.Case{Name: "all tests have a result", Error: &junit.Message{Line: c.Incomplete, Sort: "incomplete"}})
	}
	return junit.Save(dir, "selftests", c, suite)
}

func (p TestPair) junit() junit.Case {
	c := junit.Case{Name: p.Name}
	reason := ""
	if r := p.Patched; r != nil {
		c.Took, c.Output, reason = junit.Seconds(r.Seconds), r.Output, r.Reason
	}
	switch failure := p.failure(); {
	case failure != "":
		c.Failure = &junit.Message{Line: cmp.Or(strings.Join(p.Why, "; "), reason), Sort: failure, Text: strings.TrimSpace(p.details(""))}
	case p.Change == Known:
		c.Skipped = &junit.Message{Line: "known failure: " + strings.Join(p.Why, "; ")}
	case p.Patched.Outcome == Skip:
		c.Skipped = &junit.Message{Line: reason}
	case p.Change == Incomparable && p.Patched.Outcome != Pass:
		c.Skipped = &junit.Message{Line: "not comparable: it timed out on the base kernel"}
	case p.Patched.Outcome.bad():
		c.Skipped = &junit.Message{Line: fmt.Sprintf("fails on both kernels: %s: %s", p.Patched.Outcome, reason)}
	}
	return c
}
