// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"math"
	"os"
	"path/filepath"
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

// TestWarnings: a warning of both kernels is known by its condition and its
// function, which come from the console or, without it, from the sources.
func TestWarnings(t *testing.T) {
	source := func(lines ...string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	results := func(tree string, splats ...vm.Splat) []Result {
		g := guest{r: &runner{subject: Kernel{Tree: tree}}, tests: named("a"), console: cutConsole("vcpulab: start a\n"), results: []Result{result("a", Pass)}}
		g.attribute(splats)
		return g.results
	}
	warn := func(where, about string) vm.Splat {
		return vm.Splat{Kind: vm.KernelWarning, Title: "WARNING: " + where + " at f+0x1/0x2, CPU#0: a/1", Line: 1, Func: "f", Where: where, About: about}
	}
	first, second := warn("a.c:1", ""), warn("a.c:2", "")
	gaveUp := vm.Splat{Kind: vm.CheckerFailed, Title: "ODEBUG: Out of memory. ODEBUG disabled", Line: 1}
	for name, tc := range map[string]struct {
		base, patched []Result
		want          Change
	}{
		"the same condition":              {results("", warn("a.c:1", "x")), results("", warn("a.c:2", "x")), Same},
		"another condition":               {results("", warn("a.c:1", "x")), results("", warn("a.c:1", "y")), Regressed},
		"the same in the sources":         {results(source("WARN_ON(x);"), first), results(source("", "\tWARN_ON(x);"), second), Same},
		"another in the sources":          {results(source("WARN_ON(x);"), first), results(source("", "\tWARN_ON(y);"), second), Regressed},
		"sources without the line":        {results(source("WARN_ON(x);"), first), results(source(), second), Same},
		"no sources":                      {results("", first), results("", second), Same},
		"a checker gave up, on both":      {results("", gaveUp), results("", gaveUp), Regressed},
		"a checker gave up, on base only": {results("", gaveUp), results(""), Same},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Compare(tc.base, tc.patched, Expectations{}).Tests[0]; got.Change != tc.want {
				t.Errorf("expected %s, found %s: %q", tc.want, got.Change, got.Why)
			}
		})
	}
	if got := sourceLine(source("x"), "../a.c:1"); got != "" {
		t.Errorf("read a file outside the sources: %q", got)
	}
}
