// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"slices"
	"testing"

	"vcpulab/tools/bench"
)

// TestSlowTick: what --full measures on kernels with a slow tick is who waits, of the
// kernels without and with the patches, beside the other results.
func TestSlowTick(t *testing.T) {
	c := benchRunCmd{Full: true, Native: true, Max: true, Variant: []string{"list"}, Rounds: 2}.slowTick()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	axes := c.axes()
	if !slices.Equal(axes.Sizes, []int{1}) || len(axes.Paths) > 0 || axes.Growth != bench.DefaultAxes.Growth || axes.Growth == 0 {
		t.Errorf("expected VMs that grow and those of one vCPU alone, found %+v", axes)
	}
	if config := c.kernelFlags().Config; config != configHZ100 {
		t.Errorf("expected kernels with a slow tick, found configuration %s", config)
	}
	if c.Full || c.Native || c.Max || len(c.Variant) > 0 || c.Rounds != 2 || c.Out != "out/hz100" {
		t.Errorf("expected two kernels in guests alone, as often as was asked for, into out/hz100, found %+v", c)
	}
}
