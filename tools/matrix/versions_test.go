// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/kbuild"
)

// TestVersions: what a later patch takes away again is no warning of its version.
func TestVersions(t *testing.T) {
	w := func(message string) kbuild.Warning {
		return kbuild.Warning{File: "virt/kvm/kvm_main.c", Message: message}
	}
	one := func(column string, state State, new, gone []kbuild.Warning) Cell {
		return Cell{Column: column, State: state, New: new, Gone: gone}
	}
	old := &Report{Columns: []string{"x86_64", "arm64", "s390x"}, Cells: []Cell{
		one("x86_64", baseline, nil, nil),
		one("x86_64", Warned, []kbuild.Warning{w("kept"), w("mended"), w("fixed")}, nil),
		one("x86_64", Good, nil, []kbuild.Warning{w("mended"), w("of the base")}),
		one("arm64", Good, nil, nil),
		one("s390x", Good, nil, nil),
	}}
	new := &Report{Columns: []string{"x86_64", "arm64", "riscv64"}, Cells: []Cell{
		one("x86_64", Warned, []kbuild.Warning{w("kept"), w("brought")}, nil),
		one("arm64", Good, nil, nil),
		one("riscv64", Failed, nil, nil),
	}}
	want := []Difference{
		{Column: "x86_64", Old: Good, New: Warned, Added: []kbuild.Warning{w("brought")}, Removed: []kbuild.Warning{w("fixed")}},
		{Column: "riscv64", New: Failed},
		{Column: "s390x", Old: Good},
	}
	if diff := cmp.Diff(want, Versions(old, new)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
