// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

func TestProofs(t *testing.T) {
	proof := []Proof{{Test: "a", Patch: "KVM: Fix it"}}
	must := `it has to fail without, and to pass with, "KVM: Fix it"`
	splat := result("a", Pass)
	splat.Splats = []vm.Splat{{Kind: vm.KernelWarning, Title: "WARNING: x"}}
	tests := map[string]struct {
		base, patched []Result
		verdict       Change
		why           string
		failed        int
	}{
		"fails without":         {[]Result{result("a", Fail)}, []Result{result("a", Pass)}, Proved, `it fails without "KVM: Fix it", as it must`, 0},
		"crashes without":       {[]Result{result("a", Crash)}, []Result{result("a", Pass)}, Proved, `it fails without "KVM: Fix it", as it must`, 0},
		"passes without":        {[]Result{result("a", Pass)}, []Result{result("a", Pass)}, Unproved, must + ": on the base kernel the outcome is: pass", 1},
		"skipped without":       {[]Result{result("a", Skip)}, []Result{result("a", Pass)}, Unproved, must + ": on the base kernel the outcome is: skip: because", 1},
		"not in time without":   {[]Result{result("a", Timeout)}, []Result{result("a", Pass)}, Unproved, must + ": on the base kernel the outcome is: timeout: because", 1},
		"no result without":     {nil, []Result{result("a", Pass)}, Unproved, must + ": there is no result on the base kernel", 1},
		"fails with it, too":    {[]Result{result("a", Fail)}, []Result{result("a", Fail)}, Unproved, must + ": on the patched kernel the outcome is: fail", 1},
		"skipped with it":       {[]Result{result("a", Fail)}, []Result{result("a", Skip)}, Unproved, must + ": on the patched kernel the outcome is: skip", 1},
		"no result with it":     {[]Result{result("a", Fail)}, nil, Vanished, "there is no result on the patched kernel", 1},
		"warns with it":         {[]Result{result("a", Fail)}, []Result{splat}, Regressed, "kernel warning, which the base kernel did not have: WARNING: x", 1},
		"of another test":       {[]Result{result("b", Pass)}, []Result{result("b", Pass)}, Same, "", 0},
		"another test is fixed": {[]Result{result("b", Fail)}, []Result{result("b", Pass)}, Fixed, "", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Compare(tc.base, tc.patched, Expectations{Proofs: proof})
			p := c.Tests[0]
			if why := strings.Join(p.Why, "\n"); p.Change != tc.verdict || why != tc.why || c.Failed != tc.failed {
				t.Errorf("expected %s, %d failed: %s\nfound %s, %d failed: %s", tc.verdict, tc.failed, tc.why, p.Change, c.Failed, why)
			}
		})
	}
}

func TestExpectations(t *testing.T) {
	both := func(o Outcome) [2][]Result { return [2][]Result{{result("a", o)}, {result("a", o)}} }
	noisy := [2][]Result{{warned("a", "WARNING: x at 1")}, {warned("a", "WARNING: x at 2")}}
	tests := map[string]struct {
		results [2][]Result
		e       Expectations
		verdict Change
		failed  int
	}{
		"of the kernel, fails on both":   {both(Fail), Expectations{Added: []string{"b"}}, Same, 0},
		"of the series, fails on both":   {both(Fail), Expectations{Added: []string{"a"}}, Regressed, 1},
		"of the series, passes on both":  {both(Pass), Expectations{Added: []string{"a"}}, Same, 0},
		"of the series, skipped on both": {both(Skip), Expectations{Added: []string{"a"}}, Same, 0},
		"complaints on both":             {noisy, Expectations{}, Same, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Compare(tc.results[0], tc.results[1], tc.e)
			if p := c.Tests[0]; p.Change != tc.verdict || c.Failed != tc.failed {
				t.Errorf("expected %s, %d failed; found %s, %d failed: %q", tc.verdict, tc.failed, p.Change, c.Failed, p.Why)
			}
		})
	}
}

func TestLoadProofs(t *testing.T) {
	tests := map[string]struct {
		text string
		want []Proof
		err  string
	}{
		"none":       {"# nothing is proved\n", nil, ""},
		"two":        {"[[proof]]\ntest = \"a\"\npatch = \"A\"\n[[proof]]\ntest = \"b\"\npatch = \"A\"\n", []Proof{{Test: "a", Patch: "A"}, {Test: "b", Patch: "A"}}, ""},
		"no patch":   {"[[proof]]\ntest = \"a\"\n", nil, `proof 1: expected a test and a patch, found "a" and ""`},
		"twice":      {"[[proof]]\ntest = \"a\"\npatch = \"A\"\n[[proof]]\ntest = \"a\"\npatch = \"B\"\n", nil, "proof 2: duplicate test a"},
		"misspelled": {"[[proof]]\ntest = \"a\"\npath = \"A\"\n", nil, "unknown field"},
		"not TOML":   {"test: a\n", nil, "read which tests prove which patches"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "proofs.toml")
			if err := os.WriteFile(file, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := LoadProofs(file)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
			switch {
			case tc.err == "" && err != nil, tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("expected an error with %q, found %v", tc.err, err)
			case err != nil && exit.Code(err) != exit.Usage:
				t.Errorf("expected exit code %d, found %d", exit.Usage, exit.Code(err))
			}
		})
	}
	if _, err := LoadProofs(filepath.Join(t.TempDir(), "none")); exit.Code(err) != exit.Usage {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestKnownFailures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known.toml")
	load := func(text string) ([]KnownFailure, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return LoadKnown(file)
	}
	known, err := load("[[known]]\ntest = 'x86/*'\nwhy = 'too slow here'\n")
	if err != nil {
		t.Fatal(err)
	}
	const name = "x86/a"
	for what, tc := range map[string]struct {
		base, patched Result
		added         []string // which have to prove something
		want          Change
		failed        int
		why           string
	}{
		"fails":                          {result(name, Pass), result(name, Fail), nil, Known, 0, "too slow here"},
		"fails on both":                  {result(name, Fail), result(name, Fail), nil, Known, 0, "too slow here"},
		"takes the guest down":           {result(name, Pass), result(name, Crash), nil, Known, 0, "too slow here"},
		"passes":                         {result(name, Pass), result(name, Pass), nil, Same, 0, "it is listed as a known failure, and passes"},
		"is skipped":                     {result(name, Pass), result(name, Skip), nil, Regressed, 1, ""},
		"passes, but the kernel warns":   {result(name, Pass), warned(name, "WARNING: x"), nil, Regressed, 1, "kernel warning, which the base kernel did not have: WARNING: x"},
		"of the series":                  {result(name, Pass), result(name, Fail), []string{name}, Regressed, 1, "a test that comes with the series has to pass with it"},
		"cannot run":                     {result(name, Skip), result(name, Skip), []string{name}, Known, 0, "too slow here"},
		"cannot run with the series":     {result(name, Fail), result(name, Skip), []string{name}, Unproved, 1, `it has to fail without, and to pass with, "KVM: Fix it": on the patched kernel the outcome is: skip`},
		"another one":                    {result("b", Pass), result("b", Fail), nil, Regressed, 1, ""},
		"passes, but a subtest vanished": {result(name, Pass, "s pass"), result(name, Pass), nil, Regressed, 1, "subtest s vanished"},
	} {
		t.Run(what, func(t *testing.T) {
			e := Expectations{Known: known, Added: tc.added}
			for _, test := range tc.added {
				e.Proofs = append(e.Proofs, Proof{Test: test, Patch: "KVM: Fix it"})
			}
			c := Compare([]Result{tc.base}, []Result{tc.patched}, e)
			p := c.Tests[0]
			if why := strings.Join(p.Why, "; "); p.Change != tc.want || c.Failed != tc.failed || why != tc.why || (c.Err() != nil) != (tc.failed > 0) {
				t.Errorf("expected %s, %d failed: %s\nfound %s, %d failed: %s", tc.want, tc.failed, tc.why, p.Change, c.Failed, why)
			}
			if tc.want == Known && (c.Known != 1 || !strings.Contains(c.Closing(), "1 known failures") || p.junit().Skipped == nil) {
				t.Errorf("it is not counted: %s", c.Closing())
			}
		})
	}
	for text, want := range map[string]string{
		"[[known]]\ntest = 'a'\n":            "known 1: expected a test and why it fails",
		"[[known]]\nwhy = 'a'\n":             "known 1: expected a test and why it fails",
		"[[known]]\ntest = '['\nwhy = 'x'\n": "syntax error in pattern",
		"[[knwon]]\ntest = 'a'\nwhy = 'x'\n": "unknown key",
	} {
		if _, err := load(text); exit.Code(err) != exit.Usage || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: expected %q, found %v", text, want, err)
		}
	}
}
