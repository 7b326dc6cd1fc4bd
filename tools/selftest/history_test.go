// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"os"
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
		if err := SaveHistory(c, id, results); err != nil {
			t.Fatal(err)
		}
	}
	look(History{})
	save(Result{Name: "a", Outcome: Pass, Seconds: 2}, Result{Name: "b", Outcome: Timeout, Seconds: 240}, Result{Name: "c", Outcome: Fail})
	look(History{"a": {2, true}, "b": {240, false}})
	// Others stay.
	save(Result{Name: "b", Outcome: Fail, Seconds: 3})
	look(History{"a": {2, true}, "b": {3, true}})
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
	look(History{"a": {1, false}})
}
