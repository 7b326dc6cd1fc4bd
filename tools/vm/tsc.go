// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Requests of KVM, from linux/kvm.h.
const (
	kvmCreateVM   = 0xae01
	kvmCreateVCPU = 0xae41
	kvmGetTSCkHz  = 0xaea3
)

// tscArgs tells a kernel under KVM how fast its time stamp counter is, and keeps it
// from measuring that against emulated timers: on a busy host it would not believe
// the result, and go by the HPET ever after, each look at which takes QEMU. A guest
// that ticks a thousand times a second then gets nothing else done where its host is
// slow.
func tscArgs(accel Accel) []string {
	if accel != KVM {
		return nil
	}
	// Other architectures than x86 have no such request.
	if khz := readTSC(kvmDevice); khz > 0 {
		return []string{fmt.Sprintf("tsc_early_khz=%d", khz), "hpet=disable", "pmtmr=0"}
	}
	return nil
}

// readTSC returns the frequency of a vCPU's time stamp counter, 0 if it is not known.
func readTSC(device string) (khz int) {
	got, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	for _, request := range []uint{kvmCreateVM, kvmCreateVCPU, kvmGetTSCkHz} {
		if err != nil {
			return 0
		}
		defer unix.Close(got)
		got, err = unix.IoctlRetInt(got, request)
	}
	return got // 0 with an error
}
