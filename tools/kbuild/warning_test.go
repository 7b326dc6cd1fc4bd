// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
)

func TestParseWarning(t *testing.T) {
	const dir = "/c/kbuild-objects/s390x/src"
	for name, c := range map[string]struct {
		line string
		want Warning
	}{
		"gcc": {"../virt/kvm/kvm_main.c:487:23: warning: unused variable 'i' [-Wunused-variable]",
			Warning{"virt/kvm/kvm_main.c", "warning: unused variable 'i' [-Wunused-variable]"}},
		"by way of the architecture": {"../arch/s390/kvm/s390/../../../../virt/kvm/kvm_main.c:74:1: error: bad constant expression",
			Warning{"virt/kvm/kvm_main.c", "error: bad constant expression"}},
		"absolute": {dir + "/arch/s390/kvm/s390/s390.c:211:1: error: bad constant expression",
			Warning{"arch/s390/kvm/s390/s390.c", "error: bad constant expression"}},
		"sparse": {"../virt/kvm/kvm_main.c:1:2: warning: incorrect type in argument 1 (different address spaces)",
			Warning{"virt/kvm/kvm_main.c", "warning: incorrect type in argument 1 (different address spaces)"}},
		"a place in the text": {"../virt/kvm/a.c:1:2: warning: redefinition, see a.h:12:3 and line 14",
			Warning{"virt/kvm/a.c", "warning: redefinition, see a.h and line N"}},
		"objtool": {"arch/x86/kvm/vmx/vmx.o: warning: objtool: vmx_vcpu_enter_exit+0x1f2: call to f() leaves .noinstr.text section",
			Warning{"arch/x86/kvm/vmx/vmx.o", "warning: objtool: vmx_vcpu_enter_exit: call to f() leaves .noinstr.text section"}},
		"assembler": {"../arch/powerpc/kvm/book3s_hv_rmhandlers.S:77: Warning: missing operand",
			Warning{"arch/powerpc/kvm/book3s_hv_rmhandlers.S", "Warning: missing operand"}},
		"linker": {"s390x-linux-gnu-ld: warning: orphan section",
			Warning{"s390x-linux-gnu-ld", "warning: orphan section"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseWarning(c.line, dir)
			if diff := cmp.Diff(c.want, got); !ok || diff != "" {
				t.Errorf("%v: %s", ok, diff)
			}
		})
	}
	for name, line := range map[string]string{
		"note":     "../virt/kvm/a.c:1:2: note: declared here",
		"context":  "../virt/kvm/a.c: In function 'f':",
		"included": "In file included from ../virt/kvm/a.c:3:",
		"expected": "../virt/kvm/a.c:1:2:    expected struct kvm *",
		"source":   "   12 |         warning: not one",
		"step":     "  CC [M]  virt/kvm/a.o",
		"make":     "make[2]: warning:  Clock skew detected.  Your build may be incomplete.",
		"empty":    "",
	} {
		t.Run(name, func(t *testing.T) {
			if w, ok := parseWarning(line, dir); ok {
				t.Errorf("expected no warning, found %v", w)
			}
		})
	}
}

func readWarnings(log string) (map[string][]Warning, error) {
	w := targetWarnings{dir: "/c/src", made: make(map[string][]Warning)}
	for line := range strings.Lines(log) {
		w.add(strings.TrimSuffix(line, "\n"))
	}
	return w.made, w.err
}

func TestTargetWarnings(t *testing.T) {
	log, err := os.ReadFile("testdata/objects.log")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readWarnings(string(log))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]Warning{
		"include/config/auto.conf.cmd": nil,
		"virt/kvm/eventfd.o":           nil,
		"virt/kvm/kvm_main.o": {
			{"virt/kvm/kvm_main.c", "error: bad constant expression"},
			{"virt/kvm/kvm_main.c", "warning: unused variable 'j' [-Wunused-variable]"},
		},
		"arch/s390/kvm/gmap/dat.o":  nil,
		"arch/s390/kvm/s390/s390.o": {{"arch/s390/kvm/s390/s390.c", "error: bad constant expression"}},
		"arch/s390/kvm/s390/pci.o":  {{"include/linux/kvm_host.h", "warning: incorrect type in assignment (different address spaces)"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSparseLeftOut reads what the kernel's Makefile prints when it goes on without
// a sparse that it considers too old.
func TestSparseLeftOut(t *testing.T) {
	log := "/c/src/Makefile:1311: C=1 specified, but sparse is not available or not up to date\n  CC      virt/kvm/a.o\n"
	if _, err := readWarnings(log); exit.Code(err) != exit.MachineLacks {
		t.Errorf("expected exit code %d, found %v", exit.MachineLacks, err)
	}
}

func FuzzTargetWarnings(f *testing.F) {
	if data, err := os.ReadFile("testdata/objects.log"); err == nil {
		f.Add(string(data))
	}
	f.Add("  CC a.o\na.c:1:1: warning: x\n  CHECK b.c\n")
	f.Fuzz(func(t *testing.T, log string) {
		made, err := readWarnings(log)
		if err != nil {
			return
		}
		for target, list := range made {
			for _, w := range list {
				if strings.ContainsAny(w.File+w.Message, "\n") {
					t.Errorf("%s: a warning of several lines: %q", target, w)
				}
			}
		}
	})
}
