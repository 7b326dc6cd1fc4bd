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

// Bounds of what is taken from a test's output. With more, it proves
// nothing.
const (
	maxSubs   = 10_000 // subtests of one output, on all levels
	maxDepth  = 8      // levels of subtests
	maxName   = 200    // bytes of a subtest's name
	maxReason = 500    // bytes of a reason
)

// TAP is what an output in the Test Anything Protocol says.
type TAP struct {
	// Speaks tells whether the output is TAP at all: it has a version line,
	// a plan or a bail-out.
	Speaks bool
	// Planned is how many tests there should be, -1 without a plan.
	Planned int
	// Tests are the test lines, those of nested tests below their parent's.
	Tests []Subtest
	// Skipped tells whether the plan says that everything is skipped, and
	// SkipReason why.
	Skipped    bool
	SkipReason string
	// Bailed tells whether the test gave up, and Bail why.
	Bailed bool
	Bail   string
	// Problems are contradictions in the output: a wrong plan, nested tests
	// without a parent. Such an output proves nothing.
	Problems []string
}

// ParseTAP reads TAP 13 and 14 and KTAP 1 as kselftest and KUnit print them,
// nested tests included. Lines that are not TAP are ignored:
// a test's other output is among them.
func ParseTAP(output string) TAP {
	p := tapParser{levels: []*tapLevel{newLevel("")}}
	for line := range strings.Lines(output) {
		p.line(strings.TrimRight(line, "\r\n"))
	}
	for len(p.levels) > 1 {
		p.close()
	}
	l := p.levels[0]
	if !l.Speaks {
		return TAP{Planned: -1}
	}
	p.check(l)
	return l.TAP
}

var (
	// tapLine is a line of TAP: what it begins with if it is nested, spaces or
	// the "# " that kselftest's runner puts before what a test prints; then a
	// version, a plan, a test or a bail-out.
	tapLine = regexp.MustCompile(`^((?:# |[ \t])*)(?:(K?TAP version \s*\d+\s*)$|1\.\.(\d.*)|(ok|not ok)(?:$| (.*))|Bail out!(.*))`)
	// subtestLine is TAP 14's comment before nested tests.
	subtestLine = regexp.MustCompile(`^\s*# Subtest(?:\s*$|:)`)
	// testNumber is what the text of a test line begins with.
	testNumber = regexp.MustCompile(`^\d+(?: |$)`)
)

// tapLevel is a level of nesting. The outermost has what the whole output says.
type tapLevel struct {
	TAP
	indent  string    // what its lines begin with
	highest int       // number of a test line
	pending []Subtest // nested tests whose parent's line has not come
}

func newLevel(indent string) *tapLevel { return &tapLevel{TAP: TAP{Planned: -1}, indent: indent} }

type tapParser struct {
	levels  []*tapLevel // the outermost first
	subtest bool        // a subtestLine stands before the next line
	count   int
}

func (p *tapParser) problem(format string, args ...any) {
	const most = 20
	if all := p.levels[0]; len(all.Problems) < most {
		all.Problems = append(all.Problems, fmt.Sprintf(format, args...))
	}
}

func (p *tapParser) line(line string) {
	if subtestLine.MatchString(line) {
		p.subtest = true
		return
	}
	m := tapLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	indent, version, plan, verdict, test, bail := m[1], m[2], m[3], m[4], m[5], m[6]
	switch {
	case version != "":
		if l := p.open(indent); l != nil {
			l.Speaks = true
		}
	case plan != "":
		if l := p.findLevel(indent); l != nil {
			p.plan(l, plan)
		}
	case verdict != "":
		if l := p.findLevel(indent); l != nil {
			p.test(l, verdict == "ok", test)
		}
	case indent == "" && !p.levels[0].Bailed:
		all := p.levels[0]
		all.Speaks, all.Bailed, all.Bail = true, true, clip(strings.TrimSpace(bail), maxReason)
	}
	p.subtest = false
}

// open returns the level that a version line with this indentation begins: a
// new one if it lies deeper than the innermost.
func (p *tapParser) open(indent string) *tapLevel {
	for len(p.levels) > 1 && len(p.top().indent) > len(indent) {
		p.close()
	}
	if len(indent) <= len(p.top().indent) {
		return p.top()
	}
	if len(p.levels) >= maxDepth {
		p.problem("tests are nested more than %d deep", maxDepth)
		return nil
	}
	p.levels = append(p.levels, newLevel(indent))
	return p.top()
}

// findLevel returns the level of a plan or test line, nil if it has none: then
// it only looks like one.
func (p *tapParser) findLevel(indent string) *tapLevel {
	deeper := len(indent) > len(p.top().indent)
	if p.subtest && deeper {
		return p.open(indent)
	}
	if deeper && len(p.levels) > 1 {
		// Some tests indent their results by more than their header.
		return p.top()
	}
	for i := len(p.levels) - 1; i >= 0; i-- {
		if p.levels[i].indent != indent {
			continue
		}
		for len(p.levels) > i+1 {
			p.close()
		}
		return p.levels[i]
	}
	return nil
}

func (p *tapParser) top() *tapLevel { return p.levels[len(p.levels)-1] }

// close ends the innermost level: its tests wait for their parent's line.
func (p *tapParser) close() {
	l := p.top()
	p.check(l)
	p.levels = p.levels[:len(p.levels)-1]
	p.top().pending = append(p.top().pending, l.Tests...)
}

// check compares a level's tests with its plan.
func (p *tapParser) check(l *tapLevel) {
	switch {
	case l.Planned >= 0 && l.Planned != len(l.Tests):
		p.problem("planned %d tests, found %d", l.Planned, len(l.Tests))
	case l.highest > len(l.Tests):
		p.problem("test number %d is there, but only %d tests", l.highest, len(l.Tests))
	}
	if len(l.pending) > 0 {
		p.problem("%d nested tests without the line of their parent", len(l.pending))
		l.Tests = append(l.Tests, Subtest{Name: "(no parent)", Outcome: Fail,
			Reason: "the output ends before the result of these tests", Sub: numberNames(l.pending)})
		l.pending = nil
	}
	numberNames(l.Tests)
}

func (p *tapParser) plan(l *tapLevel, text string) {
	count, word, reason := splitDirective(text)
	n, err := strconv.Atoi(count)
	if err != nil {
		return
	}
	if l.Planned >= 0 && l.Planned != n {
		p.problem("planned %d tests and then %d", l.Planned, n)
	}
	l.Speaks, l.Planned = true, n
	if n == 0 && word == "SKIP" {
		l.Skipped, l.SkipReason = true, clip(reason, maxReason)
	}
}

// test takes what follows the verdict of a test line.
func (p *tapParser) test(l *tapLevel, good bool, text string) {
	if p.count++; p.count > maxSubs {
		if p.count == maxSubs+1 {
			p.problem("more than %d tests", maxSubs)
		}
		return
	}
	text = strings.TrimSpace(text)
	digits := testNumber.FindString(text)
	if n, err := strconv.Atoi(strings.TrimSpace(digits)); err == nil {
		l.highest = max(l.highest, n)
		text = strings.TrimSpace(text[len(digits):])
	}

	name, word, reason := splitDirective(text)
	name = strings.TrimSpace(strings.TrimPrefix(name, "- "))
	s := Subtest{Outcome: Fail, Sub: numberNames(l.pending)}
	l.pending = nil
	known := word == "XFAIL" || word == "TODO" // to fail: proves nothing and disproves nothing
	switch {
	case known:
		s.Outcome = Skip
		reason = strings.TrimSpace("expected to fail: " + reason)
	case word == "SKIP":
		s.Outcome = Skip
	case word == "TIMEOUT":
		s.Outcome = Timeout
	case good:
		s.Outcome = Pass
	}
	// kselftest.h prints "ok 3 # SKIP name of the test".
	s.Name = clip(cmp.Or(name, reason, fmt.Sprintf("test %d", len(l.Tests)+1)), maxName)
	if failed := failedSubs(s.Sub); failed != "" && !known && !s.Outcome.bad() {
		s.Outcome, reason = Fail, failed
	}
	s.Reason = clip(reason, maxReason)
	l.Tests = append(l.Tests, s)
}

// splitDirective splits the text of a test line or a plan at the hash sign
// before a directive. Without one of the words that change what a line means,
// word is "".
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

// numberNames numbers names that come more than once.
func numberNames(tests []Subtest) []Subtest {
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
	return tests
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
