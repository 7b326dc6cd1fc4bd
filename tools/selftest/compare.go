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

// Change is how a test's result changed from the base to the patched kernel.
type Change string

// The changes.
const (
	Same         Change = "same"
	Fixed        Change = "fixed"          // bad on the base, passes on the patched kernel
	New          Change = "new"            // does not exist on the base, or is skipped
	Changed      Change = "changed"        // otherwise not better: it was bad and is no longer run, or is bad in another way
	Regressed    Change = "regressed"      // worse on the patched kernel
	NotRun       Change = "not run"        // the run ended before it
	Vanished     Change = "vanished"       // does not exist on the patched kernel
	Incomparable Change = "not comparable" // did not end in time on the base and did not take the patched kernel down
	Proved       Change = "proved"         // fails on the base, as a Proof has to, and passes on the patched kernel
	Unproved     Change = "unproved"       // a Proof that does not fail on the base, or does not pass on the patched kernel
	Unchecked    Change = "checker failed" // a checker of the patched kernel did not prove that it was on
	Known        Change = "known failure"  // one that Expectations.Known lists
)

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

// failure says in a word what fails the comparison, "" if nothing does: a change, or a
// test that takes the patched kernel down whatever it did on the base kernel.
func (p TestPair) failure() string {
	switch p.Change {
	case Known:
		return ""
	case Regressed, Vanished, NotRun, Unproved, Unchecked:
		return string(p.Change)
	}
	if p.Patched.Outcome == Crash || p.Base == nil && p.Patched.Outcome.bad() {
		return string(p.Patched.Outcome)
	}
	return ""
}

// Comparison is the results of two kernels side by side.
type Comparison struct {
	Arch    string     `json:"arch,omitempty"`    // the name of the architecture
	Params  string     `json:"params,omitempty"`  // of KVM's modules, or of a kernel that has none
	Setting *Setting   `json:"setting,omitempty"` // what they ran on, nil if that was not kept
	Tests   []TestPair `json:"tests"`             // all tests of both kernels, sorted by name
	// Incomplete says why the run ended early, "" if it did not. Then some
	// tests have no result, and the comparison is not good.
	Incomplete string `json:"incomplete,omitempty"`
	Counts
}

// Setting is what tests ran on, for those who are shown the results elsewhere.
type Setting struct {
	Command string       `json:"command"` // quoted for a shell
	Base    string       `json:"base"`    // the ID of the tree
	Patched string       `json:"patched"`
	Host    results.Host `json:"host"`
}

// Counts are the numbers of tests, which add up to all of them.
type Counts struct {
	Passed        int `json:"passed"`
	Failed        int `json:"failed"`         // they fail the comparison
	Skipped       int `json:"skipped"`        // on the patched kernel, and did not pass on the base
	Known         int `json:"known"`          // failures that are known
	BothFail      int `json:"both_fail"`      // as bad on the base kernel
	NotComparable int `json:"not_comparable"` // did not pass on the patched kernel, nor end in time on the base
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
		switch {
		case ok && compareOutcomes(b.Outcome, p.Outcome) == Regressed:
			text := fmt.Sprintf("subtest %s: %s on the base, now %s: %s", b.Name, b.Outcome, p.Outcome, p.Reason)
			worse = append(worse, strings.TrimSuffix(text, ": "))
		case !ok && !cut:
			worse = append(worse, fmt.Sprintf("subtest %s vanished", b.Name))
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
