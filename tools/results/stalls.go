// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

const minGaps = 20 // how many gaps a phase has at least

// completeStalls returns an ErrInvalid if what the boot says about who waits is
// not all that was asked for, or contradicts itself.
func (b *Boot) completeStalls(p measure.Stalls) error {
	vm := measure.VM{VCPUs: p.VCPUs, IDs: measure.Dense}
	if err := expect(len(b.Growths) == len(measure.Growths) && len(b.Gaps) == len(measure.Phases), "stalls: expected %d growing VMs and %d phases, found %d and %d",
		len(measure.Growths), len(measure.Phases), len(b.Growths), len(b.Gaps)); err != nil {
		return err
	}
	for i, g := range b.Growths {
		if err := cmp.Or(
			expect(g.VM == vm && g.Phase == measure.Growths[i],
				"expected the growth of %v in phase %q, found that of %v in %q", vm, measure.Growths[i], g.VM, g.Phase),
			checkGrowth(g)); err != nil {
			return fmt.Errorf("stalls: growth in phase %q: %w", g.Phase, err)
		}
	}
	for i, g := range b.Gaps {
		if err := cmp.Or(
			expect(g.VM == vm && g.Phase == measure.Phases[i], "expected phase %q of %v, found %q of %v", measure.Phases[i], vm, g.Phase, g.VM),
			checkGaps(g)); err != nil {
			return fmt.Errorf("stalls: phase %q: %w", g.Phase, err)
		}
	}
	if p.Devices == 0 {
		return expect(len(b.Setups) == 0, "stalls: expected no first calls, found %d", len(b.Setups))
	}
	return expect(slices.EqualFunc(b.Setups, []int{p.Devices, 0}, func(s measure.Setup, devices int) bool { return s.Devices == devices }),
		"stalls: expected the first calls of a VM with %d ioeventfds and of one without, found %d", p.Devices, len(b.Setups))
}

// setupValues draws the figures of the first calls of a VM.
func setupValues(s measure.Setup) ([]value, error) {
	key := figure.Key{Slot: figure.WithoutDevices}
	if s.Devices > 0 {
		key.Slot = figure.AfterDevices
	}
	return []value{
			counted(as(key, figure.SetupSlotWaits), float64(s.Slot.GracePeriods())),
			counted(as(key, figure.SetupVCPUWaits), float64(s.VCPU.GracePeriods())),
			counted(as(key, figure.SetupSlotBlocked), float64(s.Slot.BlockedNanos)),
			counted(as(key, figure.SetupVCPUBlocked), float64(s.VCPU.BlockedNanos)),
		}, expect(s.Slot.On() > 0 && s.VCPU.On() > 0 && s.Slot.GracePeriods() > 0,
			"first calls of a VM: expected time to pass and the memory slot to wait for a grace period, found %+v", s)
}

// checkGrowth looks whether all calls are there.
func checkGrowth(g measure.Growth) error {
	first := g.Phase.GrowsFrom()
	var changes, found []int // ordinals after whose creation slots change
	for n := first; n <= g.VM.VCPUs && (g.Phase == "" || g.Phase == measure.Slots); n++ {
		if measure.SlotsChange(n) {
			changes = append(changes, n)
		}
	}
	for _, s := range g.Slots {
		found = append(found, s.VCPU)
	}
	err := cmp.Or(
		expect(len(g.Create) == g.VM.VCPUs-first+1, "expected %d creations, found %d", g.VM.VCPUs-first+1, len(g.Create)),
		expect(slices.Equal(found, changes), "expected changes of memory slots after the creation of vCPUs %v, found them after %v", changes, found))
	for i, c := range g.Create {
		err = cmp.Or(err, expect(c.On() > 0, "creation %d: expected time to pass, found %d of %d ns on a processor", i, c.On(), c.Nanos))
	}
	blocked := uint64(0)
	for _, s := range g.Slots {
		for _, c := range []measure.Call{s.After, s.Control} {
			// Adding a slot waits for readers of the old ones, on any
			// kernel: if that was not seen nothing else was.
			blocked += c.Blocked
			err = cmp.Or(err, expect(c.On() > 0 && c.GracePeriods() > 0,
				"change of memory slots at vCPU %d: expected time to pass and a grace period to be waited for, found %+v", s.VCPU, c))
		}
	}
	return cmp.Or(err, expect(len(g.Slots) == 0 || blocked > 0,
		"%d changes of memory slots waited for grace periods, none of them off the processor: task switches were not seen", len(g.Slots)))
}

// checkGaps looks whether the two witnesses agree, and whether all gaps were counted.
func checkGaps(g measure.Gaps) error {
	gaps, largest := uint64(0), int64(0)
	for _, s := range []measure.GapSum{g.RanSum, g.Preempted, g.Blocked, g.Halted, g.User} {
		gaps += s.Count
		largest = max(largest, s.Largest)
	}
	ran, last := uint64(0), 0
	for _, b := range g.Ran {
		if err := expect(b.Bucket >= 0 && b.Bucket < measure.NumBuckets, "no bucket %d", b.Bucket); err != nil {
			return err
		}
		ran += b.Count
		last = b.Bucket
	}
	low, high := measure.Bounds(last)
	seen := uint64(0)
	for _, b := range g.Guest.Buckets {
		seen += b.Count
	}
	own := g.Guest.Nanos(g.Guest.Largest)
	return cmp.Or(
		expect(g.Exits == g.Entries, "the vCPU was entered %d times and left %d times", g.Entries, g.Exits),
		expect(g.All == g.Entries-1, "expected %d gaps between %d entries, found %d", g.Entries-1, g.Entries, g.All),
		expect(gaps >= minGaps && g.Guest.Count >= minGaps,
			"expected at least %d gaps, found %d, and the vCPU itself %d: it did not run", minGaps, gaps, g.Guest.Count),
		expect(ran == g.RanSum.Count && ran > 0, "expected %d gaps in buckets, found %d", g.RanSum.Count, ran),
		expect(uint64(g.RanSum.Largest) >= low && uint64(g.RanSum.Largest) <= high,
			"expected the largest gap that ran through in the last bucket, %d to %d, found %d", low, high, g.RanSum.Largest),
		expect(seen == g.Guest.Count, "expected %d gaps in the vCPU's own buckets, found %d", g.Guest.Count, seen),
		// Each gap that the vCPU saw is one exit that it asked for, or more if
		// interrupts made others; the phase may change within one.
		expect(g.Guest.Count <= gaps+2, "the vCPU exited at least %d times, of which %d were counted", g.Guest.Count, gaps),
		expect(g.Guest.KHz > 0, "the vCPU's clock has %d kHz", g.Guest.KHz),
		expect(g.Guest.Largest == math.MaxUint32 || float64(own) >= 0.9*float64(largest),
			"a gap of %d ns was counted, the vCPU itself saw none above %d ns", largest, own))
}

// growthValues draws the figures of the thread that makes a VM grow.
func growthValues(g measure.Growth) ([]value, error) {
	key := figure.Key{VCPUs: g.VM.VCPUs, Phase: cmp.Or(g.Phase, figure.Idle)}

	var waits, blocked, contended, kicks uint64
	deferred := 0.0
	for _, c := range g.Create {
		waits += c.GracePeriods()
		blocked += c.Blocked
		contended += c.Contended
		kicks += c.Kicks
		deferred += sum(maps.Values(c.Deferred))
	}
	out := []value{
		counted(as(key, figure.GrowWaits), float64(waits)),
		counted(as(key, figure.GrowBlocked), float64(blocked)),
		counted(as(key, figure.GrowContended), float64(contended)),
		counted(as(key, figure.GrowKicks), float64(kicks)),
	}
	if g.Phase == "" || g.Phase.Runs() { // it is not counted beside a vCPU that waits
		out = append(out, counted(as(key, figure.GrowDeferred), deferred))
	}

	calls := map[figure.Slot][]measure.Call{}
	for _, s := range g.Slots {
		slot := figure.AfterCreation
		if measure.TableFull(s.VCPU - 1) {
			slot = figure.AfterGrowth
		}
		calls[slot] = append(calls[slot], s.After)
		calls[figure.Control] = append(calls[figure.Control], s.Control)
	}
	for _, key.Slot = range []figure.Slot{figure.AfterGrowth, figure.AfterCreation, figure.Control} {
		if len(calls[key.Slot]) == 0 {
			continue
		}
		most := uint64(0)
		var on, off []float64
		for _, c := range calls[key.Slot] {
			most = max(most, c.GracePeriods())
			on = append(on, float64(c.On()))
			off = append(off, float64(c.BlockedNanos))
		}
		out = append(out, counted(as(key, figure.GrowSlotWaits), float64(most)),
			spanned(as(key, figure.GrowSlotOn), on), spanned(as(key, figure.GrowSlotBlocked), off))
	}
	return out, nil
}

// spanned is the median of values, in the interval that all are in.
func spanned(key figure.Key, values []float64) value {
	return value{key: key, value: Median(values), low: slices.Min(values), high: slices.Max(values)}
}

// gapValues draws the figures of the gaps of a phase.
func gapValues(g measure.Gaps) ([]value, error) {
	key := figure.Key{VCPUs: g.VM.VCPUs, Phase: g.Phase}
	percentile := func(op figure.Op, part float64) value {
		low, high := gapPercentile(g, part)
		return value{key: as(key, op), value: high, low: low, high: high}
	}
	longest := int64(0)
	if g.Longest != nil {
		longest = g.Longest.LongestNanos
	}
	return []value{
		percentile(figure.GapP50, 0.5), percentile(figure.GapP99, 0.99), percentile(figure.GapP999, 0.999),
		counted(as(key, figure.GapMax), float64(g.RanSum.Largest)),
		counted(as(key, figure.GapGuestMax), float64(g.Guest.Nanos(g.Guest.Largest))),
		counted(as(key, figure.GapRan), float64(g.RanSum.Count)),
		counted(as(key, figure.GapPreempted), float64(g.Preempted.Count)),
		counted(as(key, figure.GapBlocked), float64(g.Blocked.Count)),
		counted(as(key, figure.GapBlockedMax), float64(longest)),
	}, nil
}

// gapPercentile returns the bounds of the length that so large a part of the gaps
// does not exceed, of those that ran through: a histogram knows no better.
func gapPercentile(g measure.Gaps, part float64) (low, high float64) {
	rank := uint64(math.Ceil(part * float64(g.RanSum.Count)))
	seen := uint64(0)
	for _, b := range g.Ran {
		if seen += b.Count; seen >= rank {
			lo, hi := measure.Bounds(b.Bucket)
			return float64(lo), min(float64(hi), float64(g.RanSum.Largest))
		}
	}
	return 0, 0
}
