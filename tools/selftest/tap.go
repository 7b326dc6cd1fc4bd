// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"strconv"
	"strings"
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
	return p.end()
}

// tapLevel is a level of nesting.
type tapLevel struct {
	indent  string // what its lines begin with
	planned int    // -1 without a plan
	highest int    // number of a test line
	tests   []Subtest
	names   map[string]int // how often a name came
	pending []Subtest      // nested tests whose parent's line has not come
	below   map[string]int // how often a name came among those
	version bool           // a version line was there
	skipped bool
	reason  string
}

func newLevel(indent string) *tapLevel {
	return &tapLevel{indent: indent, planned: -1, names: map[string]int{}}
}

type tapParser struct {
	levels   []*tapLevel // the outermost first
	subtest  bool        // TAP 14's "# Subtest" stands before the next line
	count    int
	bailed   bool
	bail     string
	problems []string
}

func (p *tapParser) problem(format string, args ...any) {
	const most = 20
	if len(p.problems) < most {
		p.problems = append(p.problems, fmt.Sprintf(format, args...))
	}
}

func (p *tapParser) line(line string) {
	indent, rest := splitIndent(line)
	if isSubtest(line) {
		p.subtest = true
		return
	}
	switch kind, text := tapLine(rest); kind {
	case lineVersion:
		if l := p.open(indent); l != nil {
			l.version = true
		}
	case linePlan:
		if l := p.findLevel(indent); l != nil {
			p.plan(l, text)
		}
	case lineTest:
		if l := p.findLevel(indent); l != nil {
			p.test(l, text)
		}
	case lineBail:
		if indent == "" && !p.bailed {
			p.bailed, p.bail = true, clip(strings.TrimSpace(text), maxReason)
		}
	default:
		return
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
	parent := p.top()
	if len(parent.pending) == 0 {
		parent.below = map[string]int{}
	}
	for _, s := range l.tests {
		s.Name = unique(parent.below, s.Name)
		parent.pending = append(parent.pending, s)
	}
}

// check compares a level's tests with its plan.
func (p *tapParser) check(l *tapLevel) {
	switch {
	case l.planned >= 0 && l.planned != len(l.tests):
		p.problem("planned %d tests, found %d", l.planned, len(l.tests))
	case l.highest > len(l.tests):
		p.problem("test number %d is there, but only %d tests", l.highest, len(l.tests))
	}
	if len(l.pending) > 0 {
		p.problem("%d nested tests without the line of their parent", len(l.pending))
		l.tests = append(l.tests, Subtest{Name: unique(l.names, "(no parent)"), Outcome: Fail,
			Reason: "the output ends before the result of these tests", Sub: l.pending})
		l.pending = nil
	}
}

func (p *tapParser) plan(l *tapLevel, text string) {
	count, comment := splitDirective(text)
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || n < 0 {
		return
	}
	if l.planned >= 0 && l.planned != n {
		p.problem("planned %d tests and then %d", l.planned, n)
	}
	l.planned = n
	if word, reason := directive(comment); n == 0 && word == "SKIP" {
		l.skipped, l.reason = true, reason
	}
}

// test takes a test line without its "ok" or "not ok", which is the first
// byte of text: + or -.
func (p *tapParser) test(l *tapLevel, text string) {
	if p.count++; p.count > maxSubs {
		if p.count == maxSubs+1 {
			p.problem("more than %d tests", maxSubs)
		}
		return
	}
	good, text := text[0] == '+', strings.TrimSpace(text[1:])
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	number := 0
	if n, err := strconv.Atoi(digits); err == nil && (len(digits) == len(text) || text[len(digits)] == ' ') {
		number = n
		text = strings.TrimSpace(text[len(digits):])
	}
	l.highest = max(l.highest, number)

	name, comment := splitDirective(text)
	name = strings.TrimSpace(strings.TrimPrefix(name, "- "))
	s := Subtest{Outcome: Fail}
	if good {
		s.Outcome = Pass
	}
	word, reason := directive(comment)
	switch word {
	case "SKIP":
		s.Outcome = Skip
	case "XFAIL", "TODO":
		// Known to fail: neither proves anything nor disproves it.
		s.Outcome = Skip
		reason = strings.TrimSpace("expected to fail: " + reason)
	case "TIMEOUT":
		s.Outcome = Timeout
	}

	if s.Reason = clip(reason, maxReason); name == "" {
		// kselftest.h prints "ok 3 # SKIP name of the test".
		if name = reason; name == "" {
			name = fmt.Sprintf("test %d", len(l.tests)+1)
		}
	}
	s.Name = unique(l.names, clip(name, maxName))

	s.Sub, l.pending = l.pending, nil
	if failed := failedSubs(s.Sub); failed != "" && word != "XFAIL" && word != "TODO" && !s.Outcome.bad() {
		s.Outcome, s.Reason = Fail, clip(failed, maxReason)
	}
	l.tests = append(l.tests, s)
}

// unique numbers names that come more than once; seen counts them.
func unique(seen map[string]int, name string) string {
	for {
		seen[name]++
		n := seen[name]
		if n == 1 {
			return name
		}
		name = fmt.Sprintf("%s (%d)", name, n)
	}
}

func (p *tapParser) end() TAP {
	for len(p.levels) > 1 {
		p.close()
	}
	l := p.top()
	t := TAP{
		Speaks: l.version || l.planned >= 0 || p.bailed, Planned: l.planned,
		Skipped: l.skipped, SkipReason: clip(l.reason, maxReason), Bailed: p.bailed, Bail: p.bail,
	}
	if !t.Speaks {
		return t
	}
	p.check(l)
	t.Tests, t.Problems = l.tests, p.problems
	return t
}
