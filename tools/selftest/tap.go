// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is taken from a test's output. With more, it proves nothing.
const (
	maxSubs   = 10_000 // subtests of one output
	maxName   = 200    // bytes of a subtest's name
	maxReason = 500    // bytes of a reason
)

// TAP is what an output in the Test Anything Protocol says.
type TAP struct {
	Speaks     bool      // it is TAP at all: it has a version line, a plan or a bail-out
	Planned    int       // how many tests there should be, -1 without a plan
	Tests      []Subtest // the test lines
	Skipped    bool      // the plan says that everything is skipped
	SkipReason string
	Bailed     bool // the test gave up
	Bail       string
	Problems   []string // contradictions, such as a wrong plan: then it proves nothing
}

// ParseTAP reads TAP 13 and KTAP 1 as kselftest.h and kselftest_harness.h print it.
// Lines that are not TAP are ignored: a test's other output is among them. Nested
// tests, which are indented below a header, are part of the test whose line comes
// after them, which can't pass if one of them failed.
func ParseTAP(output string) TAP {
	t := TAP{Planned: -1}
	nested := nestedTests{plans: map[int]int{}}
	count, highest := 0, 0 // test lines, and the largest number of one
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		nested.take(line)
		if m := totals.FindStringSubmatch(line); m != nil && (m[1] != "0" || m[2] != "0") {
			t.problem("the totals say that %s failed and %s had an error", m[1], m[2])
		}
		m := tapLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch version, plan, verdict, bail := m[1], m[2], m[3], m[5]; {
		case version != "":
			t.Speaks = true
		case plan != "":
			t.plan(plan)
		case verdict == "":
			if !t.Bailed {
				t.Speaks, t.Bailed, t.Bail = true, true, clip(strings.TrimSpace(bail), maxReason)
			}
		default:
			if count++; count > maxSubs {
				continue
			}
			highest = max(highest, t.test(verdict == "ok", m[4], nested.wrong()))
		}
	}

	if wrong := nested.wrong(); wrong != "" {
		t.problem("nested tests without the line of their parent: %s", wrong)
	}
	switch n := len(t.Tests); {
	case !t.Speaks:
		return TAP{Planned: -1}
	case count > maxSubs:
		t.problem("more than %d tests", maxSubs)
	case n == 0 && !t.Skipped && !t.Bailed:
		t.problem("there are no tests")
	case t.Planned >= 0 && t.Planned != n:
		t.problem("planned %d tests, found %d", t.Planned, n)
	case highest > n:
		t.problem("test number %d is there, but only %d tests", highest, n)
	}
	numberNames(t.Tests)
	return t
}

var (
	// tapLine is a line of TAP: a version, a plan, a test or a bail-out.
	tapLine = regexp.MustCompile(`^(?:(K?TAP version \s*\d+\s*)$|1\.\.(\d.*)|(ok|not ok)(?:$| (.*))|Bail out!(.*))`)
	// nestedHeader comes before nested tests, nestedTest is one: indented by spaces or
	// the "# " that kselftest's runner puts before what a test prints.
	nestedHeader = regexp.MustCompile(`^(?:(?:# |[ \t])+K?TAP version \s*\d+\s*|\s*# Subtest(?:\s*|:.*))$`)
	nestedTest   = regexp.MustCompile(`^((?:# |[ \t])+)(?:(ok|not ok)(?:$| (.*))|1\.\.(\d+)(?:$| .*))`)
	// totals is the closing line of kselftest.h.
	totals = regexp.MustCompile(`^# Totals: pass:\d+ fail:(\d+) xfail:\d+ xpass:\d+ skip:\d+ error:(\d+)`)
	// testNumber is what the text of a test line begins with.
	testNumber = regexp.MustCompile(`^\d+(?: |$)`)
)

func (t *TAP) problem(format string, args ...any) {
	const most = 20
	if len(t.Problems) < most {
		t.Problems = append(t.Problems, fmt.Sprintf(format, args...))
	}
}

// nestedTests are those since the last test line.
type nestedTests struct {
	begun  bool // their header was there
	failed []string
	plans  map[int]int // by the width of the indentation, how many are still to come
}

func (n *nestedTests) take(line string) {
	n.begun = n.begun || nestedHeader.MatchString(line)
	m := nestedTest.FindStringSubmatch(line)
	if !n.begun || m == nil {
		return
	}
	indent, verdict, plan := len(m[1]), m[2], m[4]
	if verdict == "" {
		if planned, err := strconv.Atoi(plan); err == nil && n.plans[indent] == 0 {
			n.plans[indent] = planned
		}
		return
	}
	n.end(indent) // those below it are its own
	if left, planned := n.plans[indent]; planned {
		n.plans[indent] = left - 1
	}
	if s, _ := newSubtest(verdict == "ok", m[3]); s.Outcome.bad() {
		n.fail(cmp.Or(s.Name, "one without a name") + " failed")
	}
}

// end ends the tests that are indented by more than indent.
func (n *nestedTests) end(indent int) {
	for i, left := range n.plans {
		if i <= indent {
			continue
		}
		if delete(n.plans, i); left > 0 {
			n.fail(fmt.Sprintf("%d of those that were planned missing", left))
		} else if left < 0 {
			n.fail(fmt.Sprintf("%d more than planned", -left))
		}
	}
}

func (n *nestedTests) fail(why string) {
	if len(n.failed) < maxSubs {
		n.failed = append(n.failed, why)
	}
}

// wrong says what is wrong with them, "" if nothing is, and begins again.
func (n *nestedTests) wrong() string {
	n.end(-1)
	text := clip(strings.Join(n.failed, ", "), maxReason)
	n.begun, n.failed = false, nil
	return text
}

func (t *TAP) plan(text string) {
	count, word, reason := splitDirective(text)
	n, err := strconv.Atoi(count)
	if err != nil {
		return
	}
	if t.Planned >= 0 && t.Planned != n {
		t.problem("planned %d tests and then %d", t.Planned, n)
	}
	t.Speaks, t.Planned = true, n
	if n == 0 && word == "SKIP" {
		t.Skipped, t.SkipReason = true, clip(reason, maxReason)
	}
}

// test takes what follows the verdict of a test line, and what is wrong with the
// tests nested in it. It returns its number, 0 if it has none.
func (t *TAP) test(good bool, text, wrong string) int {
	s, number := newSubtest(good, text)
	if wrong != "" && !s.Outcome.bad() {
		s.Outcome, s.Reason = Fail, wrong
	}
	// kselftest.h prints "ok 3 # SKIP name of the test".
	s.Name = clip(cmp.Or(s.Name, s.Reason, fmt.Sprintf("test %d", len(t.Tests)+1)), maxName)
	t.Tests = append(t.Tests, s)
	return number
}

// newSubtest reads what follows a verdict. Without a name it is "", without a number 0.
func newSubtest(good bool, text string) (Subtest, int) {
	text = strings.TrimSpace(text)
	digits := testNumber.FindString(text)
	number, err := strconv.Atoi(strings.TrimSpace(digits))
	if err == nil {
		text = strings.TrimSpace(text[len(digits):])
	}

	name, word, reason := splitDirective(text)
	name = strings.TrimSpace(strings.TrimPrefix(name, "- "))
	s := Subtest{Name: clip(name, maxName), Outcome: Fail}
	switch {
	case word == "XFAIL" || word == "TODO": // proves nothing and disproves nothing
		s.Outcome = Skip
		reason = strings.TrimSpace("expected to fail: " + reason)
	case word == "SKIP":
		s.Outcome = Skip
	case word == "TIMEOUT":
		s.Outcome = Timeout
	case good:
		s.Outcome = Pass
	}
	s.Reason = clip(reason, maxReason)
	return s, number
}

// splitDirective splits the text of a test line or a plan at the hash sign before a
// directive. word is "" without one of those that change what a line means.
func splitDirective(s string) (text, word, reason string) {
	text, comment, _ := strings.Cut(" "+s, " #")
	comment = strings.TrimSpace(comment)
	first, reason, _ := strings.Cut(comment, " ")
	switch word = strings.ToUpper(strings.TrimSuffix(first, ":")); word {
	case "SKIP", "SKIPPED", "XFAIL", "XPASS", "TODO", "TIMEOUT", "ERROR":
		word = strings.TrimSuffix(word, "PED")
	default:
		word, reason = "", comment
	}
	reason = strings.TrimPrefix(strings.TrimSpace(reason), "- ")
	return strings.TrimSpace(text), word, strings.TrimSpace(reason)
}

func numberNames(tests []Subtest) {
	seen := make(map[string]int)
	for i := range tests {
		for name := tests[i].Name; ; {
			seen[name]++
			n := seen[name]
			if n == 1 {
				tests[i].Name = name
				break
			}
			name = fmt.Sprintf("%s (%d)", tests[i].Name, n)
		}
	}
}

// clip shortens s to n bytes of whole characters, makes it valid UTF-8 and
// keeps control characters off the user's terminal.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return '.'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	const dots = "..."
	cut := n - len(dots)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + dots
}
