// SPDX-License-Identifier: GPL-2.0-only

package soak

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/selftest"
)

var (
	names  = []string{"a", "b", "c", "d", "e", "f", "g"}
	ranges = []Range{{"b", "-n", 2, 600}, {"c", "-t", 1, 10}}
	both   = []Config{{"debug", true}, {"kcsan", false}}
)

// TestNewRound: a round follows from its seed, whatever the other configurations are.
func TestNewRound(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(500) {
		r := NewRound(seed, names, ranges, both)
		if diff := cmp.Diff(r, NewRound(seed, names, ranges, both)); diff != "" {
			t.Fatalf("seed %d, twice:\n%s", seed, diff)
		}
		config := both[seed%2]
		if diff := cmp.Diff(r, NewRound(seed, names, ranges, []Config{config})); diff != "" {
			t.Fatalf("seed %d, %s alone:\n%s", seed, config.Name, diff)
		}
		if r.CPUs < minCPUs || r.CPUs > maxCPUs || len(r.Steps) < minTests || len(r.Steps) > maxTests {
			t.Errorf("%v: expected %d to %d processors and %d to %d tests", r, minCPUs, maxCPUs, minTests, maxTests)
		}
		seen[r.String()]++
		in := map[string]bool{}
		for _, s := range r.Steps {
			if in[s.Test] {
				t.Errorf("%v: %s is there twice", r, s.Test)
			}
			in[s.Test] = true
			seen[s.Test]++
			checkStep(t, r, s, config)
			if s.KillMillis > 0 {
				seen["killed"]++
			}
			if s.FailEvery > 0 {
				seen["failing in "+r.Config]++
			}
		}
	}
	for _, what := range append(names, "killed", "failing in debug") {
		if seen[what] < 50 {
			t.Errorf("%s: expected it in many of 500 rounds, found it in %d", what, seen[what])
		}
	}
	if n := seen["failing in kcsan"]; n > 0 {
		t.Errorf("%d tests were to fail on kernels that have no allocations fail", n)
	}
	if len(seen) < 480 {
		t.Errorf("expected some 500 rounds that are not alike, found %d", len(seen))
	}
}

func checkStep(t *testing.T, r Round, s Step, c Config) {
	t.Helper()
	for _, a := range ranges {
		if a.Test != s.Test {
			continue
		}
		if n, err := strconv.Atoi(s.Args[1]); err != nil || s.Args[0] != a.Flag || n < a.From || n > a.To {
			t.Errorf("%v: expected %s from %d to %d, found %q", r, a.Flag, a.From, a.To, s.Args)
		}
	}
	if s.KillMillis != 0 && (s.KillMillis < minKillMillis || s.KillMillis > 31_000) || s.FailEvery != 0 && (s.FailEvery < minFailEvery || s.FailEvery > 2010 || s.KillMillis == 0 || !c.Faults) {
		t.Errorf("%v: found %+v", r, s)
	}
	if s.Clock < firstClock || s.Clock >= firstClock+clocks {
		t.Errorf("%v: found the time %d", r, s.Clock)
	}
}

// TestFewTests: what there is runs.
func TestFewTests(t *testing.T) {
	if r := NewRound(1, names[:1], nil, both); len(r.Steps) != 1 || r.Steps[0].Test != "a" {
		t.Errorf("expected a alone, found %v", r)
	}
}

// TestOn: a kernel's tests are run in the round's order and way.
func TestOn(t *testing.T) {
	r := Round{Steps: []Step{{Test: "b", Args: []string{"-n", "7"}, Clock: 5, KillMillis: 1500, FailEvery: 9}, {Test: "a", Clock: 6}}}
	built := []selftest.Test{{Name: "a", Path: "/a", Machine: "m"}, {Name: "b", Path: "/b"}, {Name: "c"}}
	got, err := r.On(built)
	want := []selftest.Test{
		{Name: "b", Path: "/b", Args: []string{"-n", "7"}, Clock: 5, Kill: 1_500_000_000, FailEvery: 9},
		{Name: "a", Path: "/a", Machine: "m", Clock: 6},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := r.On(built[:1]); err == nil || !strings.Contains(err.Error(), "b was not built: leave it out with --only") {
		t.Errorf("expected that b was not built, found %v", err)
	}
}

func TestLoadRanges(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"good":         {"[[argument]]\ntest = 'a'\nflag = '-n'\nfrom = 1\nto = 2\n", ""},
		"none":         {"", ""},
		"no flag":      {"[[argument]]\ntest = 'a'\nfrom = 1\nto = 2\n", `argument 1: expected a test, a flag, and a number from 1 to a larger one, found "a", "", 1 and 2`},
		"no range":     {"[[argument]]\ntest = 'a'\nflag = '-n'\nfrom = 2\nto = 2\n", "to a larger one"},
		"zero":         {"[[argument]]\ntest = 'a'\nflag = '-n'\nto = 2\n", "a number from 1"},
		"unknown word": {"[[argument]]\ntests = 'a'\n", "unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "soak.toml")
			if err := os.WriteFile(file, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := LoadRanges(file)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || exit.Code(err) != exit.Usage) {
				t.Errorf("expected %q and code %d, found %v and %d", tc.want, exit.Usage, err, exit.Code(err))
			}
		})
	}
}

// TestOwnRanges: the tests that take numbers are those of the project's patches.
func TestOwnRanges(t *testing.T) {
	own, err := LoadRanges("../../ci/soak.toml")
	if err != nil || len(own) == 0 {
		t.Fatalf("%v, %v", own, err)
	}
	patches, err := filepath.Glob("../../patches/*/*.patch")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range patches {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, r := range own {
		_, source, found := strings.Cut(all.String(), "\n+++ b/tools/testing/selftests/kvm/"+r.Test+".c\n")
		source, _, _ = strings.Cut(source, "\ndiff --git ")
		if option := "case '" + strings.TrimPrefix(r.Flag, "-") + "':"; !found || !strings.Contains(source, option) {
			t.Errorf("%s %s: expected a test of that name with %q, found %d bytes of it", r.Test, r.Flag, option, len(source))
		}
	}
}
