// SPDX-License-Identifier: GPL-2.0-only

package measure

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/probe"
)

func TestVMString(t *testing.T) {
	if got := (VM{65, Sparse}).String(); got != "vcpus=65/ids=sparse" {
		t.Errorf("expected vcpus=65/ids=sparse, found %s", got)
	}
}

// TestCreate adds what a probe saw, and sends it as a guest does.
func TestCreate(t *testing.T) {
	first := probe.Creation{Time: 40 * time.Microsecond, ArchTime: 20 * time.Microsecond}
	second := probe.Creation{Time: time.Millisecond, ArchTime: 21 * time.Microsecond}
	second.Waits[probe.WaitSRCU], second.WaitTime[probe.WaitSRCU] = 2, 900*time.Microsecond
	third := second
	third.Waits[probe.WaitRCUExpedited], third.WaitTime[probe.WaitRCUExpedited] = 1, time.Microsecond

	c := Create{VM: VM{3, Dense}}
	c.Add(first)
	if c.Waits != nil || c.WaitNanos != nil {
		t.Errorf("expected no waits where nothing was waited for, found %v", c.Waits)
	}
	c.Add(second)
	c.Add(third)
	want := Create{
		VM:        VM{3, Dense},
		Nanos:     []int64{40_000, 1_000_000, 1_000_000},
		ArchNanos: []int64{20_000, 21_000, 21_000},
		Waits:     map[string]uint64{"synchronize_srcu": 4, "synchronize_rcu_expedited": 1},
		WaitNanos: map[string]int64{"synchronize_srcu": 1_800_000, "synchronize_rcu_expedited": 1_000},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("creations (-expected +found):\n%s", diff)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Create
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Errorf("after JSON (-expected +found):\n%s", diff)
	}
}
