// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Closing is the last line of a report: 'N passed, N failed', and what is
// neither. The figures add up to the number of tests.
func (c Comparison) Closing() string {
	s := fmt.Sprintf("%d passed, %d failed", c.Passed, c.Failed)
	if c.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.Skipped)
	}
	if c.BothFail > 0 {
		s += fmt.Sprintf(", %d failing on both", c.BothFail)
	}
	if c.NotComparable > 0 {
		s += fmt.Sprintf(", %d not comparable", c.NotComparable)
	}
	return s
}

// Sum says in a line each how comparisons ended, and in a last one the sum of
// all.
func Sum(all []Comparison) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var sum Comparison
	for _, c := range all {
		text := c.Closing()
		if c.Incomplete != "" {
			text += ", and did not come to its end"
			if c.Failed == 0 {
				sum.Failed++ // so that nobody takes the sum for good
			}
		}
		fmt.Fprintf(t, "%s:\t%s\n", c.Arch, text)
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
		sum.BothFail += c.BothFail
		sum.NotComparable += c.NotComparable
	}
	_ = t.Flush() // a strings.Builder takes all
	return b.String() + sum.Closing() + "\n"
}

// WriteText writes a table of all tests, then what there is to say of those
// that did not pass on both, then the closing line. again is how a test is
// run again, with %s for its name; "" leaves that out.
func (c Comparison) WriteText(w io.Writer, again string) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TEST\tBASE\tPATCHED\tVERDICT")
	for _, p := range c.Tests {
		verdict := string(p.Verdict)
		switch {
		case p.failed():
			verdict = "FAILED: " + p.sort()
		case p.Verdict == Proved:
			verdict = "fails without the series, as it must"
		case p.Verdict == Incomparable:
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

// cell is a result in the table.
func (r *Result) cell() string {
	if r == nil {
		return "-"
	}
	s := fmt.Sprintf("%s %.1f s", r.Outcome, r.Seconds)
	if n := len(r.Earlier); n > 0 {
		s += fmt.Sprintf(", try %d", n+1)
	}
	if n := len(r.Splats); n == 1 {
		s += ", 1 splat"
	} else if n > 1 {
		s += fmt.Sprintf(", %d splats", n)
	}
	if n := len(r.Overlooked); n > 0 {
		s += fmt.Sprintf(", %d overlooked", n)
	}
	return s
}

// details say what the table cannot, "" if there is nothing to say.
func (p Pair) details(again string) string {
	var b strings.Builder
	for _, why := range p.Why {
		fmt.Fprintf(&b, "  %s\n", why)
	}
	p.Base.describe(&b, "base", "")
	p.Patched.describe(&b, "patched", strings.Join(p.Why, "\n"))
	if b.Len() == 0 {
		return ""
	}
	if p.failed() && p.Patched != nil {
		b.WriteString(p.Patched.splatLines())
	}
	if again != "" && p.failed() {
		fmt.Fprintf(&b, "  to run it again: "+again+"\n", p.Name)
	}
	return "\n" + p.Name + "\n" + b.String()
}

// describe writes what there is to say of one result and has not been said.
func (r *Result) describe(b *strings.Builder, kernel, said string) {
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
		if strings.Contains(said, s.Title) || strings.Contains(r.Reason, s.Title) {
			continue
		}
		fmt.Fprintf(b, "  %s: %s: %s\n", kernel, s.Kind, s.Title)
	}
	if r.Log != "" && (r.Outcome.bad() || len(r.Splats) > 0) {
		fmt.Fprintf(b, "  %s: log: %s\n", kernel, r.Log)
	}
	if r.Command != "" {
		fmt.Fprintf(b, "  %s: to start the guest again: %s\n", kernel, r.Command)
	}
}

// splatLinesMost bounds how much of the console is shown for a splat.
const splatLinesMost = 40

// splatLines returns what the kernel said from its first splat on, with source
// lines where they are known, "" if that is not known.
func (r *Result) splatLines() string {
	text := cmp.Or(r.Decoded, r.fromSplat())
	if text == "" {
		return ""
	}
	var b strings.Builder
	if r.Undecoded != "" {
		fmt.Fprintf(&b, "  no source lines: %s\n", r.Undecoded)
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "  | %s\n", strings.TrimRight(line, "\r\n"))
		if strings.Count(b.String(), "\n") == splatLinesMost {
			break
		}
	}
	return b.String()
}

// WriteJSON writes the comparison with all results.
func (c Comparison) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	return enc.Encode(c)
}
