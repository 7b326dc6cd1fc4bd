// SPDX-License-Identifier: GPL-2.0-only

package gotest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module writes a module with this test file and returns its folder.
func module(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":    "module example\n\ngo 1.26\n",
		"a_test.go": "package example\n\nimport \"testing\"\n\n" + body,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	tests := map[string]struct {
		body    string
		passed  int
		failed  []string
		skipped []string
		output  string // in the first failure or skip
	}{
		"passes": {
			body:   `func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }`,
			passed: 2,
		},
		"fails": {
			body:   `func TestA(t *testing.T) {}; func TestB(t *testing.T) { t.Error("why") }`,
			passed: 1, failed: []string{"example.TestB"}, output: "why",
		},
		"skips": {
			body:    `func TestA(t *testing.T) { t.Skip("no tree") }`,
			skipped: []string{"example.TestA"}, output: "no tree",
		},
		"does not build": {
			body:   `func TestA(t *testing.T) { undefined() }`,
			failed: []string{"example"}, output: "undefined",
		},
		"dies": {
			body:   `func TestMain(m *testing.M) { panic("died") }`,
			failed: []string{"example"}, output: "died",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Run(context.Background(), module(t, tt.body), []string{"GOFLAGS=-mod=mod", "GOWORK=off"}, []string{"./..."}, nil)
			if err != nil {
				t.Fatal(err)
			}
			names := func(fs []Failure) (out []string) {
				for _, f := range fs {
					out = append(out, f.Name())
				}
				return out
			}
			if r.Passed != tt.passed {
				t.Errorf("passed: expected %d, found %d", tt.passed, r.Passed)
			}
			if diff := cmp.Diff(tt.failed, names(r.Failed)); diff != "" {
				t.Errorf("failed: %s", diff)
			}
			if diff := cmp.Diff(tt.skipped, names(r.Skipped)); diff != "" {
				t.Errorf("skipped: %s", diff)
			}
			for _, f := range append(r.Failed, r.Skipped...) {
				if !strings.Contains(f.Output, tt.output) {
					t.Errorf("%s: expected %q in the output, found %q", f.Name(), tt.output, f.Output)
				}
			}
		})
	}
}

func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, module(t, ""), nil, []string{"./..."}, nil); err == nil {
		t.Error("expected an error, found none")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Action":"fail","Package":"a","Test":"T","Output":"x"}` + "\n")
	f.Add(`{"Action":"build-output","ImportPath":"a"}` + "\n" + `{"Action":"fail","Package":"a","FailedBuild":"a"}`)
	f.Add("FAIL\n")
	f.Fuzz(func(t *testing.T, in string) {
		r, err := Parse(strings.NewReader(in), nil)
		if (r == nil) == (err == nil) {
			t.Errorf("expected a result or an error, found %v and %v", r, err)
		}
	})
}
