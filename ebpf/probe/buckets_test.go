// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
)

// TestBucketsInC compiles the header of the kernel's side and compares it with
// Go at every seam. What a kernel makes of it is compared in TestNestedWait.
func TestBucketsInC(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("NOT RUN: no gcc to compile buckets.h")
	}
	dir := t.TempDir()
	source := `#include <stdio.h>
#include "buckets.h"
int main(void)
{
	unsigned long long v;

	if (printf("%d\n", NR_BUCKETS) < 0)
		return 1;
	while (scanf("%llu", &v) == 1)
		printf("%u\n", bucket_of(v));
	return 0;
}
`
	if err := os.WriteFile(filepath.Join(dir, "seams.c"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "seams")
	if out, err := exec.Command("gcc", "-Wall", "-Werror", "-I.", "-o", program, filepath.Join(dir, "seams.c")).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	var in, want strings.Builder
	fmt.Fprintln(&want, measure.NumBuckets)
	for b := range measure.NumBuckets {
		low, high := measure.Bounds(b)
		fmt.Fprintln(&in, low, high)
		fmt.Fprintf(&want, "%d\n%d\n", b, b)
	}
	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader(in.String())
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, []byte(want.String())) {
		return
	}
	for i, line := range strings.Split(want.String(), "\n") {
		if g := strings.Split(string(got), "\n"); i >= len(g) || g[i] != line {
			t.Fatalf("line %d: expected %s as in Go, found %s", i, line, g[min(i, len(g)-1)])
		}
	}
}
