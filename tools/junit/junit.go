// SPDX-License-Identifier: GPL-2.0-only

// Package junit writes results in JUnit's XML, which CI systems read: a suite
// for a run, a case for each thing that was checked. It has the elements that
// Jenkins, GitLab and GitHub's reporters agree on, and no others.
package junit

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"github.com/google/renameio/v2"
)

// Suite is what was checked in one run.
type Suite struct {
	Name  string
	Cases []Case
}

// Case is one thing that was checked. Of Failure, Error and Skipped at most
// one is set; a case with none has passed.
type Case struct {
	// Name tells it from others of its Class; Class is what CI systems group
	// by. An empty one stands for the suite's name.
	Name  string
	Class string
	Took  time.Duration
	// Failure is what is wrong, Error is why it could not be checked, Skipped
	// is why it was not to be checked.
	Failure *Message
	Error   *Message
	Skipped *Message
	// Output is what was printed meanwhile.
	Output string
}

// Message says why a case has not passed: in a line, what sort of reason that
// is, a word or two, and at length. The latter two may be empty.
type Message struct {
	Line string
	Sort string
	Text string
}

// The elements and attributes of the file.
type (
	xmlSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suites  []xmlSuite `xml:"testsuite"`
	}
	xmlSuite struct {
		Name     string    `xml:"name,attr"`
		Tests    int       `xml:"tests,attr"`
		Failures int       `xml:"failures,attr"`
		Errors   int       `xml:"errors,attr"`
		Skipped  int       `xml:"skipped,attr"`
		Time     string    `xml:"time,attr"`
		Cases    []xmlCase `xml:"testcase"`
	}
	xmlCase struct {
		Name      string      `xml:"name,attr"`
		Class     string      `xml:"classname,attr"`
		Time      string      `xml:"time,attr"`
		Failure   *xmlMessage `xml:"failure,omitempty"`
		Error     *xmlMessage `xml:"error,omitempty"`
		Skipped   *xmlMessage `xml:"skipped,omitempty"`
		SystemOut string      `xml:"system-out,omitempty"`
	}
	xmlMessage struct {
		Line string `xml:"message,attr"`
		Sort string `xml:"type,attr,omitempty"`
		Text string `xml:",chardata"`
	}
)

// Write writes suites as one XML document. Characters that XML lacks are
// written as U+FFFD: results quote the output of programs.
func Write(w io.Writer, suites ...Suite) error {
	var doc xmlSuites
	for _, s := range suites {
		doc.Suites = append(doc.Suites, s.xml())
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "\t")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// WriteFile writes suites to a file, completely or not at all.
func WriteFile(name string, suites ...Suite) error {
	var b bytes.Buffer
	err := Write(&b, suites...)
	if err == nil {
		err = renameio.WriteFile(name, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (s Suite) xml() xmlSuite {
	x := xmlSuite{Name: s.Name, Tests: len(s.Cases)}
	var total time.Duration
	for _, c := range s.Cases {
		if c.Class == "" {
			c.Class = s.Name
		}
		switch {
		case c.Failure != nil:
			x.Failures++
		case c.Error != nil:
			x.Errors++
		case c.Skipped != nil:
			x.Skipped++
		}
		total += c.Took
		x.Cases = append(x.Cases, xmlCase{
			Name: c.Name, Class: c.Class, Time: seconds(c.Took), SystemOut: c.Output,
			Failure: c.Failure.xml(), Error: c.Error.xml(), Skipped: c.Skipped.xml(),
		})
	}
	x.Time = seconds(total)
	return x
}

func (m *Message) xml() *xmlMessage {
	if m == nil {
		return nil
	}
	return &xmlMessage{Line: m.Line, Sort: m.Sort, Text: m.Text}
}

// seconds is how the format writes a time.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
