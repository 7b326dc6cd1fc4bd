// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"testing"

	"vcpulab/tools/bench"
)

// TestSlowTick: what --full measures on kernels with a slow tick is who waits, with each
// design, beside the other results.
func TestSlowTick(t *testing.T) {
	c := benchRunCmd{Full: true, Native: true, Max: true, Rounds: 2}.slowTick()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	axes := c.axes()
	if len(axes.VMs()) != 1 || len(axes.Paths) > 0 || axes.Growth != bench.FullAxes.Growth || axes.Growth == 0 {
		t.Errorf("expected VMs that grow and one of one vCPU, found %+v", axes)
	}
	if config := c.kernelFlags().Config; config != configHZ100 {
		t.Errorf("expected kernels with a slow tick, found configuration %s", config)
	}
	if !c.Full || c.Native || c.Max || c.Rounds != 2 || c.Out != "out/hz100" {
		t.Errorf("expected all kernels in guests alone, as often as was asked for, into out/hz100, found %+v", c)
	}
}
