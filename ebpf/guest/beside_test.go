// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSleepsInRun: a thread whose vCPU runs or has come back is not taken for one that waits.
func TestSleepsInRun(t *testing.T) {
	for name, tt := range map[string]struct {
		syscall string
		want    bool
	}{
		"waits":           {fmt.Sprintf("%d 0x7 0xae80 0x0 0x0 0x0 0x0 0x7f2d14e8 0x4066cb\n", unix.SYS_IOCTL), true},
		"runs":            {"running\n", false},
		"another ioctl":   {fmt.Sprintf("%d 0x7 0xae41 0xae80 0x0 0x0 0x0 0x7f2d14e8 0x4066cb\n", unix.SYS_IOCTL), false},
		"futex":           {fmt.Sprintf("%d 0x7 0xae80 0x0 0x0 0x0 0x0 0x7f2d14e8 0x4066cb\n", unix.SYS_FUTEX), false},
		"in no call":      {"-1 0x7f2d14e8 0x4066cb\n", false},
		"thread has gone": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sleepsInRun(tt.syscall); got != tt.want {
				t.Errorf("%q: expected %v, found %v", tt.syscall, tt.want, got)
			}
		})
	}
}
