// SPDX-License-Identifier: GPL-2.0-only

package measure

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// IDs is how a VM numbers its vCPUs.
type IDs string

// The ways to number vCPUs.
const (
	Dense    IDs = "dense"    // the ID is the index
	Shuffled IDs = "shuffled" // as many IDs as vCPUs, none of them the index, unless there is one vCPU
	Sparse   IDs = "sparse"   // three of four IDs are unused, as with a topology that has gaps
)

// AllIDs lists the ways to number vCPUs, in the order in which they are shown.
var AllIDs = []IDs{Dense, Shuffled, Sparse}

// Of returns the vcpu_id of each vCPU of a VM with so many, by index. It is the
// same every time.
func (i IDs) Of(vcpus int) []int {
	all := make([]int, vcpus)
	for index := range all {
		all[index] = index
		if i == Sparse {
			all[index] = 4*index + 3
		}
	}
	if i == Shuffled {
		// Sattolo's algorithm: one cycle through all, so that none stays.
		random := rand.NewPCG(seed, uint64(vcpus))
		for n := vcpus - 1; n > 0; n-- {
			with := random.Uint64() % uint64(n)
			all[n], all[with] = all[with], all[n]
		}
	}
	return all
}

const seed = 1 // makes random choices the same on every machine and in every boot

// Missing returns the nth unused ID of a VM with so many vCPUs: between those in
// use where IDs are sparse, above them elsewhere.
func (i IDs) Missing(n, vcpus int) int {
	if i == Sparse {
		return 4*n + 1
	}
	return vcpus + n
}

// VM is a virtual machine to create and to look up vCPUs in.
type VM struct {
	VCPUs int `json:"vcpus"`
	IDs   IDs `json:"ids"`
}

// MaxPathVCPUs is how many vCPUs a VM has at most all of which run: their Hyper-V VP indices, which
// are as sparse as their IDs, are less than KVM_MAX_VCPUS of x86, 4096.
const MaxPathVCPUs = 1024

const poolRuns = 8 // how many vCPUs of a pool run

// Pool tells whether a VM of Paths is a pool: a monitor has created as many vCPUs as
// it may ever need, and runs the first Runs of them.
func (v VM) Pool() bool { return v.VCPUs > MaxPathVCPUs }

// Runs is how many vCPUs of a VM of Paths run.
func (v VM) Runs() int {
	if v.Pool() {
		return poolRuns
	}
	return v.VCPUs
}

// Paths lists what is measured of a VM of Paths. Of a pool it is a request to all vCPUs
// and an event to one: a path that leaves an interrupt pending would have to run them.
func (v VM) Paths() []Path {
	if v.Pool() {
		return []Path{PathRequest, PathXenSend}
	}
	return AllPaths
}

// String returns the VM's shape as it appears in names of results.
func (v VM) String() string { return fmt.Sprintf("vcpus=%d/ids=%s", v.VCPUs, v.IDs) }

// Order is the order in which a pass looks vCPUs up. All orders have the same
// mean distance from the first vCPU.
type Order string

// The orders.
const (
	Sequential Order = "sequential" // from the first to the last
	Same       Order = "same"       // the one in the middle each time
	Random     Order = "random"     // those of Sequential, shuffled
)

// AllOrders lists the orders, the default first.
var AllOrders = []Order{Sequential, Same, Random}

// Arrange returns the indices of the vCPUs that a pass of n lookups is for, spread
// evenly over a VM with so many. It is the same every time.
func (o Order) Arrange(n, vcpus int) []int {
	all := make([]int, n)
	for i := range all {
		// The middle of the ith of n equal parts: the mean over all of them
		// is the mean over all vCPUs, also for a linear scan.
		all[i] = (2*i + 1) * vcpus / (2 * n)
	}
	switch o {
	case Same:
		for i := range all {
			all[i] = vcpus / 2
		}
	case Random:
		random := rand.NewPCG(seed, uint64(n))
		for i := n - 1; i > 0; i-- {
			with := random.Uint64() % uint64(i+1)
			all[i], all[with] = all[with], all[i]
		}
	}
	return all
}

// Op is a lookup.
type Op string

// The lookups, in the order of enum vcpuloops_op.
const (
	Nop  Op = "nop"   // none: the loop's own cost
	Get  Op = "get"   // kvm_get_vcpu()
	ByID Op = "by_id" // kvm_get_vcpu_by_id()
	Walk Op = "walk"  // kvm_for_each_vcpu(), one pass is a walk
)

// Ops lists the lookups; an Op's place is its number in vcpuloops.h.
var Ops = []Op{Nop, Get, ByID, Walk}

// Shape is a loop that makes sense on a VM.
type Shape struct {
	Op      Op   `json:"op"`
	Missing bool `json:"missing,omitempty"` // no vCPU has any of the numbers
	// Order is that in which the numbers come, "" for Sequential and where there
	// is only one.
	Order Order `json:"order,omitempty"`
}

// LoopsOf lists the loops to run on a VM, Nop first. Lookups by index and walks do
// not depend on the IDs: they are done where IDs are dense. Missing IDs are looked
// up in one order only, because no vCPU is read.
func (p Params) LoopsOf(vm VM) []Shape {
	loops := []Shape{{Op: Nop}}
	add := func(op Op) {
		for _, o := range p.Orders {
			if o == Sequential {
				o = "" // as samples have it
			}
			loops = append(loops, Shape{Op: op, Order: o})
		}
		if len(p.Orders) == 0 {
			loops = append(loops, Shape{Op: op})
		}
	}
	add(ByID)
	loops = append(loops, Shape{Op: ByID, Missing: true})
	if vm.IDs == Dense {
		add(Get)
		loops = append(loops, Shape{Op: Walk})
	}
	return loops
}

// Run is a loop to run on a VM.
type Run struct {
	Loop    Loop    // the sample, without its measured part
	Numbers []int32 // what a pass looks up
	Found   int     // how many vCPUs it finds
}

// Number returns the loop's number in vcpuloops.h.
func (r Run) Number() uint32 { return uint32(slices.Index(Ops, r.Loop.Op)) }

// RunsOf lists the loops to run on a VM, as LoopsOf does, with their numbers.
func (p Params) RunsOf(vm VM) []Run {
	n := min(vm.VCPUs, p.MaxNumbers)
	ids := vm.IDs.Of(vm.VCPUs)
	var runs []Run
	for _, s := range p.LoopsOf(vm) {
		r := Run{Loop: Loop{VM: vm, Shape: s, Numbers: n}, Found: n}
		for _, index := range s.Order.Arrange(n, vm.VCPUs) {
			number := index
			switch {
			case s.Missing:
				number = vm.IDs.Missing(index, vm.VCPUs)
			case s.Op == ByID:
				number = ids[index]
			}
			r.Numbers = append(r.Numbers, int32(number))
		}

		switch {
		case s.Op == Nop || s.Missing:
			r.Found = 0
		case s.Op == Walk:
			r.Found = vm.VCPUs
		}
		runs = append(runs, r)
	}
	return runs
}

// Passes returns how many passes a loop should make if one takes so long, in nanoseconds.
func (p Params) Passes(once int64) int {
	return int(max(1, min(p.LoopNanos/max(once, 1), 1<<20)))
}
