// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of a JUnit file that CI systems read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Class     string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitMessage `xml:"failure,omitempty"`
		Skipped   *junitMessage `xml:"skipped,omitempty"`
		SystemOut string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junitName is the suite's and the class's name.
const junitName = "kvm-selftests"

// WriteJUnit writes the comparison in JUnit's XML, for CI systems. What fails
// there is what fails the comparison; a test that fails on both
// kernels counts as skipped, which is all that the format has for it.
func (c Comparison) WriteJUnit(w io.Writer) error {
	suite := junitSuite{Name: junitName, Tests: len(c.Tests), Failures: c.Failed, Skipped: c.Skipped + c.BothFail}
	var total float64
	for _, p := range c.Tests {
		suite.Cases = append(suite.Cases, p.junit())
		if p.Patched != nil {
			total += p.Patched.Seconds
		}
	}
	suite.Time = fmt.Sprintf("%.3f", total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "\t")
	if err := enc.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (p Pair) junit() junitCase {
	c := junitCase{Name: p.Name, Class: junitName, Time: "0.000"}
	reason := ""
	if r := p.Patched; r != nil {
		c.Time = fmt.Sprintf("%.3f", r.Seconds)
		c.SystemOut = r.Output
		reason = r.Reason
	}
	switch {
	case p.failed():
		message := strings.Join(p.Why, "; ")
		if message == "" {
			message = reason
		}
		c.Failure = &junitMessage{Message: message, Type: p.sort(), Text: strings.TrimSpace(p.details(""))}
	case p.Patched.Outcome == Skip:
		c.Skipped = &junitMessage{Message: reason}
	case p.Patched.Outcome.bad():
		c.Skipped = &junitMessage{Message: fmt.Sprintf("fails on both kernels: %s: %s", p.Patched.Outcome, reason)}
	}
	return c
}
