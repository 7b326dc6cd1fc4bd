// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/arch"
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

func TestFindSelftests(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"steal_time", "x86_64/smm_test", "x86/xapic_ipi_test", "x86_64/xapic_ipi_test"} {
		full := filepath.Join(dir, selftestsDir, name+".c")
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := FindSelftests(tree.Tree{Dir: dir}, arch.X86_64(), []string{"x86/xapic_ipi_test", "x86/smm_test", "x86/steal_time", "x86/none", "steal_time"})
	if want := []string{"x86/xapic_ipi_test", "x86_64/smm_test", "steal_time"}; !slices.Equal(got, want) {
		t.Errorf("expected %v, found %v", want, got)
	}
}

func TestUnseen(t *testing.T) {
	for name, want := range map[string]bool{
		"virt/kvm/kvm_main.c": true, "virtual/x": false, "arch/x86/virt/x.c": false,
		"arch/x86/kvm/lapic.c": true, "arch/x86/kvm/vmx/vmx.c": true, "arch/x86/include/uapi/asm/kvm.h": false,
		"include/linux/kvm_host.h": true, "include/linux/bits.h": false, "include/uapi/linux/kvm.h": false,
		"arch/arm64/include/asm/kvm_host.h": true, "arch/arm64/include/uapi/asm/kvm_para.h": false,
		"tools/testing/selftests/kvm/lib/kvm_util.c": false, "tools/include/linux/kernel.h": false,
	} {
		if got := unseen.MatchString(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestCompileMost checks that a few tests that cannot be built are recorded by
// name and do not keep the others from being built, and that many fail the build.
func TestCompileMost(t *testing.T) {
	const makefile = "%/good1 %/good2 %/good3: ; touch $@\n%/bad%: ; @echo 'bad.c:1:2: error: no such thing' >&2; false\n"
	for name, tt := range map[string]struct {
		names, built, unbuilt []string // sorted
		fails                 bool
	}{
		"all":       {names: []string{"good1", "good2"}, built: []string{"good1", "good2"}},
		"but one":   {names: []string{"bad1", "good1", "good2"}, built: []string{"good1", "good2"}, unbuilt: []string{"bad1"}},
		"but three": {names: []string{"bad1", "bad2", "bad3", "good1"}, built: []string{"good1"}, unbuilt: []string{"bad1", "bad2", "bad3"}},
		"but many":  {names: []string{"bad1", "bad2", "bad3", "bad4", "good1"}, fails: true},
		"none":      {names: []string{"bad1"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			work, dir := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(work, "Makefile"), []byte(strings.ReplaceAll(makefile, "%/", work+"/")), 0o644); err != nil {
				t.Fatal(err)
			}
			m := &makeRun{doing: "build tests", dir: work, jobs: 2, log: filepath.Join(work, "log")}
			for _, n := range tt.names {
				m.targets = append(m.targets, filepath.Join(work, n))
			}
			built, err := (&selftestBuild{}).compileMost(t.Context(), m, tt.names, dir)
			if (err != nil) != tt.fails || !slices.Equal(built, tt.built) {
				t.Errorf("expected %q, found %q and %v", tt.built, built, err)
			}
			loaded, err := loadSelftests(dir)
			if err != nil || len(loaded.Unbuilt) != len(tt.unbuilt) {
				t.Fatalf("expected %q to be recorded, found %v, error %v", tt.unbuilt, loaded, err)
			}
			for _, n := range tt.unbuilt {
				if want := "bad.c:1:2: no such thing"; loaded.Unbuilt[n] != want {
					t.Errorf("%s: expected %q, found %q", n, want, loaded.Unbuilt[n])
				}
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileUnbuilt), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := loadSelftests(dir); err == nil {
		t.Errorf("expected an error, found %v", s)
	}
}

// TestSeenByTests says which changes of a tree change its selftests.
func TestSeenByTests(t *testing.T) {
	dir := t.TempDir()
	base := files{"virt/kvm/kvm_main.c": "a", "include/uapi/linux/kvm.h": "a", "arch/x86/kvm/x86.c": "a"}
	b := writeTree(t, filepath.Join(dir, "base"), "id", nil, nil, base)
	tests := map[string]struct {
		change files
		same   bool
	}{
		"the kernel's side": {files{"virt/kvm/kvm_main.c": "b", "arch/x86/kvm/x86.c": "b"}, true},
		"user space's view": {files{"include/uapi/linux/kvm.h": "b"}, false},
		"a new test":        {files{"tools/testing/selftests/kvm/new.c": "b"}, false},
	}
	seen := func(tr tree.Tree) []string {
		t.Helper()
		base, changed, err := tr.Root()
		if err != nil {
			t.Fatal(err)
		}
		list, err := identify(base, tr, changed, seenByTests)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	want := seen(b)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := maps.Clone(base)
			maps.Copy(content, tc.change)
			changed := writeTree(t, filepath.Join(dir, name), "id-"+name, &b, base, content)
			got := seen(changed)
			if same := slices.Equal(want, got); same != tc.same {
				t.Errorf("same %v: %q, %q", same, want, got)
			}
		})
	}
}
