// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"vcpulab/tools/vm"
)

// TestDecode: what the kernel complained of gets its source lines, or the
// reason why not, and both stand in the test's log.
func TestDecode(t *testing.T) {
	splat := vm.Splat{Kind: vm.KernelOops, Title: "BUG: bad in f", Line: 2}
	fresh := func() []Result {
		return []Result{
			{Name: "good", Outcome: Pass},
			{Name: "bad", Outcome: Crash, Console: "before\nBUG: bad\nRIP: f+0x1/0x2\n", Splats: []vm.Splat{splat}},
			{Name: "elsewhere", Outcome: Fail, Console: "nothing\n", Splats: []vm.Splat{splat}},
		}
	}
	for name, tt := range map[string]struct {
		decode  func(context.Context, string) (string, error)
		decoded string
		log     string
	}{
		"lines": {func(_ context.Context, s string) (string, error) { return s + "a.c:12\n", nil }, "BUG: bad\nRIP: f+0x1/0x2\na.c:12\n",
			"--- console, from the first splat on, with source lines ---\nBUG: bad\nRIP: f+0x1/0x2\na.c:12\n\n--- console ---\nbefore\n"},
		"no lines": {func(context.Context, string) (string, error) { return "", errors.New("no debug information") },
			"no source lines: no debug information\nBUG: bad\nRIP: f+0x1/0x2\n",
			"with source lines ---\nno source lines: no debug information\nBUG: bad\nRIP: f+0x1/0x2\n\n--- console ---\nbefore\n"},
		"no blame": {nil, "", "\n--- console ---\nbefore\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := guest{r: &runner{subject: Kernel{Decode: tt.decode}}, results: fresh()}
			g.decode(t.Context())
			for _, r := range g.results {
				if r.Name != "bad" && r.Decoded != "" {
					t.Errorf("%s: found %q", r.Name, r.Decoded)
				}
			}
			bad := g.results[1]
			if bad.Decoded != tt.decoded || !strings.Contains(bad.logText(), tt.log) {
				t.Errorf("expected %q, found %q and the log\n%s", tt.decoded, bad.Decoded, bad.logText())
			}
		})
	}
	many := guest{r: &runner{subject: Kernel{Decode: func(context.Context, string) (string, error) { return "x", nil }}}}
	for range maxDecoded + 2 {
		many.results = append(many.results, fresh()[1])
	}
	many.decode(t.Context())
	n := 0
	for _, r := range many.results {
		if r.Decoded != "" {
			n++
		}
	}
	if n != maxDecoded {
		t.Errorf("expected %d results decoded, found %d", maxDecoded, n)
	}
}
