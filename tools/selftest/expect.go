// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/exit"
)

// Proof says that a test shows what a patch is for: it has to fail on a
// kernel without the patch, and to pass on one with it.
type Proof struct {
	// Test is the test's name in the kernel's Makefile.
	Test string `toml:"test"`
	// Patch is the patch's subject, without a prefix.
	Patch string `toml:"patch"`
}

// LoadProofs reads a list of proofs: a TOML file with a table [[proof]] for
// each. An error stands for exit.Usage.
func LoadProofs(name string) ([]Proof, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("read which tests prove which patches: %w", err))
	}
	var file struct {
		Proof []Proof `toml:"proof"`
	}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("read which tests prove which patches: %s: %w", name, err))
	}
	for i, p := range file.Proof {
		if p.Test == "" || p.Patch == "" {
			return nil, exit.With(exit.Usage, fmt.Errorf("%s: proof %d: expected a test and a patch, found %q and %q", name, i+1, p.Test, p.Patch))
		}
		if slices.ContainsFunc(file.Proof[:i], func(q Proof) bool { return q.Test == p.Test }) {
			return nil, exit.With(exit.Usage, fmt.Errorf("%s: proof %d: %s is there twice", name, i+1, p.Test))
		}
	}
	return file.Proof, nil
}

// Expectations are what is asked of a comparison besides that nothing gets
// worse.
type Expectations struct {
	// Added are the names of the tests that the series brings. One that is
	// bad on the patched kernel fails the comparison even if it is on the
	// base kernel, too.
	Added []string
	// Proofs are the tests that have to fail on the base kernel.
	Proofs []Proof
	// Incomplete says why the run did not come to its end, "" if it did.
	Incomplete string
	// Silent asks that the patched kernel complains of nothing, not even of
	// what the base kernel complains of, too.
	Silent bool
}

// proof returns the proof that a test is, nil if it is none.
func (e Expectations) proof(name string) *Proof {
	i := slices.IndexFunc(e.Proofs, func(p Proof) bool { return p.Test == name })
	if i < 0 {
		return nil
	}
	return &e.Proofs[i]
}

// decide compares one test. known are the splats that the base kernel had.
func (e Expectations) decide(name string, base, patched *Result, known map[string]bool) (Verdict, []string) {
	if patched == nil && e.Incomplete != "" {
		return NotRun, nil
	}
	if patched == nil {
		return Vanished, []string{"there is no result on the patched kernel"}
	}
	var why []string
	for _, s := range patched.Splats {
		switch title := splatTitle(s.Title); {
		case !known[title]:
			why = append(why, fmt.Sprintf("%s, which the base kernel did not have: %s", s.Kind, s.Title))
		case e.Silent:
			why = append(why, fmt.Sprintf("%s, as on the base kernel: %s", s.Kind, s.Title))
		}
	}
	v := New
	if base != nil {
		v = compareOutcomes(base.Outcome, patched.Outcome)
		if finished(base) && finished(patched) {
			why = append(why, compareSubs("", base.Sub, patched.Sub, patched.LeftOut > 0)...)
		}
	}
	if slices.Contains(e.Added, name) && patched.Outcome.bad() {
		why = append(why, "a test that comes with the series has to pass with it")
	}
	if len(why) > 0 {
		return Regressed, why
	}
	if p := e.proof(name); p != nil {
		return p.decide(base, patched)
	}
	return v, nil
}

// decide tells whether a test has proved what it is there for. Not to end in
// time proves nothing: the host may have been busy.
func (p Proof) decide(base, patched *Result) (Verdict, []string) {
	must := fmt.Sprintf("it has to fail without, and to pass with, %q", p.Patch)
	switch {
	case patched.Outcome != Pass:
		return Unproved, []string{must + ": on the patched kernel the outcome is: " + string(patched.Outcome)}
	case base == nil:
		return Unproved, []string{must + ": there is no result on the base kernel"}
	case base.Outcome != Fail && base.Outcome != Crash:
		return Unproved, []string{strings.TrimSuffix(fmt.Sprintf("%s: on the base kernel the outcome is: %s: %s", must, base.Outcome, base.Reason), ": ")}
	}
	return Proved, []string{fmt.Sprintf("it fails without %q, as it must", p.Patch)}
}
