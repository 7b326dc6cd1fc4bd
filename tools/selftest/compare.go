// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// Verdict is what became of a test from one kernel to the other.
type Verdict string

// The verdicts.
const (
	Same      Verdict = "same"
	Fixed     Verdict = "fixed"     // bad on the base, passes on the patched kernel
	New       Verdict = "new"       // not there or skipped on the base
	Changed   Verdict = "changed"   // otherwise not better: it was bad and is no longer run, or bad in another way
	Regressed Verdict = "regressed" // worse on the patched kernel
	NotRun    Verdict = "not run"   // the run did not come to it
	Vanished  Verdict = "vanished"  // not there on the patched kernel
	// Incomparable is a test that did not end in time on the base kernel and
	// did not take the patched one down.
	Incomparable Verdict = "not comparable"
	Proved       Verdict = "proved"   // bad on the base, as a Proof has to be, and passes on the patched kernel
	Unproved     Verdict = "unproved" // a Proof that is not bad on the base, or does not pass on the patched kernel
)

// Pair is one test on both kernels.
type Pair struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Why says what the verdict is for where the outcomes do not show it.
	Why []string `json:"why,omitempty"`
	// Base and Patched are the results, nil where there is none.
	Base    *Result `json:"base"`
	Patched *Result `json:"patched"`
}

// bad tells whether a verdict fails the comparison.
func (v Verdict) bad() bool { return v == Regressed || v == Vanished || v == NotRun || v == Unproved }

// failed tells whether a pair fails the comparison: what is worse with the
// patches, what proves nothing though it has to, and a test that takes the
// patched kernel down whatever the base did.
func (p Pair) failed() bool {
	if p.Verdict.bad() {
		return true
	}
	return p.Patched.Outcome == Crash || p.Base == nil && p.Patched.Outcome.bad()
}

// Comparison is the results of two kernels side by side.
type Comparison struct {
	// Arch is the architecture, as arch.Arch names it.
	Arch string `json:"arch,omitempty"`
	// Tests are all tests of both kernels, sorted by name.
	Tests []Pair `json:"tests"`
	// Incomplete says why the run did not come to its end, "" if it did. Then
	// there are tests without a result, and the comparison is not good.
	Incomplete string `json:"incomplete,omitempty"`
	// Passed, Failed, Skipped, BothFail and NotComparable add up to the number
	// of tests.
	Passed int `json:"passed"`
	// Failed are the tests that fail the comparison.
	Failed int `json:"failed"`
	// Skipped are those that were skipped on the patched kernel and had not
	// passed on the base.
	Skipped int `json:"skipped"`
	// BothFail are those that are as bad on the base: no fault of a patch.
	BothFail int `json:"both_fail"`
	// NotComparable are those that did not pass on the patched kernel and did
	// not end in time on the base.
	NotComparable int `json:"not_comparable"`
}

// Compare puts the results of two kernels side by side, by name. Of two
// results of one name the worse counts.
func Compare(base, patched []Result, e Expectations) Comparison {
	b, p := byName(base), byName(patched)
	names := make([]string, 0, len(b))
	for n := range b {
		names = append(names, n)
	}
	for n := range p {
		if b[n] == nil {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	known := splatTitles(base)
	c := Comparison{Incomplete: e.Incomplete}
	for _, n := range names {
		pair := Pair{Name: n, Base: b[n], Patched: p[n]}
		pair.Verdict, pair.Why = e.decide(n, pair.Base, pair.Patched, known)
		c.add(pair)
	}
	return c
}

func byName(results []Result) map[string]*Result {
	m := make(map[string]*Result, len(results))
	for i := range results {
		r := &results[i]
		if old := m[r.Name]; old == nil || r.Outcome.rank() < old.Outcome.rank() {
			m[r.Name] = r
		}
	}
	return m
}

func (c *Comparison) add(p Pair) {
	c.Tests = append(c.Tests, p)
	switch {
	case p.failed():
		c.Failed++
	case p.Patched.Outcome == Pass:
		c.Passed++
	case p.Patched.Outcome == Skip:
		c.Skipped++
	case p.Verdict == Incomparable:
		c.NotComparable++
	default:
		c.BothFail++
	}
}

func compareOutcomes(base, patched Outcome) Verdict {
	switch {
	case base == Timeout && patched != Crash:
		// What it would have come to is not known.
		return Incomparable
	case base == patched:
		return Same
	case patched == Pass && base == Skip:
		return New
	case patched == Pass:
		return Fixed
	case patched.rank() < base.rank():
		return Regressed
	}
	return Changed
}

// finished tells whether a test came to its own end, so that all of its
// subtests should be there.
func finished(r *Result) bool { return r.Outcome == Pass || r.Outcome == Skip || r.Outcome == Fail }

// compareSubs says which subtests are worse on the patched kernel. cut says
// that some of them may be missing.
func compareSubs(above string, base, patched []Sub, cut bool) []string {
	now := make(map[string]Sub, len(patched))
	for _, s := range patched {
		now[s.Name] = s
	}
	var worse []string
	for _, b := range base {
		name := above + b.Name
		p, ok := now[b.Name]
		switch {
		case !ok && cut:
		case !ok:
			worse = append(worse, fmt.Sprintf("subtest %s vanished", name))
		default:
			if compareOutcomes(b.Outcome, p.Outcome) == Regressed {
				worse = append(worse, strings.TrimSuffix(fmt.Sprintf("subtest %s: %s on the base, now %s: %s",
					name, b.Outcome, p.Outcome, p.Reason), ": "))
			}
			worse = append(worse, compareSubs(name+" / ", b.Sub, p.Sub, cut)...)
		}
	}
	return worse
}

// splatTitles returns the complaints of a kernel.
func splatTitles(results []Result) map[string]bool {
	titles := make(map[string]bool)
	for _, r := range results {
		for _, s := range r.Splats {
			titles[splatTitle(s.Title)] = true
		}
	}
	return titles
}

// digits differ from one boot and one build to the next: addresses, lines,
// processors, processes.
var digits = regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9a-f]{8,}|[0-9]+`)

func splatTitle(title string) string { return digits.ReplaceAllString(title, "N") }

// Err returns nil if the comparison is good, else an error that names what is
// not and stands for exit.CheckFailed. A comparison of nothing is not good.
func (c Comparison) Err() error {
	if len(c.Tests) == 0 {
		return exit.With(exit.CheckFailed, fmt.Errorf("selftests: expected results, found none"))
	}
	if c.Incomplete != "" {
		return exit.With(exit.CheckFailed, fmt.Errorf("selftests: the run did not come to its end: %s", c.Incomplete))
	}
	if c.Failed == 0 {
		return nil
	}
	var bad []string
	for _, p := range c.Tests {
		if p.failed() {
			bad = append(bad, fmt.Sprintf("%s (%s)", p.Name, p.sort()))
		}
	}
	return exit.With(exit.CheckFailed, fmt.Errorf("selftests: %d of %d failed: %s", len(bad), len(c.Tests), strings.Join(bad, ", ")))
}

// sort says in one word what is wrong with a pair that failed.
func (p Pair) sort() string {
	if p.Verdict.bad() {
		return string(p.Verdict)
	}
	return string(p.Patched.Outcome)
}
