// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"math"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// minGaps is how many gaps a phase has at least.
const minGaps = 20

// completeStalls returns an ErrInvalid if what the boot says about who waits is
// not all that was asked for, or contradicts itself.
func (b *Boot) completeStalls(p measure.Stalls) error {
	vm := measure.VM{VCPUs: p.VCPUs, IDs: measure.Dense}
	growths := []measure.Phase{"", measure.During, measure.Other, measure.Slots}
	if len(b.Growths) != len(growths) || len(b.Gaps) != len(measure.Phases) {
		return fmt.Errorf("%w: stalls: expected %d growing VMs and %d phases, found %d and %d",
			ErrInvalid, len(growths), len(measure.Phases), len(b.Growths), len(b.Gaps))
	}
	for i, g := range b.Growths {
		if g.VM != vm || g.Phase != growths[i] || g.Running != (i > 0) {
			return fmt.Errorf("%w: stalls: expected the growth of %v in phase %q, found that of %v in %q",
				ErrInvalid, vm, growths[i], g.VM, g.Phase)
		}
		if err := checkGrowth(g); err != nil {
			return fmt.Errorf("%w: stalls: growth in phase %q: %w", ErrInvalid, g.Phase, err)
		}
	}
	for i, g := range b.Gaps {
		if g.VM != vm || g.Phase != measure.Phases[i] {
			return fmt.Errorf("%w: stalls: expected phase %q of %v, found %q of %v", ErrInvalid, measure.Phases[i], vm, g.Phase, g.VM)
		}
		if err := checkGaps(g); err != nil {
			return fmt.Errorf("%w: stalls: phase %q: %w", ErrInvalid, g.Phase, err)
		}
	}
	return nil
}

// checkGrowth looks whether all calls are there.
func checkGrowth(g measure.Growth) error {
	first := 1
	if g.Phase == measure.During || g.Phase == measure.Slots {
		first = 2 // the one that runs was there before
	}
	if want := g.VM.VCPUs - first + 1; len(g.Create) != want {
		return fmt.Errorf("expected %d creations, found %d", want, len(g.Create))
	}
	for i, c := range g.Create {
		if c.On() <= 0 {
			return fmt.Errorf("creation %d: expected time to pass, found %d of %d ns on a processor", i, c.On(), c.Nanos)
		}
	}
	var want []int
	if g.Phase == "" || g.Phase == measure.Slots {
		for n := first; n <= g.VM.VCPUs; n++ {
			if measure.SlotsChange(n) {
				want = append(want, n)
			}
		}
	}
	if len(g.Slots) != len(want) {
		return fmt.Errorf("expected changes of memory slots after %d creations, found %d", len(want), len(g.Slots))
	}
	blocked := uint64(0)
	for i, s := range g.Slots {
		if s.VCPU != want[i] {
			return fmt.Errorf("expected a change of memory slots after the creation of vCPU %d, found one after %d", want[i], s.VCPU)
		}
		for _, c := range []measure.Call{s.After, s.Control} {
			// Adding a slot waits for readers of the old ones, on any
			// kernel: if that was not seen nothing else was.
			blocked += c.Blocked
			if c.On() <= 0 || c.GracePeriods() == 0 {
				return fmt.Errorf("change of memory slots at vCPU %d: expected time to pass and a grace period to be waited for, found %+v", s.VCPU, c)
			}
		}
	}
	if len(g.Slots) > 0 && blocked == 0 {
		return fmt.Errorf("%d changes of memory slots waited for grace periods, none of them off the processor: task switches were not seen", len(g.Slots))
	}
	return nil
}

// checkGaps looks whether the two witnesses agree, and whether all gaps were
// counted.
func checkGaps(g measure.Gaps) error {
	if g.Exits != g.Entries {
		return fmt.Errorf("the vCPU was entered %d times and left %d times", g.Entries, g.Exits)
	}
	if g.All != g.Entries-1 {
		return fmt.Errorf("expected %d gaps between %d entries, found %d", g.Entries-1, g.Entries, g.All)
	}
	gaps, largest := uint64(0), int64(0)
	for _, s := range []measure.GapSum{g.RanSum, g.Preempted, g.Blocked, g.Halted, g.User} {
		gaps += s.Count
		largest = max(largest, s.Largest)
	}
	if gaps < minGaps || g.Guest.Count < minGaps {
		return fmt.Errorf("expected at least %d gaps, found %d, and the vCPU itself %d: it did not run", minGaps, gaps, g.Guest.Count)
	}
	ran := uint64(0)
	for _, b := range g.Ran {
		if b.Bucket < 0 || b.Bucket >= measure.NumBuckets {
			return fmt.Errorf("no bucket %d", b.Bucket)
		}
		ran += b.Count
	}
	if ran != g.RanSum.Count || ran == 0 {
		return fmt.Errorf("expected %d gaps in buckets, found %d", g.RanSum.Count, ran)
	}
	if low, high := measure.Bounds(g.Ran[len(g.Ran)-1].Bucket); uint64(g.RanSum.Largest) < low || uint64(g.RanSum.Largest) > high {
		return fmt.Errorf("expected the largest gap that ran through in the last bucket, %d to %d, found %d", low, high, g.RanSum.Largest)
	}
	seen := uint64(0)
	for _, b := range g.Guest.Buckets {
		seen += b.Count
	}
	if seen != g.Guest.Count {
		return fmt.Errorf("expected %d gaps in the vCPU's own buckets, found %d", g.Guest.Count, seen)
	}
	// Each gap that the vCPU saw is one exit that it asked for, or more if
	// interrupts made others; the phase may change within one.
	if g.Guest.Count > gaps+2 {
		return fmt.Errorf("the vCPU exited at least %d times, of which %d were counted", g.Guest.Count, gaps)
	}
	if g.Guest.KHz <= 0 {
		return fmt.Errorf("the vCPU's clock has %d kHz", g.Guest.KHz)
	}
	if own := g.Guest.Nanos(g.Guest.Largest); g.Guest.Largest < math.MaxUint32 && float64(own) < 0.9*float64(largest) {
		return fmt.Errorf("a gap of %d ns was counted, the vCPU itself saw none above %d ns", largest, own)
	}
	return nil
}

// growthValues draws the figures of the thread that makes a VM grow.
func growthValues(g measure.Growth) ([]value, error) {
	key := figure.Key{VCPUs: g.VM.VCPUs, Phase: g.Phase}
	if !g.Running {
		key.Phase = figure.Idle
	}

	var waits, blocked, contended, deferred uint64
	for _, c := range g.Create {
		waits += c.GracePeriods()
		blocked += c.Blocked
		contended += c.Contended
		for _, n := range c.Deferred {
			deferred += n
		}
	}
	out := []value{
		counted(as(key, figure.GrowWaits), float64(waits)),
		counted(as(key, figure.GrowBlocked), float64(blocked)),
		counted(as(key, figure.GrowContended), float64(contended)),
		counted(as(key, figure.GrowDeferred), float64(deferred)),
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
	var out []value
	for _, p := range []struct {
		op   figure.Op
		part float64
	}{{figure.GapP50, 0.5}, {figure.GapP99, 0.99}, {figure.GapP999, 0.999}} {
		low, high := GapPercentile(g, p.part)
		out = append(out, value{key: as(key, p.op), value: high, low: low, high: high})
	}

	longest := int64(0)
	if g.Longest != nil {
		longest = g.Longest.LongestNanos
	}
	return append(out,
		counted(as(key, figure.GapMax), float64(g.RanSum.Largest)),
		counted(as(key, figure.GapGuestMax), float64(g.Guest.Nanos(g.Guest.Largest))),
		counted(as(key, figure.GapRan), float64(g.RanSum.Count)),
		counted(as(key, figure.GapPreempted), float64(g.Preempted.Count)),
		counted(as(key, figure.GapBlocked), float64(g.Blocked.Count)),
		counted(as(key, figure.GapBlockedMax), float64(longest))), nil
}

// GapPercentile returns the bounds of the length that so large a part of the gaps
// does not exceed, of those that ran through: a histogram knows no better.
func GapPercentile(g measure.Gaps, part float64) (low, high float64) {
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
