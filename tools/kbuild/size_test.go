// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestSize asks size(1) of binutils of this test's own program.
func TestSize(t *testing.T) {
	if _, err := exec.LookPath("size"); err != nil {
		t.Skip("SKIPPED FOR LACK OF size, of binutils")
	}
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("size", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	var want [3]int64
	for i := range want {
		if want[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	got, err := sizeOf(file)
	if err != nil || got != (Size{want[0], want[1], want[2]}) {
		t.Errorf("expected text, data and bss %v, found %+v and %v", want, got, err)
	}
}
