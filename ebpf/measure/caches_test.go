// SPDX-License-Identifier: GPL-2.0-only

package measure

import "testing"

// TestVisits measures each walk and each lookup in each state once, and those that do
// not depend on the IDs only where these are dense.
func TestVisits(t *testing.T) {
	c := Caches{States: States, Blocks: 3}
	for _, tt := range []struct {
		vm             VM
		visits, blocks int
	}{
		{VM{1, Dense}, 18, 9},
		{VM{8, Dense}, 18, 9},
		{VM{64, Dense}, 18, 3},
		{VM{1024, Sparse}, 3, 3},
	} {
		seen := make(map[Visit]bool)
		for _, v := range c.VisitsOf(tt.vm) {
			if seen[v] || (v.Body == "") != (v.Op != Walk) || v.Op == Nop {
				t.Errorf("%v: expected a walk with a body or a lookup without, once, found %+v", tt.vm, v)
			}
			seen[v] = true
		}
		if len(seen) != tt.visits || c.BlocksOf(tt.vm) != tt.blocks {
			t.Errorf("%v: expected %d in %d blocks, found %d in %d", tt.vm, tt.visits, tt.blocks, len(seen), c.BlocksOf(tt.vm))
		}
	}
	c.States = []State{Hot}
	if got := len(c.VisitsOf(VM{8, Dense})); got != 6 {
		t.Errorf("in one state: expected 6, found %d", got)
	}
}
