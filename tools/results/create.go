// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"

	"vcpulab/ebpf/measure"
)

// ordinals are the numbers of vCPUs that a VM has already when the creation
// of the next one is shown.
var ordinals = []int{0, 16, 64, 256, 512, 1016, 2040, 4080}

// ordinalWindow is how many creations, from the ordinal on, the median is
// taken of: an interrupt hits one of them, not most. Whether the allocators
// have what they need at hand makes two in a row differ by some per cent, the
// same in every boot of a kernel and otherwise in another's: so what the median
// may be is drawn from the window, not from the boots alone.
const ordinalWindow = 8

// windowConfidence is that of the interval: it leaves out the smallest and the
// largest of the window.
const windowConfidence = 0.9

// createValues draws the figures of a VM's creations.
func createValues(c measure.Create, arm Method) ([]value, error) {
	if len(c.Nanos) != c.VM.VCPUs {
		return nil, fmt.Errorf("%w: create %v: expected as many creations as vCPUs, found %d",
			ErrInvalid, c.VM, len(c.Nanos))
	}
	var out []value
	total := 0.0
	for i, n := range c.Nanos {
		if n <= 0 {
			return nil, fmt.Errorf("%w: create %v: expected time to pass, found %d ns for vCPU %d",
				ErrInvalid, c.VM, n, i)
		}
		total += float64(n)
	}
	for _, at := range ordinals {
		if at+ordinalWindow > len(c.Nanos) {
			break
		}
		var window []float64
		for _, n := range c.Nanos[at : at+ordinalWindow] {
			window = append(window, float64(n))
		}
		sort.Float64s(window)
		v := counted(fmt.Sprintf("create/%v/at=%d", c.VM, at), arm.CreateUnit(), median(window))
		if lo, hi, ok := interval(window, windowConfidence); ok {
			v.low, v.high = lo, hi
		}
		out = append(out, v)
	}
	part := func(name, unit string, v float64) {
		out = append(out, counted(fmt.Sprintf("create/%v/%s", c.VM, name), unit, v))
	}
	part("all", arm.BuildUnit(), total)
	if len(c.ArchNanos) == len(c.Nanos) {
		arch, waiting := sum(slices.Values(c.ArchNanos)), sum(maps.Values(c.WaitNanos))
		if arch+waiting > total || arch < 0 || waiting < 0 {
			return nil, fmt.Errorf("%w: create %v: expected parts of %.0f ns, found %.0f ns in kvm_arch_vcpu_create() and %.0f ns of waiting",
				ErrInvalid, c.VM, total, arch, waiting)
		}
		part("arch", arm.BuildUnit(), arch)
		part("waiting", arm.BuildUnit(), waiting)
		part("rest", arm.BuildUnit(), total-arch-waiting)
	}
	if growth, ok := growth(c.Nanos); ok {
		part("growth", UnitRatio, growth)
	}
	part("waits", UnitWaits, sum(maps.Values(c.Waits)))
	return out, nil
}

func sum[T int64 | uint64](values iter.Seq[T]) float64 {
	all := 0.0
	for v := range values {
		all += float64(v)
	}
	return all
}

// growth is how often the cost of one of the first creations of a VM fits into
// that of one of the last, ok unless there are too few of them: 1 if building
// VMs is linear in the number of vCPUs. It is the ratio of two medians over an
// eighth of the vCPUs. The very first eighth is left out: it pays for what is
// done once.
func growth(nanos []int64) (ratio float64, ok bool) {
	w := len(nanos) / 8
	if w < ordinalWindow {
		return 0, false
	}
	at := func(from int) float64 {
		var all []float64
		for _, n := range nanos[from : from+w] {
			all = append(all, float64(n))
		}
		sort.Float64s(all)
		return median(all)
	}
	return at(len(nanos)-w) / at(w), true
}
