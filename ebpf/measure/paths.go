// SPDX-License-Identifier: GPL-2.0-only

package measure

import "vcpulab/ebpf/paths"

// Paths are the parameters of the measurement of what lookups are worth where
// KVM uses them.
type Paths struct {
	// VMs are those whose guests have KVM look vCPUs up.
	VMs []VM `json:"vms"`
	// Ops is N: how many operations a run has. They are done in runs of N and
	// of 2N, Repeat times, to tell what one takes with all around it, and
	// once more with the function in brackets.
	Ops    int `json:"ops"`
	Repeat int `json:"repeat"`
	// Break makes the measurement one that must be thrown away; nil for all
	// but tests of that.
	Break *PathBreak `json:"break,omitempty"`
}

// MaxPathOps is the most that Paths.Ops can be: each operation of a run has a
// vector of its own.
const MaxPathOps = 32

// PathBreak is what is wrong with a measurement on purpose.
type PathBreak struct {
	// Without is the end of the name of a program that is not attached.
	Without string `json:"without,omitempty"`
	// Deaf is a vCPU, by index, whose local APIC takes no interrupts; 0 is
	// none.
	Deaf int `json:"deaf,omitempty"`
}

// Path is something that a guest has KVM do, for which KVM looks vCPUs up.
type Path string

// The paths.
const (
	// PathIPI is an IPI to all vCPUs but the sender, by the local APIC in
	// xAPIC mode.
	PathIPI Path = "ipi-broadcast"
)

// AllPaths lists the paths in the order in which they are measured.
var AllPaths = []Path{PathIPI}

// Function returns the function of KVM that is bracketed: the innermost one
// around the lookups that there is on every kernel.
func (p Path) Function() string {
	return map[Path]string{
		PathIPI: "__kvm_irq_delivery_to_apic",
	}[p]
}

// The types of sample.
const (
	TypePath  = "path"
	TypeStart = "start"
)

// PathSample is a sample: what a path costs on one VM. Times are in nanoseconds
// of the guest's clock.
type PathSample struct {
	VM   VM   `json:"vm"`
	Path Path `json:"path"`
	// Function is what is bracketed, Ops is N.
	Function string `json:"function"`
	Ops      int    `json:"ops"`
	// Once and Twice are runs of N and of 2N operations with all that they
	// take: guest, exits, and user space. Nothing is bracketed meanwhile.
	Once  []int64 `json:"once_ns"`
	Twice []int64 `json:"twice_ns"`
	// Calls are all calls of the function in a run of N operations.
	Calls []int64 `json:"calls_ns"`
	// Bracket is what one takes around a function that does nothing.
	Bracket int64 `json:"bracket_ns"`
}

// Start is a sample: what a VM took to start, from KVM_CREATE_VM on.
type Start struct {
	VM VM `json:"vm"`
	// Created is when it had all its vCPUs, Ran when each had run once.
	Created int64 `json:"created_ns"`
	Ran     int64 `json:"ran_ns"`
}

// MaxCalls is the most calls that a sample has.
const MaxCalls = paths.MaxCalls
