// SPDX-License-Identifier: GPL-2.0-only

// Package junit writes results in JUnit's XML, which CI systems read: a suite
// for a run, a case for each thing that was checked. It has the elements that
// Jenkins, GitLab and GitHub's reporters agree on, and no others. What they cannot
// say is in a JSON file beside it.
package junit

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"vcpulab/tools/jsonfile"
	"vcpulab/tools/progress"
)

// Suite is what was checked in one run. Save fills in all but Name and Cases.
type Suite struct {
	Name     string  `xml:"name,attr"`
	Tests    int     `xml:"tests,attr"`
	Failures int     `xml:"failures,attr"`
	Errors   int     `xml:"errors,attr"`
	Skipped  int     `xml:"skipped,attr"`
	Took     Seconds `xml:"time,attr"`
	Cases    []Case  `xml:"testcase"`
}

// Case is one thing that was checked. Of Failure, Error and Skipped at most
// one is set; a case with none has passed.
type Case struct {
	// Name tells it from others of its Class; Class is what CI systems group
	// by. An empty one stands for the suite's name.
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Took    Seconds  `xml:"time,attr"`
	Failure *Message `xml:"failure,omitempty"`    // what is wrong
	Error   *Message `xml:"error,omitempty"`      // why it could not be checked
	Skipped *Message `xml:"skipped,omitempty"`    // why it was not to be checked
	Output  string   `xml:"system-out,omitempty"` // what was printed meanwhile
}

// Message says why a case has not passed: in a line, what sort of reason that
// is, a word or two, and at length. The latter two may be empty.
type Message struct {
	Line string `xml:"message,attr"`
	Sort string `xml:"type,attr,omitempty"`
	Text string `xml:",chardata"`
}

// Seconds is a time as the format writes it.
type Seconds float64

// MarshalText implements [encoding.TextMarshaler].
func (s Seconds) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%.3f", float64(s)), nil }

type document struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []Suite  `xml:"testsuite"`
}

// Save writes results into dir: all of them, v, to NAME.json, and the suite to
// NAME.xml and, for those who read the kernel's own tests, to NAME.ktap, each
// completely or not at all. Characters that XML lacks are written as U+FFFD:
// results quote the output of programs.
func Save(dir, name string, v any, s Suite) error {
	data, err := xml.MarshalIndent(document{Suites: []Suite{s.counted()}}, "", "\t")
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, name+".xml"), fmt.Appendf(nil, "%s%s\n", xml.Header, data), 0o644)
	}
	ktap := renameio.WriteFile(filepath.Join(dir, name+".ktap"), []byte(s.ktap()), 0o644)
	if err := errors.Join(err, ktap, jsonfile.Save(filepath.Join(dir, name+".json"), v)); err != nil {
		return fmt.Errorf("save the results: %w", err)
	}
	return nil
}

// ktap returns the suite in KTAP, version 1. What could not be checked has failed.
func (s Suite) ktap() string {
	var b strings.Builder
	fmt.Fprintf(&b, "KTAP version 1\n1..%d\n", len(s.Cases))
	// A line is a test, and a hash sign begins a directive.
	line := func(text string) string { return strings.Join(strings.Fields(strings.ReplaceAll(text, "#", " ")), " ") }
	for i, c := range s.Cases {
		name := c.Name
		if c.Class != "" && c.Class != s.Name {
			name = c.Class + ": " + name
		}
		name = line(progress.Printable(name))
		switch why := cmp.Or(c.Failure, c.Error); {
		case why != nil:
			fmt.Fprintf(&b, "# %s\nnot ok %d %s\n", line(progress.Printable(why.Line)), i+1, name)
		case c.Skipped != nil:
			fmt.Fprintf(&b, "ok %d %s # SKIP %s\n", i+1, name, line(progress.Printable(c.Skipped.Line)))
		default:
			fmt.Fprintf(&b, "ok %d %s\n", i+1, name)
		}
	}
	return b.String()
}

func (s Suite) counted() Suite {
	s.Tests, s.Cases = len(s.Cases), slices.Clone(s.Cases)
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Class = cmp.Or(c.Class, s.Name)
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
		s.Took += c.Took
	}
	return s
}
