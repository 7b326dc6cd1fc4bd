// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"vcpulab/tools/vm"
)

// TestConsoleLog cuts up the console of a real guest, in pieces of every
// size.
func TestConsoleLog(t *testing.T) {
	console, err := os.ReadFile("testdata/console.log")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(console), "\n")
	for size := 1; size < 200; size += 13 {
		c := newConsoleLog()
		for rest := console; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		want := ""
		for i, line := range lines {
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
		if c.last() != want {
			t.Errorf("expected %q to be last, found %q", want, c.last())
		}
	}
}

func TestConsoleLogLong(t *testing.T) {
	c := newConsoleLog()
	long := bytes.Repeat([]byte("x"), 1<<20)
	for range 10 {
		_, _ = c.Write(long)
	}
	_, _ = c.Write([]byte("\nvcpulab: start a\nhalf"))
	if got := c.during("a"); !strings.HasSuffix(got, "start a\nhalf") {
		t.Errorf("expected the line that is not complete as well, found %q", got)
	}
	if n := len(c.during("")); n > 2*consoleLimit {
		t.Errorf("expected at most %d bytes, found %d", 2*consoleLimit, n)
	}
	if got := c.during("b"); got != "" {
		t.Errorf("expected nothing of a test that was not run, found %q", got)
	}
}

func TestAttribute(t *testing.T) {
	c := newConsoleLog()
	_, _ = c.Write([]byte("boot\nWARNING: early\nvcpulab: start a\nfine\nvcpulab: start b\nWARNING: late\n"))
	g := guest{r: &runner{}, tests: named("a", "b"), console: c, results: []Result{result("a", Pass), result("b", Pass)}}
	g.attribute([]vm.Splat{{Title: "WARNING: early", Line: 2}, {Title: "WARNING: late", Line: 6}})
	for i, want := range []string{"boot\nWARNING: early\nvcpulab: start a\nfine\n", "vcpulab: start b\nWARNING: late\n"} {
		if r := g.results[i]; len(r.Splats) != 1 || r.Console != want {
			t.Errorf("%s: expected one splat and the console %q, found %v and %q", r.Name, want, r.Splats, r.Console)
		}
	}
}
