// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"path/filepath"
	"testing"

	"vcpulab/tools/tree"
)

func TestSelftestName(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]string{
		selftestsDir + "/steal_time.c":            "steal_time",
		selftestsDir + "/x86/xapic_ipi_test.c":    "x86/xapic_ipi_test",
		selftestsDir + "/lib/kvm_util.c":          "",
		selftestsDir + "/include/kvm_util.h":      "",
		selftestsDir + "/Makefile.kvm":            "",
		selftestsDir + "/x86/nx_huge_pages.sh":    "",
		"tools/testing/selftests/vfio/vfio_dma.c": "",
		"virt/kvm/kvm_main.c":                     "",
	}
	for file, want := range tests {
		if name, ok := SelftestName(file); name != want || ok != (want != "") {
			t.Errorf("%s: expected %q, found %q, %v", file, want, name, ok)
		}
		full := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if want != "" && !HasSelftest(tree.Tree{Dir: dir}, want) {
			t.Errorf("%s is not found in its tree", want)
		}
	}
	for _, name := range []string{"none", "x86", "x86/none"} {
		if HasSelftest(tree.Tree{Dir: dir}, name) {
			t.Errorf("%s is found in a tree without it", name)
		}
	}
}
