// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/bench"
	"vcpulab/tools/results"
)

// TestWriteFunctions: kernels side by side, and why one has no result.
func TestWriteFunctions(t *testing.T) {
	base := bench.Function{Kernel: "base", Calls: 1024, Least: 69, Median: 119, P99: 130, Most: 9000, Sum: 131072}
	patched := bench.Function{Kernel: "patched", Refused: "f is no function of this kernel"}
	for unit, method := range map[string]results.Method{"instructions": results.ICount, "nanoseconds": results.KVM} {
		var b strings.Builder
		if err := writeFunctions(&b, "f", method, []bench.Function{base, patched}); err != nil {
			t.Fatal(err)
		}
		want := "f: " + unit + ` a call, from entry to return
  kernel  calls  least  median  99 %  most  all calls
    base   1024     69     119   130  9000     131072
patched: no result: f is no function of this kernel
`
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
