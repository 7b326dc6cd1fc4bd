// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	_ "embed"
	"math/rand/v2"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
	"vcpulab/tools/tomlfile"
)

// Plan says what to measure and how often.
type Plan struct {
	Params   measure.Params // go to the guest
	Rounds   int            // how often every kernel is booted
	Method   results.Method // how it is measured
	Attempts int            // how often a boot is tried whose samples are of no use
	// Parallel is how many guests run at a time. Only a method that counts instructions
	// may have more than one: its figures do not depend on what else the machine does.
	Parallel int
	Seed     uint64 // shuffles the order of the boots
	Trial    bool   // draws no figures from what was measured, whose times may contradict each other
	// Optional leaves out a kernel that cannot be measured in this way, and a boot that
	// has to be discarded each time. Without are the names of those kernels.
	Optional bool
	Without  []string
}

// MaxRounds is how often each kernel is booted at most. All samples are kept in memory.
const MaxRounds = 1000

// MaxVCPUs is how many vCPUs a VM has at most: KVM_MAX_VCPUS of x86.
const MaxVCPUs = 4096

// Axes are what a measurement goes through, each combination of them.
type Axes struct {
	Sizes   []int           // numbers of vCPUs of the VMs: the xarray gets one level deeper after 1 and after 64
	IDs     []measure.IDs   // the ways to number vCPUs
	Orders  []measure.Order // in which they are looked up
	Growth  int             // vCPUs of the VM of which is watched who waits while it grows, 0 if none is
	Paths   []int           // vCPUs of the VMs whose guests have KVM look vCPUs up
	Readers int             // vCPUs that a VM gets while another thread looks them up, in user space; 0 if none is
	Counted []int           // vCPUs of more VMs with dense IDs, whose memory is counted and nothing else
	// Designs says that what is compared of designs is measured, and nothing
	// else: in user space, walks by the state of the caches in the largest VM.
	Designs bool
}

// ioeventfds is how many a VM gets whose first calls are watched: as many as a small
// one of QEMU's with a disk and a network card.
const ioeventfds = 8

//go:embed plans.toml
var plansSource []byte

// table is what plans.toml says: a plan of each method, without what axes decide.
var table = func() (out struct {
	Axes  map[string]Axes
	Plans map[results.Method]Plan
}) {
	tomlfile.Embedded("plans.toml", plansSource, &out)
	return out
}()

// The axes that plans.toml has.
var (
	DefaultAxes, QuickAxes, FullAxes = table.Axes["default"], table.Axes["quick"], table.Axes["full"]
	DesignAxes, QuickDesignAxes      = table.Axes["designs"], table.Axes["quick-designs"]
)

// VMs returns those to create: all sizes with each way to number vCPUs. That
// of a single vCPU is the same shuffled.
func (a Axes) VMs() []measure.VM {
	var vms []measure.VM
	for _, ids := range a.IDs {
		for _, n := range a.Sizes {
			if ids != measure.Shuffled || n > 1 {
				vms = append(vms, measure.VM{VCPUs: n, IDs: ids})
			}
		}
	}
	return vms
}

// cached returns the VMs that are measured by the state of the caches: walks and
// lookups in all of them do not depend on whether IDs are shuffled.
func (a Axes) cached() []measure.VM {
	return slices.DeleteFunc(a.VMs(), func(vm measure.VM) bool { return vm.IDs == measure.Shuffled || vm.VCPUs == 65 })
}

// NewPlan measures along the axes: exact counts in one round, times in several. Who waits while VMs
// grow and what lookups are worth is measured in guests alone; in user space lookups are alone, but
// for those while vCPUs are created.
func NewPlan(method results.Method, a Axes) Plan {
	p, vms := table.Plans[method], a.VMs()
	if method == results.Running || method == results.Native {
		a.Growth, a.Paths = 0, nil
	}
	if method == results.Native {
		caches := &measure.Caches{VMs: a.cached(), States: measure.States, Blocks: 3}
		if a.Designs {
			p, vms = table.Plans["designs"], nil
			caches.VMs = []measure.VM{{VCPUs: slices.Max(a.Sizes), IDs: measure.Dense}}
		}
		p.Params.Caches = caches
		if a.Readers > 0 {
			// With two runs for each vCPU it is created about as often as by
			// KVM_CREATE_VCPU.
			p.Params.Readers = &measure.Readers{VCPUs: a.Readers, Growths: 3, RunNanos: 10_000}
		}
	}
	if method != results.Native {
		for _, n := range a.Counted {
			p.Params.Counted = append(p.Params.Counted, measure.VM{VCPUs: n, IDs: measure.Dense})
		}
	}
	p.Method, p.Seed, p.Optional = method, 1, a.Designs
	p.Params.VMs, p.Params.Orders = vms, a.Orders
	if a.Growth > 0 {
		p.Params.Stalls = &measure.Stalls{VCPUs: a.Growth, QuietNanos: 50_000_000, Devices: ioeventfds}
	}
	if len(a.Paths) > 0 {
		// An emulated processor that waits takes no time. Times are of more
		// operations, because there is more noise.
		paths := &measure.Paths{Restore: true, Ops: 16, Repeat: 5, QuietNanos: 20_000_000, SettleNanos: 1_200_000_000}
		if !method.Exact() {
			paths.Ops, paths.Repeat, paths.QuietNanos = 32, 8, 1_000_000
		}
		// IDs are sparse: that is where lookups by ID are slow, and the rest of
		// the paths does not care.
		for _, n := range a.Paths {
			paths.VMs = append(paths.VMs, measure.VM{VCPUs: n, IDs: measure.Sparse})
		}
		p.Params.Paths = paths
	}
	return p
}

// Count adds VMs of so many vCPUs, with dense and with sparse IDs, whose memory
// is counted and nothing else. The most that KVM takes on x86 is MaxVCPUs.
func (p *Plan) Count(vcpus int) {
	for _, ids := range []measure.IDs{measure.Dense, measure.Sparse} {
		p.Params.Counted = append(p.Params.Counted, measure.VM{VCPUs: vcpus, IDs: ids})
	}
}

type boot struct {
	kernel int // its index
	results.Which
}

// boots are those of all rounds, each round shuffled.
func (p Plan) boots(kernels []results.Kernel) []boot {
	var all []boot
	rng := rand.New(rand.NewPCG(p.Seed, uint64(len(kernels))))
	for round := range p.Rounds {
		which := results.Which{Kernel: kernels[0].Name, Again: true, Round: round, Method: p.Method}
		boots := []boot{{0, which}}
		which.Again = false
		for n, k := range kernels {
			if !slices.Contains(p.Without, k.Name) {
				which.Kernel = k.Name
				boots = append(boots, boot{n, which})
			}
		}
		rng.Shuffle(len(boots), func(i, j int) { boots[i], boots[j] = boots[j], boots[i] })
		all = append(all, boots...)
	}
	return all
}
