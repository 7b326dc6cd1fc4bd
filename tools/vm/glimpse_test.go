// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"strings"
	"testing"

	guest "vcpulab/tools/vm/tiny"
)

// TestGlimpse runs the guest for real, emulated; and ones that are broken.
func TestGlimpse(t *testing.T) {
	needQEMU(t, X86_64())
	for name, tt := range map[string]struct {
		say  func(string) guest.Code
		says string
	}{
		"it runs":  {guest.Record, ""},
		"it hangs": {func(string) guest.Code { return guest.Spin }, "a guest of a few instructions does not run: hang"},
		"it stops": {func(s string) guest.Code { return guest.Record(s[:len(s)/2]) }, "does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			why, err := glimpse(t.Context(), TCG, tt.say)
			if err != nil || (why == "") != (tt.says == "") || !strings.Contains(why, tt.says) {
				t.Errorf("expected %q, found %q, %v", tt.says, why, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Glimpse(ctx, TCG); !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
}
