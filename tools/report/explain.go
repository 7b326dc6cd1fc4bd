// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// explanation says what is meant by figures that a sheet has.
type explanation struct {
	of   func(figure.Key) bool // with which figures it is said
	text func(*sheet) string
}

// isOf says that a figure is of an operation.
func isOf(op figure.Op) func(figure.Key) bool {
	return func(k figure.Key) bool { return k.Op == op }
}

// isOfIDs says that a figure is of lookups of such IDs.
func isOfIDs(ids measure.IDs) func(figure.Key) bool {
	return func(k figure.Key) bool { return k.Op == figure.ByID && k.IDs == ids }
}

func fixed(text string) func(*sheet) string { return func(*sheet) string { return text } }

// explained are the explanations, in the order in which they are given.
var explained = []explanation{
	{isOfIDs(measure.Sparse), fixed("Dense IDs: the ID is the index. Sparse IDs: 3, 7, 11, ...")},
	{isOfIDs(measure.Shuffled), fixed("Shuffled IDs: as many as vCPUs, none its index.")},
	{nil, func(s *sheet) string {
		if !slices.Contains(s.methods, figure.Native) {
			return ""
		}
		return "In user space: what a lookup consists of is taken out of each kernel's source and compiled with its own lib/xarray.c." +
			" Readers of RCU cost what they do where RCU is preemptible. What else a kernel does meanwhile is not in it."
	}},
	{nil, func(s *sheet) string {
		if !slices.Contains(s.methods, figure.Running) {
			return ""
		}
		return "The running kernel was not booted for this: what differs from one boot to the next is not in A/A."
	}},
	{isOf(figure.Walk), fixed("The walk's cost includes the addition that its body makes.")},
	{isOf(figure.Create), func(s *sheet) string {
		return fmt.Sprintf("One KVM_CREATE_VCPU: median of eight, from the ordinal on, in a VM of %d vCPUs.", s.largest)
	}},
	{isOf(figure.CreateArch), fixed("Of all KVM_CREATE_VCPU of a VM, arch is what kvm_arch_vcpu_create() takes, waiting is for grace periods, and rest is what remains.")},
	{isOf(figure.CreateGrowth), fixed("The last over the first: the median over the last eighth of a VM's vCPUs, by that over the second eighth;" +
		" the first one pays for what is done once.")},
	{isOf(figure.PathCall), func(s *sheet) string {
		text := "Functions that look vCPUs up: a small guest has its first vCPU do the same thing again and again, and each call of KVM's function for it is bracketed;" +
			" it is the median of them, less what an empty bracket takes. vCPU IDs are sparse unless stated otherwise."
		if slices.Contains(s.methods, figure.ICount) {
			text += " Calls in 10^9 instructions of guest, exits and user space together say how much of it all the function is."
		}
		return text + " What the start of a VM takes depends on what the allocators have at hand: less than ten per cent is not told apart."
	}},
	{isOf(figure.GapP999), fixed("A vCPU exits all the time, with CPUID, while a thread has its VM grow." +
		" With one processor, as where instructions are counted, the two compete for it: gaps in which the scheduler ran something else are counted apart" +
		" and are neither waiting nor among the longest." +
		" The longest of thousands is that which the longest interrupt hit: kernels are not compared by it." +
		" A memslot call waits for one grace period on any kernel; more would be the container's doing.")},
	{isOf(figure.RaceAlone), (*sheet).explainRaces},
	{isOf(figure.Memory), fixed("Memory is what the allocators set aside, padding included: what holds vCPUs is all" +
		" beyond struct kvm and struct kvm_vcpu, which are counted with the architecture's part.")},
}

// explanations say what the words in the sheet mean.
func (s *sheet) explanations() []string {
	var out []string
	if at := s.measuredAt(); len(at) > 0 {
		out = append(out, "Measured with "+enumerate(at)+" vCPUs.")
	}
	for _, e := range explained {
		if e.of != nil && !s.has(e.of) {
			continue
		}
		if text := e.text(s); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// has says that such a figure is shown.
func (s *sheet) has(of func(figure.Key) bool) bool {
	return slices.ContainsFunc(s.groups, func(g group) bool {
		return slices.ContainsFunc(g.rows, func(r row) bool { return of(r.key) })
	})
}

// explainRaces says how lookups race with creations.
func (s *sheet) explainRaces() string {
	text := "While a VM grows from one vCPU on, a thread on a processor of its own looks up the vCPUs that came last, 64 at most, and verifies each one." +
		" The thread that creates them waits after each until the reader has made two runs of lookups: every size counts as much." +
		" Alone is one thread that does both in turn; creations alone are beside a loop that looks nothing up." +
		" Of a creation only what puts the vCPU into the containers is in it."
	for _, b := range s.r.Boots {
		if len(b.Races) > 0 && b.Races[0].Siblings {
			return text + " The two processors are threads of one core and share its caches: between cores it costs more."
		}
	}
	return text
}
