// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/results"
)

// Change is how the result of a test changed from the base to the patched
// kernel.
type Change string

// The changes.
const (
	Same      Change = "same"
	Fixed     Change = "fixed"     // bad on the base, passes on the patched kernel
	New       Change = "new"       // does not exist on the base, or is skipped
	Changed   Change = "changed"   // otherwise not better: it was bad and is no longer run, or is bad in another way
	Regressed Change = "regressed" // worse on the patched kernel
	NotRun    Change = "not run"   // the run ended before it
	Vanished  Change = "vanished"  // does not exist on the patched kernel
	// Incomparable is a test that did not end in time on the base kernel and
	// did not take the patched one down.
	Incomparable Change = "not comparable"
	Proved       Change = "proved" // fails on the base, as a Proof has to, and passes on the patched kernel
	// Unchecked is a checker of the patched kernel that did not prove that it was
	// on.
	Unchecked Change = "checker failed"
	// Known is a failure that Expectations.Known lists.
	Known    Change = "known failure"
	Unproved Change = "unproved" // a Proof that does not fail on the base, or does not pass on the patched kernel
)

func (c Change) fails() bool {
	return slices.Contains([]Change{Regressed, Vanished, NotRun, Unproved, Unchecked}, c)
}

// TestPair is a test on both kernels.
type TestPair struct {
	Name   string `json:"name"`
	Change Change `json:"verdict"`
	// Why explains the change where the outcomes do not show it.
	Why []string `json:"why,omitempty"`
	// History is how the test ended in earlier runs, if it did not always end in
	// the same way or does not pass now.
	History Runs `json:"history,omitempty"`
	// Base and Patched are the results, nil where there is none.
	Base    *Result `json:"base"`
	Patched *Result `json:"patched"`
}

// failure says in a word what fails the comparison: a change, or a test that
// takes the patched kernel down whatever it did on the base kernel. It is ""
// if nothing does.
func (p TestPair) failure() string {
	switch {
	case p.Change == Known:
	case p.Change.fails():
		return string(p.Change)
	case p.Patched.Outcome == Crash, p.Base == nil && p.Patched.Outcome.bad():
		return string(p.Patched.Outcome)
	}
	return ""
}

// Comparison is the results of two kernels side by side.
type Comparison struct {
	// Arch is the name of the architecture.
	Arch string `json:"arch,omitempty"`
	// Params are the parameters of KVM's modules, or of a kernel that has none.
	Params string `json:"params,omitempty"`
	// Setting is what they ran on, nil if that was not kept.
	Setting *Setting `json:"setting,omitempty"`
	// Tests are all tests of both kernels, sorted by name.
	Tests []TestPair `json:"tests"`
	// Incomplete says why the run ended early, "" if it did not. Then some
	// tests have no result, and the comparison is not good.
	Incomplete string `json:"incomplete,omitempty"`
	Counts
}

// Setting is what tests ran on, for those who are shown the results elsewhere.
type Setting struct {
	// Command is the command line, quoted for a shell.
	Command string `json:"command"`
	// Base and Patched are the IDs of both trees.
	Base    string       `json:"base"`
	Patched string       `json:"patched"`
	Host    results.Host `json:"host"`
}

// Counts are the numbers of tests, which add up to all of them.
type Counts struct {
	Passed int `json:"passed"`
	// Failed are the tests that fail the comparison.
	Failed int `json:"failed"`
	// Skipped are those that were skipped on the patched kernel and had not
	// passed on the base.
	Skipped int `json:"skipped"`
	// Known are failures that are known.
	Known int `json:"known"`
	// BothFail are those that are as bad on the base kernel.
	BothFail int `json:"both_fail"`
	// NotComparable are those that did not pass on the patched kernel and did
	// not end in time on the base.
	NotComparable int `json:"not_comparable"`
}

// Compare puts the results of two kernels side by side, by name.
func Compare(base, patched []Result, e Expectations) Comparison {
	b, p := byName(base), byName(patched)
	all := maps.Clone(b)
	maps.Copy(all, p)

	known := slices.Clone(e.Splats) // complaints of the base kernel
	for _, r := range base {
		known = append(known, r.Splats...)
	}
	c := Comparison{Incomplete: e.Incomplete}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pair := TestPair{Name: name, Base: b[name], Patched: p[name]}
		pair.Change, pair.Why = e.decide(name, pair.Base, pair.Patched, known)
		if runs := e.History[name].Runs; runs.differ() || pair.Patched != nil && pair.Patched.Outcome.bad() {
			pair.History = runs
		}
		c.add(pair)
	}
	return c
}

func byName(results []Result) map[string]*Result {
	m := make(map[string]*Result, len(results))
	for i := range results {
		m[results[i].Name] = &results[i]
	}
	return m
}

func (c *Comparison) add(p TestPair) {
	c.Tests = append(c.Tests, p)
	switch {
	case p.failure() != "":
		c.Failed++
	case p.Change == Known:
		c.Known++
	case p.Patched.Outcome == Pass, p.Patched.Outcome == Interrupted:
		c.Passed++
	case p.Patched.Outcome == Skip:
		c.Skipped++
	case p.Change == Incomparable:
		c.NotComparable++
	default:
		c.BothFail++
	}
}

func compareOutcomes(base, patched Outcome) Change {
	switch {
	case base == Timeout && patched != Crash:
		return Incomparable // how it would have ended is unknown
	case base == patched, min(base.rank(), patched.rank()) == Pass.rank():
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

// compareSubtests says which subtests are worse on the patched kernel. cut says
// that some of them may be missing.
func compareSubtests(base, patched []Subtest, cut bool) []string {
	now := make(map[string]Subtest, len(patched))
	for _, s := range patched {
		now[s.Name] = s
	}

	var worse []string
	for _, b := range base {
		p, ok := now[b.Name]
		if !ok {
			if !cut {
				worse = append(worse, fmt.Sprintf("subtest %s vanished", b.Name))
			}
			continue
		}
		if compareOutcomes(b.Outcome, p.Outcome) == Regressed {
			worse = append(worse, strings.TrimSuffix(fmt.Sprintf("subtest %s: %s on the base, now %s: %s",
				b.Name, b.Outcome, p.Outcome, p.Reason), ": "))
		}
	}
	return worse
}

// Err returns nil if the comparison is good, else an error that names what is
// not and stands for exit.CheckFailed. A comparison of nothing is not good.
func (c Comparison) Err() error {
	fail := func(format string, args ...any) error {
		return exit.With(exit.CheckFailed, fmt.Errorf("selftests: "+format, args...))
	}
	if len(c.Tests) == 0 {
		return fail("expected results, found none")
	}
	if c.Incomplete != "" {
		return fail("the run did not come to its end: %s", c.Incomplete)
	}
	if c.Failed == 0 {
		return nil
	}
	var failed []string
	for _, p := range c.Tests {
		if why := p.failure(); why != "" {
			failed = append(failed, fmt.Sprintf("%s (%s)", p.Name, why))
		}
	}
	return fail("%d of %d failed: %s", len(failed), len(c.Tests), strings.Join(failed, ", "))
}
