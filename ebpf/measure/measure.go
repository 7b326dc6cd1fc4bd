// SPDX-License-Identifier: GPL-2.0-only

// Package measure is the vocabulary of measurements, for host and guest: the
// parameters of a wire.Job that measures and the samples that come back. It is plain data
// and imports no loader of probes.
//
// All times are in nanoseconds of the guest's CLOCK_MONOTONIC. Under TCG with
// -icount shift=0 that clock counts instructions, one a nanosecond.
package measure

// Params say what a wire.Job measures.
type Params struct {
	VMs []VM `json:"vms"`
	// Counted are VMs of which memory alone is counted, after VMs: what else they
	// cost grows with the square of their size on some kernels.
	Counted []VM    `json:"counted,omitempty"`
	Stalls  *Stalls `json:"stalls,omitempty"` // asks who waits while a VM grows; nil does not
	Paths   *Paths  `json:"paths,omitempty"`  // asks what lookups cost where KVM uses them; nil does not
	// Readers asks for lookups while vCPUs are created, nil does not. It
	// takes two processors, and is for user space alone.
	Readers *Readers `json:"readers,omitempty"`
	Caches  *Caches  `json:"caches,omitempty"` // asks for walks and lookups by the state of the caches, in user space
	Cycles  bool     `json:"cycles,omitempty"` // asks for the processor's cycles besides time, in user space
	// LoopNanos is how long a loop should run, in nanoseconds. One pass is made at least.
	LoopNanos  int64   `json:"loop_ns"`
	Repeat     int     `json:"repeat"`           // how often each loop runs with N passes and with 2N
	MaxNumbers int     `json:"max_numbers"`      // most numbers of a pass; they are spread evenly over the vCPUs
	Orders     []Order `json:"orders,omitempty"` // those in which vCPUs are looked up; none is Sequential
	// NoMemory leaves out the memory of VMs, which the module cannot count if it
	// was built without the kernel's internal headers of its allocators.
	NoMemory bool `json:"no_memory,omitempty"`
}

// Sample is one of these.
type Sample struct {
	Sizes  *Sizes      `json:"sizes,omitempty"`
	Loop   *Loop       `json:"loop,omitempty"`
	Create *Create     `json:"create,omitempty"`
	Memory *Memory     `json:"memory,omitempty"`
	Clock  *Clock      `json:"clock,omitempty"`
	Growth *Growth     `json:"growth,omitempty"`
	Gaps   *Gaps       `json:"gaps,omitempty"`
	Setup  *Setup      `json:"setup,omitempty"`
	Path   *PathSample `json:"path,omitempty"`
	Start  *Start      `json:"start,omitempty"`
}

// Clock is a sample, the last one: the kernel's clock source before the first
// measurement and after the last.
type Clock struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// Sizes is a sample: the sizes of the kernel's structures, in bytes.
type Sizes struct {
	KVM  uint32 `json:"kvm"`      // sizeof(struct kvm)
	VCPU uint32 `json:"kvm_vcpu"` // sizeof(struct kvm_vcpu)
}

// Memory is a sample: what a VM takes with all its vCPUs, in bytes, by the
// account of the kernel's allocators, with the padding of each object.
type Memory struct {
	VM VM `json:"vm"`
	// Container is everything that holds the vCPUs and is neither struct kvm nor
	// struct kvm_vcpu, Objects the number of its objects.
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
	Shape
	Numbers int `json:"numbers"` // how many numbers a pass looks up
	Passes  int `json:"passes"`  // N
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
	VM        VM      `json:"vm"`
	Nanos     []int64 `json:"ns"`      // the whole ioctl
	ArchNanos []int64 `json:"arch_ns"` // kvm_arch_vcpu_create() in it
	// Waits is the number of waits for a grace period, by kernel function, and
	// WaitNanos their time. Functions that were not called are absent.
	Waits     map[string]uint64 `json:"waits,omitempty"`
	WaitNanos map[string]int64  `json:"wait_ns,omitempty"`
}

// Readers asks for lookups while another thread creates vCPUs in the same VM.
type Readers struct {
	VCPUs   int `json:"vcpus"`   // the size that the VM grows to from one vCPU on
	Growths int `json:"growths"` // how often it does
	// RunNanos is how long a run of lookups should be, in nanoseconds, with
	// all vCPUs there. Two are made for each size of the VM at least.
	RunNanos int64 `json:"run_ns"`
}

// Race is a sample: lookups in a VM that grows, by the thread that creates the vCPUs,
// alternating with that, i.e. alone; and by another one, beside it. The vCPUs that
// came last are looked up. Every lookup found what it should.
type Race struct {
	VM       VM   `json:"vm"` // as it is in the end
	Op       Op   `json:"op"`
	Reader   int  `json:"reader_cpu"`         // the one thread's processor
	Creator  int  `json:"creator_cpu"`        // and the other's
	Siblings bool `json:"siblings,omitempty"` // these are threads of one core and share its caches
	// Alone and Beside are what a lookup took in each growth, in nanoseconds on the processor, the
	// mean over all sizes of the VM; AloneOwn and BesideOwn the part of the loop itself.
	Alone     []float64 `json:"alone_ns"`
	AloneOwn  []float64 `json:"alone_own_ns"`
	Beside    []float64 `json:"beside_ns"`
	BesideOwn []float64 `json:"beside_own_ns"`
	// Create is what it took to put all vCPUs but the first into the VM's containers
	// without lookups, and CreateBeside with those of the other thread, in nanoseconds.
	Create       int64 `json:"create_ns"`
	CreateBeside int64 `json:"create_beside_ns"`
}

// RacesOf lists the races with so many vCPUs: a walk and looking up by index do not
// depend on the IDs.
func (r Readers) RacesOf() []Race {
	dense, sparse := VM{r.VCPUs, Dense}, VM{r.VCPUs, Sparse}
	return []Race{{VM: dense, Op: Get}, {VM: dense, Op: ByID}, {VM: sparse, Op: ByID}, {VM: dense, Op: Walk}}
}

// Paths are the parameters of measuring what lookups cost where KVM uses them.
type Paths struct {
	// VMs are those whose guests have KVM look vCPUs up. One of more than
	// MaxPathVCPUs is a pool: see VM.Pool.
	VMs     []VM `json:"vms"`
	Restore bool `json:"restore,omitempty"` // also creates each of them with the state of a VM that was saved
	// Ops is N: how many operations a run has. Runs of N and of 2N, Repeat
	// times, give the cost of an operation with everything around it; as many
	// runs of N follow with the function in brackets.
	Ops    int `json:"ops"`
	Repeat int `json:"repeat"`
	// QuietNanos is the pause before a run, in nanoseconds. Go's runtime looks every 20
	// microseconds whether a system call takes long, and less often after a pause.
	QuietNanos int64 `json:"quiet_ns"`
	// SettleNanos is the pause after a VM has started: KVM's code for local APICs that
	// are off, and for guests of Xen's, is patched out a second after the last of them.
	SettleNanos int64 `json:"settle_ns"`
	Break       Break `json:"break,omitzero"` // breaks the measurement, for tests that this is noticed
}

// MaxPathOps bounds Paths.Ops: each operation of a run has a vector of its own.
const MaxPathOps = 32

// Path is an operation of a guest for which KVM looks vCPUs up.
type Path string

// The paths.
const (
	PathRequest   Path = "request-all"   // a request to all vCPUs, which Hyper-V's hypercall to flush all their TLBs makes
	PathYield     Path = "yield"         // Hyper-V's hypercall of a vCPU that has spun for long: it finds none to yield to
	PathIPI       Path = "ipi-broadcast" // an IPI to all vCPUs but the sender, by the local APIC in xAPIC mode
	PathHyperVIPI Path = "hyperv-ipi"    // an IPI to one vCPU, by Hyper-V's hypercall for VP indices of any size
	PathSynIC     Path = "hyperv-synic"  // an interrupt of Hyper-V's SynIC that user space raises, for a VP index
	PathXenSend   Path = "xen-send"      // the guest's own hypercall to send an event of Xen's to one vCPU
	PathXenIoctl  Path = "xen-ioctl"     // user space's KVM_XEN_HVM_EVTCHN_SEND
	PathDirtyRing Path = "dirty-ring"    // KVM_RESET_DIRTY_RINGS after the guest wrote to one page
)

// AllPaths lists the paths in the order in which they are measured: Xen's come
// after Hyper-V's, as their set-up would interfere.
var AllPaths = []Path{PathRequest, PathYield, PathIPI, PathHyperVIPI, PathSynIC, PathXenSend, PathXenIoctl, PathDirtyRing}

// PathFunctions are the functions of KVM that are bracketed: the innermost ones
// around the lookups that every kernel has.
var PathFunctions = map[Path]string{
	PathRequest:   "kvm_make_all_cpus_request",
	PathYield:     "kvm_vcpu_on_spin",
	PathIPI:       "__kvm_irq_delivery_to_apic",
	PathHyperVIPI: "kvm_hv_hypercall",
	PathSynIC:     "kvm_hv_synic_set_irq",
	PathXenSend:   "kvm_xen_set_evtchn_fast",
	PathXenIoctl:  "kvm_xen_set_evtchn_fast",
	PathDirtyRing: "kvm_vm_ioctl",
}

// PathSample is a sample: what a path costs on one VM. Times are in nanoseconds
// of the guest's clock.
type PathSample struct {
	VM       VM     `json:"vm"`
	Path     Path   `json:"path"`
	Function string `json:"function"` // what is bracketed
	Ops      int    `json:"ops"`      // N
	// Once and Twice are runs of N and of 2N operations with everything: guest,
	// exits, and user space. Nothing is bracketed meanwhile.
	Once  []int64 `json:"once_ns"`
	Twice []int64 `json:"twice_ns"`
	// Calls are all calls of the function in as many runs of N operations, one call each.
	Calls   []int64 `json:"calls_ns"`
	Bracket int64   `json:"bracket_ns"` // the cost of a bracket around a function that does nothing
}

// Start is a sample: the time from KVM_CREATE_VM on.
type Start struct {
	VM VM `json:"vm"`
	// Created is when the VM had all its vCPUs, Ran when each had run once, of a
	// pool those that ever run.
	Created int64 `json:"created_ns"`
	Ran     int64 `json:"ran_ns"`
	// Restored is when each vCPU of another one like it had been given the state
	// that it was saved with; 0 if that was not asked for.
	Restored int64 `json:"restored_ns,omitempty"`
}

// Calls are all calls of a function while a program ran, in nanoseconds from entry to
// return. What interrupts and other tasks took meanwhile is in them.
type Calls struct {
	Nanos   []int64 `json:"ns"`
	Bracket int64   `json:"bracket_ns"` // the cost of a bracket around a function that does nothing
}

// MaxCalls is the most calls that a sample has: as many as the probes keep.
const MaxCalls = 256
