// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
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
func createValues(c measure.Create) ([]value, error) {
	err := expect(len(c.Nanos) == c.VM.VCPUs, "create %v: expected as many creations as vCPUs, found %d", c.VM, len(c.Nanos))
	for i, n := range c.Nanos {
		err = cmp.Or(err, expect(n > 0, "create %v: expected time to pass, found %d ns for vCPU %d", c.VM, n, i))
	}

	var out []value
	key := figure.VM(figure.Create, c.VM)
	for _, at := range ordinals {
		if at+ordinalWindow > len(c.Nanos) {
			break
		}
		window := floats(c.Nanos[at : at+ordinalWindow])
		key.At = at
		v := counted(key, Median(window))
		if lo, hi, ok := interval(window, windowConfidence); ok {
			v.low, v.high = lo, hi
		}
		out = append(out, v)
	}

	key.At = 0
	total := sum(slices.Values(c.Nanos))
	out = append(out, counted(as(key, figure.CreateAll), total))
	if len(c.ArchNanos) == len(c.Nanos) {
		arch, waiting := sum(slices.Values(c.ArchNanos)), sum(maps.Values(c.WaitNanos))
		err = cmp.Or(err, expect(arch+waiting <= total && arch >= 0 && waiting >= 0,
			"create %v: expected parts of %.0f ns, found %.0f ns in kvm_arch_vcpu_create() and %.0f ns of waiting", c.VM, total, arch, waiting))
		out = append(out,
			counted(as(key, figure.CreateArch), arch),
			counted(as(key, figure.CreateWaiting), waiting),
			counted(as(key, figure.CreateRest), total-arch-waiting))
	}
	if growth, ok := growth(c.Nanos); ok {
		out = append(out, counted(as(key, figure.CreateGrowth), growth))
	}
	return append(out, counted(as(key, figure.CreateWaits), sum(maps.Values(c.Waits)))), err
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
	at := func(from int) float64 { return Median(floats(nanos[from : from+w])) }
	return at(len(nanos)-w) / at(w), true
}

// memoryValues draws the figures of what a VM takes. The objects are as large as
// in the first one.
func (b Boot) memoryValues(m measure.Memory) ([]value, error) {
	first := b.Memory[0]
	return []value{counted(figure.VM(figure.Memory, m.VM), float64(m.Container))}, cmp.Or(
		expect(m.KVM > 0 && m.VCPU > 0 && (m.Container == 0) == (m.Objects == 0),
			"memory of %v: expected bytes of every object, found %+v", m.VM, m),
		expect(m.KVM == first.KVM && m.VCPU == first.VCPU, "memory of %v: expected %d and %d bytes for struct kvm and struct kvm_vcpu, as in %v, found %d and %d",
			m.VM, first.KVM, first.VCPU, first.VM, m.KVM, m.VCPU))
}

// objectValues are figures of struct kvm and of struct kvm_vcpu.
func objectValues(op figure.Op, from string, kvm, vcpu float64) []value {
	return []value{
		{figure.Key{Op: op, Object: "kvm"}, kvm, kvm, kvm, from},
		{figure.Key{Op: op, Object: "kvm_vcpu"}, vcpu, vcpu, vcpu, from},
	}
}
