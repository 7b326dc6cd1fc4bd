// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"os"
	"slices"
	"testing"
)

// TestTSCArgs: only kernels under KVM are told what KVM knows.
func TestTSCArgs(t *testing.T) {
	if args := tscArgs(TCG); args != nil {
		t.Errorf("TCG: expected nothing, found %q", args)
	}
	for _, device := range []string{"/nope", os.DevNull} {
		if khz := readTSC(device); khz != 0 {
			t.Errorf("%s, which is no KVM: expected 0, found %d", device, khz)
		}
	}
	if khz := readTSC(kvmDevice); khz > 0 && !slices.Contains(tscArgs(KVM), "hpet=disable") {
		t.Errorf("expected a kernel to be told %d kHz, found %q", khz, tscArgs(KVM))
	}
}
