// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"math"
	"os"
	"strings"
	"testing"

	"vcpulab/tools/vm"
)

// TestCutConsole cuts up the console of a real guest.
func TestCutConsole(t *testing.T) {
	text, err := os.ReadFile("testdata/console.log")
	if err != nil {
		t.Fatal(err)
	}
	c := cutConsole(string(text))
	want := ""
	for i, line := range strings.Split(string(text), "\n") {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "vcpulab: start "); ok {
			want = name
		}
		if got := c.owner(i + 1); got != want {
			t.Fatalf("line %d: expected %q, found %q", i+1, want, got)
		}
		if text := c.during(want); !strings.Contains(text, strings.TrimSpace(line)) {
			t.Fatalf("line %d: expected it in what came during %q, found %q", i+1, want, text)
		}
	}
	if last := c.owner(math.MaxInt); last != want || want == "" {
		t.Errorf("expected %q to be last, found %q", want, last)
	}
}

func TestCutConsoleLong(t *testing.T) {
	c := cutConsole(strings.Repeat("x", 1<<20) + "\nvcpulab: start a\nhalf")
	if got := c.during("a"); got != "vcpulab: start a\nhalf" {
		t.Errorf("expected the line that is not complete as well, found %q", got)
	}
	if n := len(c.during("")); n > 2*stretchLimit {
		t.Errorf("expected at most %d bytes, found %d", 2*stretchLimit, n)
	}
	if got := c.during("b"); got != "" {
		t.Errorf("expected nothing of a test that was not run, found %q", got)
	}
	if got := cutConsole("").owner(7); got != "" {
		t.Errorf("expected no test, found %q", got)
	}
}

func TestAttribute(t *testing.T) {
	c := cutConsole("boot\nWARNING: early\nvcpulab: start a\nfine\nvcpulab: start b\nWARNING: late\n")
	g := guest{r: &runner{}, tests: named("a", "b"), console: c, results: []Result{result("a", Pass), result("b", Pass)}}
	g.attribute([]vm.Splat{{Title: "WARNING: early", Line: 2}, {Title: "WARNING: late", Line: 6}})
	for i, want := range []string{"boot\nWARNING: early\nvcpulab: start a\nfine\n", "vcpulab: start b\nWARNING: late\n"} {
		if r := g.results[i]; len(r.Splats) != 1 || r.Console != want {
			t.Errorf("%s: expected one splat and the console %q, found %v and %q", r.Name, want, r.Splats, r.Console)
		}
	}
}
