// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"fmt"
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
	// Arm is how it is measured.
	Arm results.Arm
	// Parallel is how many guests run at a time. Only an arm that counts
	// instructions may have more than one: its figures do not depend on
	// what else the machine does.
	Parallel int
	// Seed shuffles the order of the boots.
	Seed uint64
}

// MaxVCPUs is how many vCPUs a VM has at most: KVM_MAX_VCPUS of x86.
const MaxVCPUs = 4096

// sizes are the numbers of vCPUs to measure at: the xarray gets one level
// deeper after 1 and after 64.
var sizes = []int{1, 8, 64, 65, 512, 1024}

// DefaultPlan measures dense and sparse IDs at all sizes. Exact counts need
// one round; times need several.
func DefaultPlan(arm results.Arm) Plan {
	p := Plan{
		Params:   measure.Params{LoopNanos: 1_000_000, Repeat: 2, MaxNumbers: 32},
		Rounds:   1,
		Arm:      arm,
		Parallel: 2,
		Seed:     1,
	}
	if !arm.Exact() {
		p.Params.LoopNanos, p.Params.Repeat = 5_000_000, 9
		p.Rounds, p.Parallel = 7, 1
	}
	for _, ids := range []measure.IDs{measure.Dense, measure.Sparse} {
		for _, n := range sizes {
			p.Params.VMs = append(p.Params.VMs, measure.VM{VCPUs: n, IDs: ids})
		}
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
	case p.Rounds < 1 || p.Parallel < 1:
		return fmt.Errorf("plan: expected at least one round and one guest at a time, found %d and %d",
			p.Rounds, p.Parallel)
	case p.Parallel > 1 && !p.Arm.Exact():
		return fmt.Errorf("plan: %d guests at a time would disturb each other's times", p.Parallel)
	case len(p.Params.VMs) == 0:
		return fmt.Errorf("plan: no VM to measure")
	case p.Params.LoopNanos < 1 || p.Params.Repeat < 1 || p.Params.MaxNumbers < 1:
		return fmt.Errorf("plan: expected positive numbers of nanoseconds, repetitions and vCPUs to look up, found %d, %d and %d",
			p.Params.LoopNanos, p.Params.Repeat, p.Params.MaxNumbers)
	}
	for _, vm := range slices.Concat(p.Params.VMs, p.Params.Counted) {
		if vm.VCPUs < 1 || vm.VCPUs > MaxVCPUs {
			return fmt.Errorf("plan: a VM with %d vCPUs: expected 1 to %d", vm.VCPUs, MaxVCPUs)
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

// boots lists the boots of all rounds, each round shuffled.
func (p Plan) boots(kernels int) []boot {
	rng := rand.New(rand.NewPCG(p.Seed, uint64(kernels)))
	var all []boot
	for round := range p.Rounds {
		one := []boot{{0, true, round}}
		for k := range kernels {
			one = append(one, boot{k, false, round})
		}
		rng.Shuffle(len(one), func(i, j int) { one[i], one[j] = one[j], one[i] })
		all = append(all, one...)
	}
	return all
}
