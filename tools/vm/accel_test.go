// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"strings"
	"testing"

	"vcpulab/tools/exit"
)

func TestChooseAccelAsked(t *testing.T) {
	c := testCache(t)
	if v, err := ChooseAccel(t.Context(), c, Probe{Arch: X86_64(), Want: "tcg"}); err != nil || v.Accel != TCG {
		t.Errorf("expected tcg, found %+v and %v", v, err)
	}
	if _, err := ChooseAccel(t.Context(), c, Probe{Arch: X86_64(), Want: "xen"}); exit.Code(err) != exit.Usage {
		t.Errorf("expected wrong use, found %v", err)
	}
	foreign := X86_64()
	foreign.GOARCH = "m68k"
	if _, err := ChooseAccel(t.Context(), c, Probe{Arch: foreign, Want: "kvm"}); exit.Code(err) != exit.MachineLacks {
		t.Errorf("expected an error for a processor that is not ours, found %v", err)
	}
	v, err := ChooseAccel(t.Context(), c, Probe{Arch: foreign})
	if err != nil || v.Accel != TCG || !strings.Contains(v.Reason, "KVM runs no x86_64 guests on") {
		t.Errorf("expected tcg with a reason, found %+v and %v", v, err)
	}
	v, err = ChooseAccel(t.Context(), c, Probe{Arch: X86_64()})
	if err != nil || v.Accel != TCG || v.Reason == "" {
		t.Errorf("without a kernel: expected tcg with a reason, found %+v and %v", v, err)
	}
}

// TestProgramCounters reads what QEMU's monitor prints.
func TestProgramCounters(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"x86_64": {"RAX=0000000000000000 RBX=ffffffff82a10980\r\nRIP=ffffffff81437413 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n", "0xffffffff81437413"},
		"i386":   {"EAX=00000000 EIP=0010005c EFL=00000046", "0x0010005c"},
		"arm64":  {" PC=ffff800080a1b2c4 X00=0000000000000000", "0xffff800080a1b2c4"},
		"riscv":  {" V      =   0\r\n pc       ffffffff80a1b2c4\r\n mhartid  0000000000000000", "0xffffffff80a1b2c4"},
		"two":    {"CPU#0\nRIP=01\nCPU#1\nRIP=02", "0x01 0x02"},
		"none":   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(programCounters(tt.in), " "); got != tt.want {
				t.Errorf("expected %q, found %q", tt.want, got)
			}
		})
	}
}
