// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tinyRISCV64 is a guest for RISCV64's machine: it writes text to the serial
// port and resets, or hangs if stick is true.
func tinyRISCV64(t *testing.T, text string, stick bool) Machine {
	t.Helper()
	needQEMU(t, testArch("riscv64"))
	var code []byte
	put := func(instructions ...uint32) {
		for _, i := range instructions {
			code = binary.LittleEndian.AppendUint32(code, i)
		}
	}
	put(0x100007b7) // lui a5, 0x10000
	for _, b := range []byte(text) {
		put(0x00000513|uint32(b)<<20, 0x00a78023) // li a0, b; sb a0, (a5)
	}
	if !stick {
		// The SBI's system reset: a cold reboot without a reason.
		put(0x535258b7, 0x35488893, 0x00000813, 0x00100513, 0x00000593, 0x00000073)
	}
	put(0x0000006f) // j .
	file := filepath.Join(t.TempDir(), "Image")
	if err := os.WriteFile(file, code, 0o644); err != nil {
		t.Fatal(err)
	}
	return Machine{Arch: testArch("riscv64"), Kernel: file, MemMiB: 128}
}

func TestRISCV64(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		stick bool
		kind  FaultKind
		title string
	}{
		"reset": {"Booting Linux\r\n", false, SilentReset, "guest-reset"},
		"oops": {"[    0.1] Oops [#1]\r\n[    0.1] epc : kvm_get_vcpu+0x10/0x20\r\n", false,
			KernelOops, "Oops [#1] in kvm_get_vcpu"},
		"hang": {"Booting Linux\r\n", true, Hang, "its processors are at 0x00000000802000"},
	} {
		t.Run(name, func(t *testing.T) {
			o := patient()
			if tt.stick {
				o.Silence = 5 * time.Second
			}
			_, err := Run(t.Context(), tinyRISCV64(t, tt.text, tt.stick), o)
			fault, ok := errors.AsType[*Fault](err)
			if !ok || fault.Kind != tt.kind || fault.Arch != "riscv64" || !strings.Contains(fault.Title, tt.title) {
				t.Errorf("expected %s with %q, found %v", tt.kind, tt.title, err)
			}
		})
	}
}
