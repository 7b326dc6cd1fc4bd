// SPDX-License-Identifier: GPL-2.0-only

package loops

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

// header is a C program that prints what vcpuloops.h comes to.
const header = `#include <stddef.h>
#include <stdio.h>
#include "vcpuloops.h"

#define SHOW(x) printf("%s %#llx\n", #x, (unsigned long long)(x))

int main(void)
{
	SHOW(VCPULOOPS_BIND);
	SHOW(VCPULOOPS_RUN);
	SHOW(VCPULOOPS_SIZES);
	SHOW(VCPULOOPS_MEMORY);
	SHOW(VCPULOOPS_MAX_NUMBERS);
	SHOW(sizeof(struct vcpuloops_run));
	SHOW(offsetof(struct vcpuloops_run, op));
	SHOW(offsetof(struct vcpuloops_run, nr));
	SHOW(offsetof(struct vcpuloops_run, passes));
	SHOW(offsetof(struct vcpuloops_run, expect_found));
	SHOW(offsetof(struct vcpuloops_run, numbers));
	SHOW(offsetof(struct vcpuloops_run, checksum));
	SHOW(offsetof(struct vcpuloops_run, expected));
	SHOW(sizeof(struct vcpuloops_sizes));
	SHOW(offsetof(struct vcpuloops_sizes, kvm));
	SHOW(offsetof(struct vcpuloops_sizes, kvm_vcpu));
	SHOW(sizeof(struct vcpuloops_memory));
	SHOW(offsetof(struct vcpuloops_memory, container));
	SHOW(offsetof(struct vcpuloops_memory, kvm));
	SHOW(offsetof(struct vcpuloops_memory, kvm_vcpu));
	SHOW(offsetof(struct vcpuloops_memory, objects));
	SHOW(offsetof(struct vcpuloops_memory, vcpus));
	SHOW(VCPULOOPS_NOP);
	SHOW(VCPULOOPS_GET);
	SHOW(VCPULOOPS_BY_ID);
	SHOW(VCPULOOPS_WALK);
	SHOW(VCPULOOPS_NR_OPS);
	return 0;
}
`

// TestHeader compares the Go side of the interface with the C side, as gcc
// sees it.
func TestHeader(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("NOT RUN: no gcc to ask for the numbers of the requests")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "header.c"), filepath.Join(dir, "header")
	if err := os.WriteFile(source, []byte(header), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-Wall", "-Werror", "-I.", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	want, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}

	var run ioctlRun
	var sizes ioctlSizes
	var memory ioctlMemory
	op := make(map[measure.Op]int)
	for i, o := range measure.Ops {
		op[o] = i
	}
	var got bytes.Buffer
	for _, v := range []struct {
		name  string
		value uint64
	}{
		{"VCPULOOPS_BIND", uint64(ioctlBind)},
		{"VCPULOOPS_RUN", uint64(ioctlRunNum)},
		{"VCPULOOPS_SIZES", uint64(ioctlSize)},
		{"VCPULOOPS_MEMORY", uint64(ioctlMem)},
		{"VCPULOOPS_MAX_NUMBERS", MaxNumbers},
		{"sizeof(struct vcpuloops_run)", uint64(unsafe.Sizeof(run))},
		{"offsetof(struct vcpuloops_run, op)", uint64(unsafe.Offsetof(run.op))},
		{"offsetof(struct vcpuloops_run, nr)", uint64(unsafe.Offsetof(run.nr))},
		{"offsetof(struct vcpuloops_run, passes)", uint64(unsafe.Offsetof(run.passes))},
		{"offsetof(struct vcpuloops_run, expect_found)", uint64(unsafe.Offsetof(run.found))},
		{"offsetof(struct vcpuloops_run, numbers)", uint64(unsafe.Offsetof(run.numbers))},
		{"offsetof(struct vcpuloops_run, checksum)", uint64(unsafe.Offsetof(run.checksum))},
		{"offsetof(struct vcpuloops_run, expected)", uint64(unsafe.Offsetof(run.expected))},
		{"sizeof(struct vcpuloops_sizes)", uint64(unsafe.Sizeof(sizes))},
		{"offsetof(struct vcpuloops_sizes, kvm)", uint64(unsafe.Offsetof(sizes.kvm))},
		{"offsetof(struct vcpuloops_sizes, kvm_vcpu)", uint64(unsafe.Offsetof(sizes.vcpu))},
		{"sizeof(struct vcpuloops_memory)", uint64(unsafe.Sizeof(memory))},
		{"offsetof(struct vcpuloops_memory, container)", uint64(unsafe.Offsetof(memory.container))},
		{"offsetof(struct vcpuloops_memory, kvm)", uint64(unsafe.Offsetof(memory.kvm))},
		{"offsetof(struct vcpuloops_memory, kvm_vcpu)", uint64(unsafe.Offsetof(memory.vcpu))},
		{"offsetof(struct vcpuloops_memory, objects)", uint64(unsafe.Offsetof(memory.objects))},
		{"offsetof(struct vcpuloops_memory, vcpus)", uint64(unsafe.Offsetof(memory.vcpus))},
		{"VCPULOOPS_NOP", uint64(op[measure.Nop])},
		{"VCPULOOPS_GET", uint64(op[measure.Get])},
		{"VCPULOOPS_BY_ID", uint64(op[measure.ByID])},
		{"VCPULOOPS_WALK", uint64(op[measure.Walk])},
		{"VCPULOOPS_NR_OPS", uint64(len(measure.Ops))},
	} {
		// C's printf writes no 0x before a zero.
		if v.value == 0 {
			fmt.Fprintf(&got, "%s 0\n", v.name)
			continue
		}
		fmt.Fprintf(&got, "%s %#x\n", v.name, v.value)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("interface (-C +Go):\n%s", diff)
	}
}

// TestSource looks whether all that kbuild needs is in the program.
func TestSource(t *testing.T) {
	for name, says := range map[string]string{
		"Kbuild":      "obj-m",
		"device.c":    `#include "vcpuloops.h"`,
		"memory.c":    "vcpuloops_count_memory",
		"vcpuloops.h": "VCPULOOPS_RUN",
	} {
		data, err := fs.ReadFile(Source, name)
		if err != nil || !strings.Contains(string(data), says) {
			t.Errorf("%s: expected %q in it, found %d bytes, %v", name, says, len(data), err)
		}
	}
	data, err := fs.ReadFile(Source, "Kbuild")
	if object := strings.TrimSuffix(Module, ".ko") + ".o"; err != nil || !strings.Contains(string(data), object) {
		t.Errorf("Kbuild: expected it to make %s, from %s", Module, object)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, numbers := range map[string][]int32{"none": nil, "too many": make([]int32, MaxNumbers+1)} {
		t.Run(name, func(t *testing.T) {
			// The device is not asked.
			_, err := new(Device).Run(measure.Run{Numbers: numbers}, 1)
			want := fmt.Sprintf("expected 1 to 16384 numbers, found %d", len(numbers))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("expected an error that says %q, found %v", want, err)
			}
		})
	}
}

// TestWithoutModule asks a device that is not the module's.
func TestWithoutModule(t *testing.T) {
	if _, err := os.Stat(Path); err == nil {
		t.Skipf("NOT RUN: %s exists", Path)
	}
	if _, err := Open(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), Path) {
		t.Errorf("expected an error about a missing %s, found %v", Path, err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{f}
	defer d.Close()
	if err := d.Bind(3); err == nil || !strings.Contains(err.Error(), "bind the loops to the VM") {
		t.Errorf("Bind: expected an error that says what was done, found %v", err)
	}
	if _, err := d.Run(measure.Run{Loop: measure.Loop{Shape: measure.Shape{Op: measure.ByID}}, Numbers: []int32{0}}, 1); err == nil || !strings.Contains(err.Error(), "run loop 2") {
		t.Errorf("Run: expected an error that says which loop, found %v", err)
	}
	if _, err := d.Sizes(); err == nil {
		t.Error("Sizes: expected an error, found none")
	}
	if _, err := d.Memory(measure.VM{VCPUs: 1}); err == nil || !strings.Contains(err.Error(), "count the VM's memory") {
		t.Errorf("Memory: expected an error that says what was done, found %v", err)
	}
}
