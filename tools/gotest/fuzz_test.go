// SPDX-License-Identifier: GPL-2.0-only

package gotest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFuzzTargets(t *testing.T) {
	got := fuzzTargets("FuzzA\nFuzzB\nok  \tm/a\t0.1s\n?   \tm/b\t[no test files]\nok  \tm/c\t0.1s\nFuzzC\nok  \tm/d\t0.1s\nFuzzLost\n")
	want := []Test{{Package: "m/a", Name: "FuzzA"}, {Package: "m/a", Name: "FuzzB"}, {Package: "m/d", Name: "FuzzC"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOutOfTime(t *testing.T) {
	const over = "--- FAIL: FuzzA (11.05s)\n    context deadline exceeded\n"
	for text, want := range map[string]bool{
		over: true,
		over + "    Failing input written to testdata/fuzz/FuzzA/1\n": false,
		over + "panic: index out of range\n":                          false,
		"--- FAIL: FuzzA (0.05s)\n    --- FAIL: FuzzA/seed#0\n":       false,
	} {
		if got := outOfTime([]Test{{Package: "m", Output: "FAIL\n"}, {Package: "m", Name: "FuzzA", Output: text}}); got != want {
			t.Errorf("%q: expected %v, found %v", text, want, got)
		}
	}
	if outOfTime(nil) {
		t.Error("nothing failed")
	}
}

// TestFuzz runs two targets, one of which finds something.
func TestFuzz(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.24\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\n" +
			"func FuzzGood(f *testing.F) { f.Fuzz(func(*testing.T, []byte) {}) }\n\n" +
			"func FuzzBad(f *testing.F) {\n\tf.Fuzz(func(t *testing.T, b []byte) {\n\t\tif len(b) > 2 {\n\t\t\tt.Error(\"too long\")\n\t\t}\n\t})\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Fuzz(t.Context(), Options{Dir: dir, Packages: []string{"./..."}}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed != 1 || len(r.Failed) == 0 || !strings.Contains(r.Failed[0].Output, "too long") {
		t.Errorf("expected FuzzGood to pass and FuzzBad to fail, found %+v", r)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "testdata/fuzz/FuzzBad/*")); len(found) != 1 {
		t.Errorf("expected a file with what was found, found %v", found)
	}
}
