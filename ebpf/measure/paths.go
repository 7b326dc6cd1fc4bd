// SPDX-License-Identifier: GPL-2.0-only

package measure

// Paths are the parameters of measuring what lookups cost where KVM uses
// them.
type Paths struct {
	// VMs are those whose guests have KVM look vCPUs up.
	VMs []VM `json:"vms"`
	// Ops is N: how many operations a run has. Runs of N and of 2N, Repeat
	// times, give the cost of an operation with everything around it; as many
	// runs of N follow with the function in brackets.
	Ops    int `json:"ops"`
	Repeat int `json:"repeat"`
	// QuietNanos is the pause before a run, in nanoseconds. Go's runtime looks
	// every 20 microseconds whether a system call takes long, and less often
	// after a pause.
	QuietNanos int64 `json:"quiet_ns"`
	// SettleNanos is the pause after a VM has started: KVM's code for local
	// APICs that are off, and for guests of Xen's, is patched out a second
	// after the last of them.
	SettleNanos int64 `json:"settle_ns"`
	// Break breaks the measurement, for tests that this is noticed.
	Break Break `json:"break,omitzero"`
}

// MaxPathOps bounds Paths.Ops: each operation of a run has a vector of its own.
const MaxPathOps = 32

// Path is an operation of a guest for which KVM looks vCPUs up.
type Path string

// The paths.
const (
	// PathRequest is a request to all vCPUs, which Hyper-V's hypercall to
	// flush the TLBs of all of them makes.
	PathRequest Path = "request-all"
	// PathYield is Hyper-V's hypercall of a vCPU that has spun for long: a
	// search for a vCPU to yield to, which finds none.
	PathYield Path = "yield"
	// PathIPI is an IPI to all vCPUs but the sender, by the local APIC in
	// xAPIC mode.
	PathIPI Path = "ipi-broadcast"
	// PathHyperVIPI is an IPI to one vCPU, by Hyper-V's hypercall for VP
	// indices of any size.
	PathHyperVIPI Path = "hyperv-ipi"
	// PathSynIC is an interrupt of Hyper-V's SynIC that user space raises, for
	// the VP index that it is routed to.
	PathSynIC Path = "hyperv-synic"
	// PathXenSend is the guest's own hypercall to send an event of Xen's to
	// one vCPU, PathXenIoctl is user space's KVM_XEN_HVM_EVTCHN_SEND.
	PathXenSend  Path = "xen-send"
	PathXenIoctl Path = "xen-ioctl"
	// PathDirtyRing is KVM_RESET_DIRTY_RINGS after the guest wrote to one page.
	PathDirtyRing Path = "dirty-ring"
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
	VM   VM   `json:"vm"`
	Path Path `json:"path"`
	// Function is what is bracketed, Ops is N.
	Function string `json:"function"`
	Ops      int    `json:"ops"`
	// Once and Twice are runs of N and of 2N operations with everything: guest,
	// exits, and user space. Nothing is bracketed meanwhile.
	Once  []int64 `json:"once_ns"`
	Twice []int64 `json:"twice_ns"`
	// Calls are all calls of the function in as many runs of N operations, one
	// call each.
	Calls []int64 `json:"calls_ns"`
	// Bracket is the cost of a bracket around a function that does nothing.
	Bracket int64 `json:"bracket_ns"`
}

// Start is a sample: the time from KVM_CREATE_VM on.
type Start struct {
	VM VM `json:"vm"`
	// Created is when the VM had all its vCPUs, Ran when each had run once.
	Created int64 `json:"created_ns"`
	Ran     int64 `json:"ran_ns"`
}

// MaxCalls is the most calls that a sample has: as many as the probes keep.
const MaxCalls = 256
