// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tinyARM64 is a guest for ARM64's machine: it writes text to the PL011 and
// resets through PSCI, as a kernel at EL2 does there.
func tinyARM64(t *testing.T, text string) Machine {
	t.Helper()
	needQEMU(t, testArch("arm64"))
	var code []byte
	put := func(instruction uint32) { code = binary.LittleEndian.AppendUint32(code, instruction) }
	put(0xd2a12001) // mov x1, 0x09000000
	for _, b := range []byte(text) {
		put(0x52800000 | uint32(b)<<5) // mov w0, b
		put(0x39000020)                // strb w0, [x1]
	}
	put(0x52800120) // mov w0, 9
	put(0x72b08000) // movk w0, 0x8400, lsl 16: SYSTEM_RESET
	put(0xd4000003) // smc 0
	put(0x14000000) // b .
	file := filepath.Join(t.TempDir(), "Image")
	if err := os.WriteFile(file, code, 0o644); err != nil {
		t.Fatal(err)
	}
	return Machine{Arch: testArch("arm64"), Kernel: file, MemMiB: 128}
}

func TestARM64(t *testing.T) {
	for text, want := range map[string]FaultKind{
		"Booting Linux\r\n": SilentReset,
		"[    0.1] Unable to handle kernel NULL pointer dereference at virtual address 0\r\npc : kvm_get_vcpu+0x10/0x20\r\n": KernelOops,
	} {
		_, err := Run(t.Context(), tinyARM64(t, text), patient())
		fault, ok := errors.AsType[*Fault](err)
		if !ok || fault.Kind != want || fault.Arch != "arm64" || len(fault.Lines) == 0 {
			t.Errorf("%q: expected %s, found %v", text, want, err)
			continue
		}
		if want == KernelOops && !strings.HasSuffix(fault.Title, " in kvm_get_vcpu") {
			t.Errorf("the title does not name the function: %s", fault.Title)
		}
	}
}
