// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
)

func TestHistory(t *testing.T) {
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const id = "x86_64-tcg"
	look := func(want History) {
		t.Helper()
		if diff := cmp.Diff(want, LoadHistory(c, id)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	save := func(results ...Result) {
		t.Helper()
		if err := SaveHistory(c, id, "base", results); err != nil {
			t.Fatal(err)
		}
	}
	look(History{})
	save(Result{Name: "a", Outcome: Pass, Seconds: 2}, Result{Name: "b", Outcome: Timeout, Seconds: 240}, Result{Name: "c", Outcome: Fail})
	look(History{"a": {2, true, Runs{"base": {Pass}}}, "b": {240, false, Runs{"base": {Timeout}}}})
	// Others stay.
	save(Result{Name: "b", Outcome: Fail, Seconds: 3})
	look(History{"a": {2, true, Runs{"base": {Pass}}}, "b": {3, true, Runs{"base": {Timeout, Fail}}}})
	if got := LoadHistory(c, "arm64-tcg"); len(got) != 0 {
		t.Errorf("another one's: %v", got)
	}
	// A file that cannot be read is ignored and replaced.
	for _, bad := range []string{"", "{", "[]", `{"a":{"seconds":-1}}`} {
		if err := os.WriteFile(historyFile(c, id), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		look(History{})
	}
	save(Result{Name: "a", Outcome: Crash, Seconds: 1})
	look(History{"a": {1, false, Runs{"base": {Crash}}}})
}

// TestRuns: how a test ended at the first try of each run is kept, by kernel, and
// shown where it differs or the test is bad now.
func TestRuns(t *testing.T) {
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lucky := result("a", Pass)
	lucky.Earlier = []Result{result("a", Fail)}
	save := func(kernel string, r Result) {
		t.Helper()
		if err := SaveHistory(c, "id", kernel, []Result{r}); err != nil {
			t.Fatal(err)
		}
	}
	for range maxRuns + 3 {
		save("base", result("a", Pass))
	}
	save("base", lucky)
	save("patched", result("a", Pass))
	save("base", result("b", Pass))
	h := LoadHistory(c, "id")
	if n := len(h["a"].Runs["base"]); n != maxRuns {
		t.Errorf("expected %d runs, found %d", maxRuns, n)
	}

	same := Compare([]Result{result("a", Pass), result("b", Pass)}, []Result{result("a", Pass), result("b", Pass)}, Expectations{History: h})
	var text strings.Builder
	if err := same.WriteText(&text, ""); err != nil {
		t.Fatal(err)
	}
	if want := "\na\n  base: of the last 50 runs: 49 pass, 1 fail\n  patched: of the last 1 runs: 1 pass\n\n2 passed"; !strings.Contains(text.String(), want) || strings.Contains(text.String(), "\nb\n") {
		t.Errorf("expected %q, found\n%s", want, text.String())
	}
	bad := Compare([]Result{result("b", Pass)}, []Result{result("b", Fail)}, Expectations{History: h})
	if bad.Tests[0].History == nil {
		t.Error("the history of a test that fails is not shown")
	}
}
