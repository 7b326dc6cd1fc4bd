// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"vcpulab/tools/junit"
)

// junitName is the suite's and the class's name.
const junitName = "kvm-selftests"

// WriteJUnit writes the comparison in JUnit's XML, for CI systems. What fails
// there is what fails the comparison; a test that fails on both
// kernels counts as skipped, which is all that the format has for it.
func (c Comparison) WriteJUnit(w io.Writer) error {
	suite := junit.Suite{Name: junitName}
	for _, p := range c.Tests {
		suite.Cases = append(suite.Cases, p.junit())
	}
	if c.Incomplete != "" {
		suite.Cases = append(suite.Cases, junit.Case{Name: "all tests have a result", Error: &junit.Message{Line: c.Incomplete, Sort: "incomplete"}})
	}
	return junit.Write(w, suite)
}

func (p Pair) junit() junit.Case {
	c := junit.Case{Name: p.Name}
	reason := ""
	if r := p.Patched; r != nil {
		c.Took = time.Duration(r.Seconds * float64(time.Second))
		c.Output = r.Output
		reason = r.Reason
	}
	switch {
	case p.failed():
		message := strings.Join(p.Why, "; ")
		if message == "" {
			message = reason
		}
		c.Failure = &junit.Message{Line: message, Sort: p.sort(), Text: strings.TrimSpace(p.details(""))}
	case p.Patched.Outcome == Skip:
		c.Skipped = &junit.Message{Line: reason}
	case p.Verdict == Incomparable && p.Patched.Outcome != Pass:
		c.Skipped = &junit.Message{Line: "not comparable: it timed out on the base kernel"}
	case p.Patched.Outcome.bad():
		c.Skipped = &junit.Message{Line: fmt.Sprintf("fails on both kernels: %s: %s", p.Patched.Outcome, reason)}
	}
	return c
}
