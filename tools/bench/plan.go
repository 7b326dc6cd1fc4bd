// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// Plan says what to measure and how often.
type Plan struct {
	// Params go to the guest.
	Params measure.Params
	// Rounds is how often every kernel is booted.
	Rounds int
	// Method is how it is measured.
	Method results.Method
	// Parallel is how many guests run at a time. Only a method that counts
	// instructions may have more than one: its figures do not depend on
	// what else the machine does.
	Parallel int
	// Seed shuffles the order of the boots.
	Seed uint64
}

// MaxPathVCPUs is how many vCPUs a VM has at most whose guest has KVM look them
// up: their Hyper-V VP indices, which are as sparse as their IDs, are less than
// MaxVCPUs.
const MaxPathVCPUs = MaxVCPUs / 4

// MaxRounds is how often each kernel is booted at most. All samples are kept in
// memory.
const MaxRounds = 1000

// MaxVCPUs is how many vCPUs a VM has at most: KVM_MAX_VCPUS of x86.
const MaxVCPUs = 4096

// Axes are what a measurement goes through, each combination of them.
type Axes struct {
	// Sizes are the numbers of vCPUs of the VMs. The xarray gets one level
	// deeper after 1 and after 64.
	Sizes []int
	// IDs are the ways to number vCPUs, and Orders the orders in which they
	// are looked up.
	IDs    []measure.IDs
	Orders []measure.Order
	// Growth is how many vCPUs the VM gets of which is watched who waits
	// while it grows, 0 if none is.
	Growth int
	// Paths are the numbers of vCPUs of the VMs whose guests have KVM look
	// vCPUs up.
	Paths []int
	// Readers is how many vCPUs a VM gets while another thread looks vCPUs up
	// in it, in user space; 0 if none is.
	Readers int
}

// DefaultAxes are those of a run of ten minutes, QuickAxes those of one of two.
// FullAxes are all.
func DefaultAxes() Axes {
	return Axes{
		Sizes:  []int{1, 8, 64, 65, 512, 1024},
		IDs:    []measure.IDs{measure.Dense, measure.Sparse},
		Orders: []measure.Order{measure.Sequential},
		Growth: growth, Readers: readers,
		Paths: []int{8, 64, 512},
	}
}

// QuickAxes are the sizes of DefaultAxes that tell most.
func QuickAxes() Axes {
	a := DefaultAxes()
	a.Sizes = []int{1, 64, 1024}
	a.Growth = 66
	a.Paths = []int{64}
	return a
}

// FullAxes are all that there is to measure, up to 1024 vCPUs.
func FullAxes() Axes {
	return Axes{
		Sizes:  []int{1, 2, 8, 63, 64, 65, 255, 512, 1024},
		IDs:    measure.AllIDs,
		Orders: measure.AllOrders,
		Growth: growth, Readers: readers,
		Paths: []int{8, 64, 512, 1024},
	}
}

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

// growth is what VMs grow to by default: that is beyond the last time that an
// array of less than 1025 entries doubles.
const growth = 520

// pathOps is how many operations a guest does in a run, pathRepeat how often it
// does so many, and pathQuiet how long nothing is done before: an emulated
// processor that waits takes no time. Times are of more operations, because there
// is more noise.
const (
	pathOps         = 16
	pathRepeat      = 5
	pathQuiet       = 20_000_000
	pathSettle      = 1_200_000_000
	pathOpsTimes    = 32
	pathRepeatTimes = 8
	pathQuietTimes  = 1_000_000
)

// pathVMs returns those whose guests have KVM look vCPUs up. IDs are sparse: that
// is where lookups by ID are slow, and the rest of the paths does not care.
func (a Axes) pathVMs() []measure.VM {
	var vms []measure.VM
	for _, n := range a.Paths {
		vms = append(vms, measure.VM{VCPUs: n, IDs: measure.Sparse})
	}
	return vms
}

// readers is what VMs grow to in user space while vCPUs are looked up in them,
// readerGrowths how often in a process, and readerNanos how long a run of lookups is:
// with two runs for each vCPU it is created about as often as by KVM_CREATE_VCPU.
const (
	readers       = 1024
	readerGrowths = 3
	readerNanos   = 10_000
)

// quietNanos is how long a vCPU is watched before and after its VM grows.
const quietNanos = 50_000_000

// NewPlan measures along the axes. Exact counts need one round; times need
// several.
func NewPlan(method results.Method, a Axes) Plan {
	p := Plan{
		Params:   measure.Params{VMs: a.VMs(), LoopNanos: 1_000_000, Repeat: 2, MaxNumbers: 32, Orders: a.Orders},
		Rounds:   1,
		Method:   method,
		Parallel: 2,
		Seed:     1,
	}
	if a.Growth > 0 {
		p.Params.Stalls = &measure.Stalls{VCPUs: a.Growth, QuietNanos: quietNanos}
	}
	if len(a.Paths) > 0 {
		p.Params.Paths = &measure.Paths{VMs: a.pathVMs(), Ops: pathOps, Repeat: pathRepeat, QuietNanos: pathQuiet, SettleNanos: pathSettle}
		if !method.Exact() {
			p.Params.Paths.Ops, p.Params.Paths.Repeat, p.Params.Paths.QuietNanos = pathOpsTimes, pathRepeatTimes, pathQuietTimes
		}
	}
	if !method.Exact() {
		p.Params.LoopNanos, p.Params.Repeat = 5_000_000, 9
		p.Rounds, p.Parallel = 7, 1
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

// check refuses a plan that would measure nothing, or something else.
func (p Plan) check() error {
	switch {
	case p.Rounds < 1 || p.Rounds > MaxRounds || p.Parallel < 1:
		return fmt.Errorf("plan: expected at least one round, at most %d, and at least one guest at a time, found %d and %d",
			MaxRounds, p.Rounds, p.Parallel)
	case p.Parallel > 1 && !p.Method.Exact():
		return fmt.Errorf("plan: %d guests at a time would disturb each other's times", p.Parallel)
	case len(p.Params.VMs) == 0:
		return fmt.Errorf("plan: no VM to measure")
	case p.Params.LoopNanos < 1 || p.Params.Repeat < 1 || p.Params.MaxNumbers < 1:
		return fmt.Errorf("plan: expected positive numbers of nanoseconds, repetitions and vCPUs to look up, found %d, %d and %d",
			p.Params.LoopNanos, p.Params.Repeat, p.Params.MaxNumbers)
	}
	if s := p.Params.Stalls; s != nil && (s.VCPUs < 2 || s.VCPUs > MaxVCPUs || s.QuietNanos < 1) {
		return fmt.Errorf("plan: a VM that grows: expected 2 to %d vCPUs and some time, found %d and %d ns", MaxVCPUs, s.VCPUs, s.QuietNanos)
	}
	var used []measure.VM
	if s := p.Params.Paths; s != nil {
		used = s.VMs
		if s.Ops < 1 || s.Ops > measure.MaxPathOps || s.Repeat < 1 || s.Ops*s.Repeat > measure.MaxCalls || s.QuietNanos < 0 || s.SettleNanos < 0 {
			return fmt.Errorf("plan: paths: expected 1 to %d operations, at least once and %d in all, found %d and %d",
				measure.MaxPathOps, measure.MaxCalls, s.Ops, s.Repeat)
		}
	}
	if r := p.Params.Readers; r != nil && (r.VCPUs < 2 || r.VCPUs > MaxVCPUs || r.Growths < 1 || r.RunNanos < 1 || p.Method != results.Native) {
		return fmt.Errorf("plan: lookups while vCPUs are created: expected user space, 2 to %d vCPUs and some time, found %s, %+v", MaxVCPUs, p.Method, *r)
	}
	for _, vms := range [][]measure.VM{p.Params.VMs, used} {
		for i, vm := range vms {
			if slices.Contains(vms[:i], vm) {
				return fmt.Errorf("plan: the VM %v is there twice", vm)
			}
		}
	}
	for _, vm := range used {
		if vm.VCPUs < 2 || vm.VCPUs > MaxPathVCPUs {
			return fmt.Errorf("plan: paths: a VM with %d vCPUs: expected 2 to %d", vm.VCPUs, MaxPathVCPUs)
		}
	}
	for _, vm := range slices.Concat(p.Params.VMs, p.Params.Counted, used) {
		if vm.VCPUs < 1 || vm.VCPUs > MaxVCPUs {
			return fmt.Errorf("plan: a VM with %d vCPUs: expected 1 to %d", vm.VCPUs, MaxVCPUs)
		}
		if !slices.Contains(measure.AllIDs, vm.IDs) {
			return fmt.Errorf("plan: expected IDs to be one of %v, found %q", measure.AllIDs, vm.IDs)
		}
	}
	for i, o := range p.Params.Orders {
		if !slices.Contains(measure.AllOrders, o) || slices.Contains(p.Params.Orders[:i], o) {
			return fmt.Errorf("plan: expected orders to be some of %v, each once, found %q", measure.AllOrders, p.Params.Orders)
		}
	}
	return nil
}

// boot is a boot to be done.
type boot struct {
	kernel int // index of the kernel
	again  bool
	round  int
}

// boots yields the boots of all rounds, each round shuffled.
func (p Plan) boots(kernels int) iter.Seq[boot] {
	return func(yield func(boot) bool) {
		rng := rand.New(rand.NewPCG(p.Seed, uint64(kernels)))
		for round := range p.Rounds {
			boots := []boot{{0, true, round}}
			for k := range kernels {
				boots = append(boots, boot{k, false, round})
			}
			rng.Shuffle(len(boots), func(i, j int) { boots[i], boots[j] = boots[j], boots[i] })

			for _, b := range boots {
				if !yield(b) {
					return
				}
			}
		}
	}
}
