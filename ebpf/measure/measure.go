// SPDX-License-Identifier: GPL-2.0-only

// Package measure holds what the host and the guest say to each other about a
// measurement: the parameters of a wire.JobMeasure, and the samples that come
// back.
//
// All times are in nanoseconds of the guest's CLOCK_MONOTONIC. Under TCG with
// -icount shift=0 that clock counts instructions, one a nanosecond.
package measure

// Params are the parameters of a wire.JobMeasure.
type Params struct {
	VMs []VM `json:"vms"`
	// Counted are VMs whose memory is counted, as that of VMs is, and
	// nothing else: what they cost grows with the square of their size on
	// some kernels. They come after VMs.
	Counted []VM `json:"counted,omitempty"`
	// Stalls asks who waits while a VM grows; nil does not.
	Stalls *Stalls `json:"stalls,omitempty"`
	// Paths asks what lookups are worth where KVM uses them; nil does not.
	Paths *Paths `json:"paths,omitempty"`
	// Readers asks for lookups while vCPUs are created, nil does not. It
	// takes two processors, and is for user space alone.
	Readers *Readers `json:"readers,omitempty"`
	// Cycles asks for the processor's cycles besides time, in user space.
	Cycles bool `json:"cycles,omitempty"`
	// LoopNanos is how long a loop should run, in nanoseconds. The longest
	// pass decides if it takes longer.
	LoopNanos int64 `json:"loop_ns"`
	// Repeat is how often each loop runs with N passes and with 2N.
	Repeat int `json:"repeat"`
	// MaxNumbers bounds the numbers of a pass; they are spread evenly over
	// the vCPUs.
	MaxNumbers int `json:"max_numbers"`
	// Orders are those in which vCPUs are looked up; none is Sequential.
	Orders []Order `json:"orders,omitempty"`
	// NoMemory leaves out what VMs take: the module cannot count it if it was
	// built where the kernel's own headers of its allocators are not.
	NoMemory bool `json:"no_memory,omitempty"`
}

// The types of sample.
const (
	TypeSizes  = "sizes"
	TypeLoop   = "loop"
	TypeCreate = "create"
	TypeMemory = "memory"
	TypeClock  = "clock"
)

// Clock is a sample, the last one: the kernel's clock source before the first
// measurement and after the last.
type Clock struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// Sizes is a sample: what the kernel's structures take, in bytes.
type Sizes struct {
	KVM  uint32 `json:"kvm"`      // sizeof(struct kvm)
	VCPU uint32 `json:"kvm_vcpu"` // sizeof(struct kvm_vcpu)
}

// Memory is a sample: what a VM takes with all its vCPUs, in bytes, by the
// account of the kernel's allocators. What pads an object is its own.
type Memory struct {
	VM VM `json:"vm"`
	// Container is all that holds the vCPUs and is neither struct kvm nor
	// struct kvm_vcpu, Objects of how many objects it is the sum.
	Container uint64 `json:"container"`
	Objects   uint32 `json:"objects"`
	// KVM and VCPU are the objects that have struct kvm and one struct
	// kvm_vcpu, the architecture's part included.
	KVM  uint64 `json:"kvm"`
	VCPU uint64 `json:"kvm_vcpu"`
}

// Loop is a sample: the runs of one loop on one VM.
type Loop struct {
	VM VM `json:"vm"`
	Op Op `json:"op"`
	// Missing says that no vCPU has any of the numbers.
	Missing bool `json:"missing,omitempty"`
	// Order is that in which the numbers come, "" for Sequential.
	Order Order `json:"order,omitempty"`
	// Numbers is how many numbers a pass looks up.
	Numbers int `json:"numbers"`
	// Passes is N.
	Passes int `json:"passes"`
	// Once and Twice are the runs with N and with 2N passes, in nanoseconds
	// from the loop's entry to its return.
	Once  []int64 `json:"once_ns"`
	Twice []int64 `json:"twice_ns"`
	// OnceCycles and TwiceCycles are the processor's cycles of these runs, none
	// if they were not counted.
	OnceCycles  []int64 `json:"once_cycles,omitempty"`
	TwiceCycles []int64 `json:"twice_cycles,omitempty"`
}

// Create is a sample: all KVM_CREATE_VCPU of one VM, by ordinal. The slices
// have the length VM.VCPUs.
type Create struct {
	VM VM `json:"vm"`
	// Nanos is the whole ioctl, ArchNanos kvm_arch_vcpu_create() in it.
	Nanos     []int64 `json:"ns"`
	ArchNanos []int64 `json:"arch_ns"`
	// Waits is how many grace periods were waited for, by kernel function,
	// and WaitNanos for how long. Functions that were not called are absent.
	Waits     map[string]uint64 `json:"waits,omitempty"`
	WaitNanos map[string]int64  `json:"wait_ns,omitempty"`
}
