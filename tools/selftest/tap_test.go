// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

// golden compares got with the file, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run go test ./tools/selftest -update to write it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// indented is v in JSON, for golden files.
func indented(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// fixtures returns the files of a pattern by their names without extension.
func fixtures(t testing.TB, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures in %s: %v", pattern, err)
	}
	byName := make(map[string]string, len(files))
	for _, f := range files {
		byName[strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))] = f
	}
	return byName
}

// TestParseTAPFiles reads outputs as the kernel's tests print them: harness
// is the expected output of kselftest_harness.h's own test, those that begin
// with kunit are from tools/testing/kunit/test_data in the kernel's tree.
func TestParseTAPFiles(t *testing.T) {
	for name, file := range fixtures(t, "testdata/tap/*.txt") {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".txt")+".json", indented(t, ParseTAP(string(data))))
		})
	}
}

func TestParseTAP(t *testing.T) {
	tests := map[string]struct {
		output string
		want   TAP
	}{
		"no TAP":                     {"Random seed: 0x1\nok then\n", TAP{Planned: -1}},
		"nothing":                    {"", TAP{Planned: -1}},
		"everything skipped":         {"1..0 # SKIP - Requirement not met: kvm_is_pmu_enabled()\n", TAP{Speaks: true, Skipped: true, SkipReason: "Requirement not met: kvm_is_pmu_enabled()"}},
		"everything skipped, no why": {"1..0 # skipped\n", TAP{Speaks: true, Skipped: true}},
		"bail-out": {"TAP version 13\n1..2\nok 1 a\nBail out! no memory\n", TAP{
			Speaks: true, Planned: 2, Tests: []Subtest{{Name: "a", Outcome: Pass}}, Bailed: true, Bail: "no memory",
			Problems: []string{"planned 2 tests, found 1"},
		}},
		"output cut": {"TAP version 13\n1..3\nok 1 a\nok 2", TAP{
			Speaks: true, Planned: 3, Tests: []Subtest{{Name: "a", Outcome: Pass}, {Name: "test 2", Outcome: Pass}},
			Problems: []string{"planned 3 tests, found 2"},
		}},
		"a line lost, no plan": {"TAP version 13\nok 1 a\nok 3 c\n", TAP{
			Speaks: true, Planned: -1, Tests: []Subtest{{Name: "a", Outcome: Pass}, {Name: "c", Outcome: Pass}},
			Problems: []string{"test number 3 is there, but only 2 tests"},
		}},
		"two plans": {"TAP version 13\n1..1\n1..2\nok 1 a\nok 2 b\n", TAP{
			Speaks: true, Planned: 2, Tests: []Subtest{{Name: "a", Outcome: Pass}, {Name: "b", Outcome: Pass}},
			Problems: []string{"planned 1 tests and then 2"},
		}},
		"directives": {"KTAP version 1\n1..7\nok 1 a # SKIP no hardware\nnot ok 2 b # XFAIL broken\nok 3 # SKIP c\n" +
			"not ok 4 d # TIMEOUT 45 seconds\nnot ok 5 # error e\nok 6 f #  note\nok 7 g#1\n", TAP{
			Speaks: true, Planned: 7, Tests: []Subtest{
				{Name: "a", Outcome: Skip, Reason: "no hardware"},
				{Name: "b", Outcome: Skip, Reason: "expected to fail: broken"},
				{Name: "c", Outcome: Skip, Reason: "c"},
				{Name: "d", Outcome: Timeout, Reason: "45 seconds"},
				{Name: "e", Outcome: Fail, Reason: "e"},
				{Name: "f", Outcome: Pass, Reason: "note"},
				{Name: "g#1", Outcome: Pass},
			},
		}},
		"names twice": {"TAP version 13\n1..3\nok 1 a\nok 2 a\nnot ok 3 a\n", TAP{
			Speaks: true, Planned: 3,
			Tests: []Subtest{{Name: "a", Outcome: Pass}, {Name: "a (2)", Outcome: Pass}, {Name: "a (3)", Outcome: Fail}},
		}},
		"names that begin with a digit": {"TAP version 13\n1..2\nok 1 4K pages\nok 2 2nd\n", TAP{
			Speaks: true, Planned: 2, Tests: []Subtest{{Name: "4K pages", Outcome: Pass}, {Name: "2nd", Outcome: Pass}},
		}},
		"indented lines": {"TAP version 13\n1..1\n  KTAP version 1\n  1..2\n  ok, this is prose\n  ok 1 prose\n# ok 2 prose\nok 1 a\n", TAP{
			Speaks: true, Planned: 1, Tests: []Subtest{{Name: "a", Outcome: Pass}},
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ParseTAP(tc.output)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTAPBounded(t *testing.T) {
	t.Run("many tests", func(t *testing.T) {
		var b strings.Builder
		b.WriteString("TAP version 13\n")
		for i := range 3 * maxSubs {
			fmt.Fprintf(&b, "ok %d same\n", i+1)
		}
		got := ParseTAP(b.String())
		if len(got.Tests) != maxSubs || len(got.Problems) == 0 {
			t.Errorf("expected %d tests and a problem, found %d and %q", maxSubs, len(got.Tests), got.Problems)
		}
	})
	t.Run("long", func(t *testing.T) {
		got := ParseTAP("1..1\nok 1 " + strings.Repeat("ä", 1000) + " # SKIP " + strings.Repeat("\xff", 1000))
		if s := got.Tests[0]; len(s.Name) > maxName || len(s.Reason) > maxReason {
			t.Errorf("expected at most %d and %d bytes, found %d and %d", maxName, maxReason, len(s.Name), len(s.Reason))
		}
	})
}

// FuzzParseTAP holds the parser to its bounds: whatever a test prints, names
// are unique and what is kept is text of a bounded size.
func FuzzParseTAP(f *testing.F) {
	for _, file := range fixtures(f, "testdata/tap/*.txt") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("1..1\n  KTAP version 1\n  ok 1 a\n KTAP version 1\n ok 1 a\nok 1 b")
	f.Add("# TAP version 13\n#   1..1\n# \t# Subtest\nok\nnot ok # XFAIL\n1..0 # SKIP\nBail out!")
	f.Fuzz(func(t *testing.T, output string) {
		got := ParseTAP(output)
		if !got.Speaks && (len(got.Tests) > 0 || len(got.Problems) > 0) {
			t.Errorf("no TAP, but %d tests and problems %q", len(got.Tests), got.Problems)
		}
		for _, s := range append([]string{got.Bail, got.SkipReason}, got.Problems...) {
			checkText(t, s, maxReason)
		}
		seen := make(map[string]bool)
		for _, s := range got.Tests {
			if s.Name == "" || seen[s.Name] {
				t.Errorf("name %q is empty or there twice", s.Name)
			}
			seen[s.Name] = true
			checkText(t, s.Name, maxName+8) // " (2)"
			checkText(t, s.Reason, maxReason)
		}
	})
}

func checkText(t *testing.T, s string, most int) {
	t.Helper()
	if len(s) > most || !utf8.ValidString(s) {
		t.Errorf("expected at most %d bytes of text, found %d: %q", most, len(s), s)
	}
}
