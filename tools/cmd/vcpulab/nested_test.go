// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"testing"

	"vcpulab/tools/vm"
)

// TestHung: a guest with KVM is started once more if it went silent, and for no other fault.
func TestHung(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"good":      {nil, false},
		"hang":      {fmt.Errorf("boot: %w", &vm.Fault{Kind: vm.Hang}), true},
		"panic":     {&vm.Fault{Kind: vm.KernelPanic}, false},
		"oops":      {&vm.Fault{Kind: vm.KernelOops}, false},
		"no end":    {&vm.Fault{Kind: vm.SilentReset}, false},
		"otherwise": {errors.New("hang"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := hung(tt.err); got != tt.want {
				t.Errorf("%v: expected %v, found %v", tt.err, tt.want, got)
			}
		})
	}
}
