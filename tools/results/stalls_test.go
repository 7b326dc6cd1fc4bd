// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"testing"

	"vcpulab/ebpf/measure"
)

// The buckets of values.
const (
	bucket4000  = 143
	bucket9000  = 161
	bucket20000 = 179
)

// addStalls gives a boot what a search for stalls with these parameters finds
// on a kernel without any.
func addStalls(b *Boot, p measure.Stalls) {
	vm := measure.VM{VCPUs: p.VCPUs, IDs: measure.Dense}
	slot := measure.Call{
		Nanos: 60000, Blocked: 1, BlockedNanos: 20000, LongestNanos: 20000, Stack: []string{"schedule"},
		Waits: map[string]uint64{"synchronize_srcu_expedited": 1}, WaitNanos: map[string]int64{"synchronize_srcu_expedited": 30000},
	}
	for _, phase := range measure.Growths {
		g := measure.Growth{VM: vm, Phase: phase}
		for n := phase.GrowsFrom(); n <= p.VCPUs; n++ {
			g.Create = append(g.Create, measure.Call{Nanos: 45000, ArchNanos: 30000})
			if measure.SlotsChange(n) && (phase == "" || phase == measure.Slots) {
				g.Slots = append(g.Slots, measure.SlotCalls{VCPU: n, After: slot, Control: slot})
			}
		}
		b.Growths = append(b.Growths, g)
	}
	if p.Devices > 0 {
		for _, devices := range []int{p.Devices, 0} {
			b.Setups = append(b.Setups, measure.Setup{Devices: devices, Slot: slot, VCPU: measure.Call{Nanos: 45000}})
		}
	}
	for _, phase := range measure.Phases {
		b.Gaps = append(b.Gaps, measure.Gaps{
			VM: vm, Phase: phase, Nanos: p.QuietNanos,
			Ran: []measure.BucketCount{
				{Bucket: bucket4000, Count: 990}, {Bucket: bucket9000, Count: 9}, {Bucket: bucket20000, Count: 1},
			},
			RanSum:    measure.GapSum{Count: 1000, Nanos: 4_100_000, Largest: 20000},
			Preempted: measure.GapSum{Count: 2, Nanos: 90000, Largest: 50000},
			Guest: measure.GuestGaps{KHz: 1_000_000, Count: 1001, Largest: 51000,
				Buckets: []measure.BucketCount{{Bucket: 12, Count: 1000}, {Bucket: 15, Count: 1}}},
			Exits: 7000, Entries: 7000, All: 6999,
		})
	}
}

// TestCompleteStalls spoils what was measured in every way that must not be
// taken for a result.
func TestCompleteStalls(t *testing.T) {
	p := measure.Stalls{VCPUs: 20, QuietNanos: 1000, Devices: 8}
	for name, tt := range map[string]struct {
		spoil func(*Boot)
		says  string // "" if the boot is complete
	}{
		"complete":            {func(*Boot) {}, ""},
		"nothing":             {func(b *Boot) { b.Growths, b.Gaps = nil, nil }, "expected 6 growing VMs and 6 phases, found 0 and 0"},
		"a phase is missing":  {func(b *Boot) { b.Gaps = b.Gaps[1:] }, "6 and 5"},
		"phases out of order": {func(b *Boot) { b.Gaps[0].Phase = measure.After }, `expected phase "before"`},
		"another VM":          {func(b *Boot) { b.Growths[1].VM.VCPUs++ }, "expected the growth of vcpus=20"},
		"no vCPU ran":         {func(b *Boot) { b.Growths[3].Phase = "" }, "expected the growth"},
		"no vCPU was stuck":   {func(b *Boot) { b.Growths[5].Phase = measure.Halted }, `in phase "stuck", found that of vcpus=20/ids=dense in "halted"`},
		"creation missed":     {func(b *Boot) { b.Growths[2].Create = b.Growths[2].Create[1:] }, "expected 20 creations, found 19"},
		"no time":             {func(b *Boot) { b.Growths[0].Create[3].BlockedNanos = 45000 }, "creation 3: expected time to pass, found 0 of 45000 ns"},
		"slots missed":        {func(b *Boot) { b.Growths[0].Slots = b.Growths[0].Slots[2:] }, "expected changes of memory slots after the creation of vCPUs [2 3"},
		"slots of another":    {func(b *Boot) { b.Growths[0].Slots[0].VCPU++ }, "found them after [3 3"},
		"waits not seen":      {func(b *Boot) { b.Growths[0].Slots[1].Control.Waits = nil }, "a grace period to be waited for"},
		"switches not seen": {func(b *Boot) {
			for i := range b.Growths[0].Slots {
				b.Growths[0].Slots[i].After.Blocked, b.Growths[0].Slots[i].Control.Blocked = 0, 0
			}
		}, "17 changes of memory slots waited for grace periods, none of them off the processor"},
		"first calls missed":  {func(b *Boot) { b.Setups = b.Setups[1:] }, "expected the first calls of a VM with 8 ioeventfds and of one without, found 1"},
		"no devices":          {func(b *Boot) { b.Setups[0].Devices = 0 }, "expected the first calls of a VM with 8"},
		"exits missed":        {func(b *Boot) { b.Gaps[2].Exits-- }, "entered 7000 times and left 6999 times"},
		"gaps missed":         {func(b *Boot) { b.Gaps[2].All-- }, "expected 6999 gaps between 7000 entries, found 6998"},
		"vCPU did not run":    {func(b *Boot) { b.Gaps[1].RanSum.Count, b.Gaps[1].Ran = 3, nil }, "it did not run"},
		"payload did not run": {func(b *Boot) { b.Gaps[1].Guest.Count = 0 }, "and the vCPU itself 0: it did not run"},
		"bucket too much":     {func(b *Boot) { b.Gaps[1].Ran[0].Count++ }, "expected 1000 gaps in buckets, found 1001"},
		"off by one":          {func(b *Boot) { b.Gaps[1].Ran[2].Bucket++ }, "in the last bucket"},
		"no such bucket":      {func(b *Boot) { b.Gaps[1].Ran[2].Bucket = measure.NumBuckets }, "no bucket"},
		"payload's buckets":   {func(b *Boot) { b.Gaps[1].Guest.Buckets[0].Count-- }, "expected 1001 gaps in the vCPU's own buckets, found 1000"},
		"exits not seen":      {func(b *Boot) { b.Gaps[1].Guest.Count, b.Gaps[1].Guest.Buckets[0].Count = 1101, 1100 }, "exited at least 1101 times, of which 1002"},
		"stall not witnessed": {func(b *Boot) { b.Gaps[1].Blocked = measure.GapSum{Count: 1, Nanos: 1e6, Largest: 1e6} }, "the vCPU itself saw none above 51000"},
		"no clock":            {func(b *Boot) { b.Gaps[1].Guest.KHz = 0 }, "0 kHz"},
	} {
		t.Run(name, func(t *testing.T) {
			b := Boot{}
			addStalls(&b, p)
			tt.spoil(&b)
			checkInvalid(t, b.completeStalls(p), tt.says)
		})
	}
}

// TestStallValues draws the figures, of a boot with a stall.
func TestStallValues(t *testing.T) {
	b := Boot{Which: Which{Method: ICount}}
	addStalls(&b, measure.Stalls{VCPUs: 20, QuietNanos: 1000, Devices: 8})
	g := &b.Growths[0]
	g.Create[8].Waits = map[string]uint64{"synchronize_rcu": 1} // the 9th
	g.Create[8].Blocked, g.Create[8].Deferred = 2, map[string]uint64{"call_rcu": 1}
	g.Create[8].Kicks, g.Create[9].Kicks = 3, 1
	b.Growths[4].Create[7].Kicks, b.Growths[5].Create[7].Blocked = 2, 5 // beside vCPUs that wait
	for i := range g.Slots {
		if g.Slots[i].VCPU == 9 {
			g.Slots[i].After.Waits = map[string]uint64{"synchronize_srcu": 1, "synchronize_srcu_expedited": 1}
		}
	}
	b.Gaps[1].Blocked = measure.GapSum{Count: 3, Nanos: 100000, Largest: 50500}
	b.Gaps[1].Longest = &measure.Call{Nanos: 50000, Blocked: 2, BlockedNanos: 45000, LongestNanos: 40000}
	var d drawing
	drawEach(&d, "growths", b.Growths, growthValues)
	drawEach(&d, "gaps", b.Gaps, gapValues)
	drawEach(&d, "setups", b.Setups, setupValues)
	if d.err != nil {
		t.Fatal(d.err)
	}
	got := named(t, d.values)
	low, high := measure.Bounds(bucket4000)
	low999, high999 := measure.Bounds(bucket9000)
	for name, want := range map[string]struct {
		unit             string
		value, low, high float64
	}{
		"grow/vcpus=20/while=idle/create-waits":                   {"grace-periods", 1, 1, 1},
		"grow/vcpus=20/while=idle/create-blocked":                 {"blocks", 2, 2, 2},
		"grow/vcpus=20/while=idle/create-deferred":                {"deferred-frees", 1, 1, 1},
		"grow/vcpus=20/while=idle/create-kicks":                   {"kicks", 4, 4, 4},
		"grow/vcpus=20/while=during/create-waits":                 {"grace-periods", 0, 0, 0},
		"grow/vcpus=20/while=halted/create-kicks":                 {"kicks", 2, 2, 2},
		"grow/vcpus=20/while=stuck/create-blocked":                {"blocks", 5, 5, 5},
		"grow/vcpus=20/while=idle/slot=after-growth/slot-waits":   {"grace-periods", 2, 2, 2},
		"grow/vcpus=20/while=idle/slot=after-creation/slot-waits": {"grace-periods", 1, 1, 1},
		"grow/vcpus=20/while=idle/slot=control/slot-waits":        {"grace-periods", 1, 1, 1},
		"grow/vcpus=20/while=slots/slot=control/slot-on":          {"insns/ioctl", 40000, 40000, 40000},
		"grow/vcpus=20/while=slots/slot=control/slot-blocked":     {"virtual-ns", 20000, 20000, 20000},
		"gaps/vcpus=20/phase=before/p50":                          {"insns/gap", float64(high), float64(low), float64(high)},
		"gaps/vcpus=20/phase=before/p99.9":                        {"insns/gap", float64(high999), float64(low999), float64(high999)},
		"gaps/vcpus=20/phase=before/max":                          {"insns/gap", 20000, 20000, 20000},
		"gaps/vcpus=20/phase=before/guest-max":                    {"insns/gap", 51000, 51000, 51000},
		"gaps/vcpus=20/phase=during/blocked":                      {"gaps", 3, 3, 3},
		"gaps/vcpus=20/phase=during/blocked-max":                  {"virtual-ns", 40000, 40000, 40000},
		"gaps/vcpus=20/phase=other/preempted":                     {"gaps", 2, 2, 2},
		"setup/after-devices/slot-waits":                          {"grace-periods", 1, 1, 1},
		"setup/without-devices/slot-blocked":                      {"virtual-ns", 20000, 20000, 20000},
		"setup/without-devices/vcpu-waits":                        {"grace-periods", 0, 0, 0},
	} {
		is := got[name]
		if unit := is.key.Operation().Unit.On(ICount); unit != want.unit || is.value != want.value || is.low != want.low || is.high != want.high {
			t.Errorf("%s: expected %+v, found %+v in %s", name, want, is, unit)
		}
	}
}
