// SPDX-License-Identifier: GPL-2.0-only

package measure

// State is what became of the cache lines that a walk or a lookup reads, before it.
type State string

// The states.
const (
	Hot     State = "hot"     // all were read just before
	Written State = "written" // then another processor wrote the mode of each vCPU, as when it enters its guest
	Flushed State = "flushed" // in no cache
)

// States lists them; a State's place is its number in the program that measures.
var States = []State{Hot, Written, Flushed}

// Body is what a walk does with each vCPU.
type Body string

// The bodies.
const (
	Nothing Body = "nothing" // takes its address
	ReadID  Body = "id"      // reads vcpu_id
	Arch    Body = "arch"    // reads a pointer of the architecture's part
	Request Body = "request" // sets a bit of requests
)

// Bodies lists them; a Body's place is its number in the program that measures.
var Bodies = []Body{Nothing, ReadID, Arch, Request}

// Caches asks for walks and lookups in states of the caches.
type Caches struct {
	VMs    []VM    `json:"vms"`
	States []State `json:"states"`
	// Blocks is how often all of them are measured, 21 times at most, each time in another
	// order and with vCPUs at other places in memory.
	Blocks int `json:"blocks"`
}

// BlocksOf is how often a VM is measured. What a vCPU's cache lines have in them
// depends on its place: in a VM of few it matters more which these are.
func (c Caches) BlocksOf(vm VM) int {
	if vm.VCPUs <= fewVCPUs {
		return 3 * c.Blocks
	}
	return c.Blocks
}

const fewVCPUs = 8 // up to when a VM has few

// Visit is a walk, or a lookup of a random vCPU, in a state.
type Visit struct {
	Op    Op    `json:"op"`
	Body  Body  `json:"body,omitempty"` // of a walk
	State State `json:"state"`
}

// VisitsOf lists what to measure on a VM. Walks and lookups by index do not depend
// on the IDs: they are measured where IDs are dense.
func (c Caches) VisitsOf(vm VM) []Visit {
	var out []Visit
	for _, s := range c.States {
		if vm.IDs == Dense {
			for _, b := range Bodies {
				out = append(out, Visit{Walk, b, s})
			}
			out = append(out, Visit{Op: Get, State: s})
		}
		out = append(out, Visit{Op: ByID, State: s})
	}
	return out
}

// Cached is a sample: walks and lookups in a VM, by the state of the caches, and
// what shows that they were in it.
type Cached struct {
	VM VM `json:"vm"`
	// Reader is the processor that measured, Writer the one that wrote, -1 if none did.
	Reader int `json:"reader_cpu"`
	Writer int `json:"writer_cpu"`
	// Object and Align are size and alignment of the slab objects of vCPUs, in
	// bytes. Huge says that huge pages were asked for and not refused.
	Object int  `json:"object"`
	Align  int  `json:"align"`
	Huge   bool `json:"huge"`
	// Ascending is how many of the steps from one vCPU to the next one go up in
	// memory, in all blocks.
	Ascending int `json:"ascending"`
	Moved     int `json:"moved"` // how many times were taken on another processor than Reader
	// Repeated is how many visits were made again because one of the threads
	// gave way to another program meanwhile.
	Repeated int `json:"repeated"`
	// Rates are the least and the most ticks of the time stamp counter in a
	// nanosecond of the clock, and Paces the least and the most nanoseconds of the
	// same ten thousand multiplications.
	Rates [2]float64 `json:"rates"`
	Paces [2]float64 `json:"paces_ns"`
	// Lines are what loading one line takes in each of States: the most of all
	// blocks where it is to be fast, else the least.
	Lines  []Line        `json:"lines"`
	Own    []float64     `json:"own_ns"` // what the time of a visit has besides in each block
	Visits []VisitSample `json:"visits"`
}

// Line is what it takes to load the line of a vCPU's mode, and one of the
// container, in nanoseconds.
type Line struct {
	VCPU      float64 `json:"vcpu_ns"`
	Container float64 `json:"container_ns"`
}

// VisitSample is what one visit took in each block, in nanoseconds: a lookup, or a
// walk over all vCPUs. It is the mean of the middle half of the block's visits.
type VisitSample struct {
	Visit
	Nanos []float64 `json:"ns"`
}
