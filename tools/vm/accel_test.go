// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/vm/bareguest"
)

func TestChooseAccelAsked(t *testing.T) {
	c := testCache(t)
	if v, err := ChooseAccel(t.Context(), c, Probe{Arch: arch.X86_64(), Want: "tcg"}); err != nil || v.Accel != TCG {
		t.Errorf("expected tcg, found %+v and %v", v, err)
	}
	if _, err := ChooseAccel(t.Context(), c, Probe{Arch: arch.X86_64(), Want: "xen"}); exit.Code(err) != exit.Usage {
		t.Errorf("expected wrong use, found %v", err)
	}
	foreign := arch.X86_64()
	foreign.GoArch = "m68k"
	if _, err := ChooseAccel(t.Context(), c, Probe{Arch: foreign, Want: "kvm"}); exit.Code(err) != exit.MachineLacks {
		t.Errorf("expected an error for a processor that is not ours, found %v", err)
	}
	v, err := ChooseAccel(t.Context(), c, Probe{Arch: foreign})
	if err != nil || v.Accel != TCG || !strings.Contains(v.Reason, "KVM runs no x86_64 guests on") {
		t.Errorf("expected tcg with a reason, found %+v and %v", v, err)
	}
	v, err = ChooseAccel(t.Context(), c, Probe{Arch: arch.X86_64()})
	if err != nil || v.Accel != TCG || v.Reason == "" {
		t.Errorf("without a kernel: expected tcg with a reason, found %+v and %v", v, err)
	}
}

// TestProgramCounters reads what QEMU's monitor prints.
func TestProgramCounters(t *testing.T) {
	for name, tt := range map[string]struct{ arch, in, want string }{
		"x86_64": {"x86_64", "RAX=0000000000000000 RBX=ffffffff82a10980\r\nRIP=ffffffff81437413 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n", "0xffffffff81437413"},
		"i386":   {"x86_64", "EAX=00000000 EIP=0010005c EFL=00000046", "0x0010005c"},
		"arm64":  {"arm64", " PC=ffff800080a1b2c4 X00=0000000000000000", "0xffff800080a1b2c4"},
		"riscv":  {"riscv64", " V      =   0\r\n pc       ffffffff80a1b2c4\r\n mhartid  0000000000000000", "0xffffffff80a1b2c4"},
		"ppc":    {"ppc64le", "NIP c0000000000e7b34   LR c0000000000e7b30 CTR c0000000001060a0 XER 0000000020040000 CPU#0\r\nMSR 8000000000009033\r\n", "0xc0000000000e7b34"},
		"two":    {"x86_64", "CPU#0\nRIP=01\nCPU#1\nRIP=02", "0x01 0x02"},
		"none":   {"x86_64", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(programCounters(testArch(tt.arch), tt.in), " "); got != tt.want {
				t.Errorf("expected %q, found %q", tt.want, got)
			}
		})
	}
}

// TestProbeWithoutKernel runs the guest for real, emulated; and ones that are broken.
func TestProbeWithoutKernel(t *testing.T) {
	needQEMU(t, arch.X86_64())
	for name, tt := range map[string]struct {
		say     func(string) bareguest.Code
		silence time.Duration // a guest that hangs does so however short it is
		says    string
	}{
		"it runs":  {bareguest.Record, probeSilence, ""},
		"it hangs": {func(string) bareguest.Code { return bareguest.Spin }, time.Second, "a guest of a few instructions does not run: hang"},
		"it stops": {func(s string) bareguest.Code { return bareguest.Record(s[:len(s)/2]) }, probeSilence, "does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			why, err := probeWithoutKernel(t.Context(), TCG, tt.say, tt.silence)
			if err != nil || (why == "") != (tt.says == "") || !strings.Contains(why, tt.says) {
				t.Errorf("expected %q, found %q, %v", tt.says, why, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ProbeWithoutKernel(ctx, TCG); !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
}
