// SPDX-License-Identifier: GPL-2.0-only

package measure

// Stalls are the parameters of measuring who waits while a VM grows.
type Stalls struct {
	VCPUs int `json:"vcpus"` // how large the VMs get
	// QuietNanos is how long a vCPU is watched before and after, in nanoseconds.
	QuietNanos int64 `json:"quiet_ns"`
	// Devices is how many ioeventfds a VM gets, besides an irqchip and a PIT, of
	// which the first calls are watched after that; 0 watches none.
	Devices int   `json:"ioeventfds,omitempty"`
	Break   Break `json:"break,omitzero"` // breaks the measurement, for tests that this is noticed
}

// Break is what a test breaks.
type Break struct {
	// Ring is the size of the probes' ring buffer in bytes, a power of two; 0
	// means the usual size.
	Ring int `json:"ring,omitempty"`
	// Without names programs that are not attached, or of those that bracket one
	// function after the other the ends of their names.
	Without []string `json:"without,omitempty"`
	Idle    bool     `json:"idle,omitempty"`  // does not run the vCPU of Stalls
	Awake   bool     `json:"awake,omitempty"` // does not run the vCPU of Stalls that is to wait in KVM_RUN
	// Deaf is a vCPU of Paths, by index, whose local APIC takes no interrupts; 0 is none.
	Deaf int  `json:"deaf,omitempty"`
	Lazy bool `json:"lazy,omitempty"` // leaves one operation out of each run of Paths that is bracketed
}

// Phase is what goes on while a vCPU runs and its gaps are watched, or what the vCPU
// does while its VM grows.
type Phase string

// The phases. In the last two no gaps are watched.
const (
	Before Phase = "before" // nothing, before the VM grows
	During Phase = "during" // the vCPU's own VM grows to its full size
	After  Phase = "after"  // nothing, after that
	None   Phase = "none"   // nothing, for as long as During took
	Other  Phase = "other"  // another VM grows
	Slots  Phase = "slots"  // the VM grows, and its memory slots change as it does
	Halted Phase = "halted" // the VM grows, and its vCPU is halted in KVM_RUN
	Stuck  Phase = "stuck"  // the VM grows, and its vCPU is in KVM_RUN, in a fault that is never resolved
)

// MaxPhases is how many phases the probes and the payload tell apart.
const MaxPhases = 8

// Phases lists those in which gaps are watched, in the order in which they are measured.
var Phases = []Phase{Before, During, After, None, Other, Slots}

// Growths lists what VMs grow beside, in the order in which they are measured; nothing
// stands for no vCPU that is in KVM_RUN.
var Growths = []Phase{"", During, Other, Slots, Halted, Stuck}

// Runs tells whether a vCPU runs in this phase.
func (p Phase) Runs() bool { return p != "" && p != Halted && p != Stuck }

// GrowsFrom returns the ordinal of the first vCPU that is created in this phase.
func (p Phase) GrowsFrom() int {
	if p == "" || p == Other {
		return 1
	}
	return 2 // the one that runs or waits was there before
}

// TableFull tells whether the container of a VM with so many vCPUs has to grow for the
// next one: an array that doubles when it is full and begins with 1 and 8 entries, and an
// xarray, which gets a node each 64 entries, at least at the last of them.
func TableFull(vcpus int) bool {
	return vcpus == 1 || vcpus >= 8 && vcpus&(vcpus-1) == 0
}

// SlotsChange tells whether memory slots are changed after the creation of the nth vCPU, from 1 on:
// wherever the container grows, after the next one, and after each of the first 16.
func SlotsChange(n int) bool {
	return n > 1 && (n <= 16 || TableFull(n-1) || TableFull(n-2))
}

// Waits names the kernel functions that wait for a grace period, in the order of
// enum wait of the probes. Samples have the same names.
var Waits = [...]string{
	"synchronize_rcu", "synchronize_rcu_expedited",
	"synchronize_srcu", "synchronize_srcu_expedited",
}

// Deferrals names the kernel functions that free memory after a grace period
// without waiting for it, in the order of enum deferral of the probes.
var Deferrals = [...]string{"call_rcu", "call_srcu", "kvfree_call_rcu"}

// Call is an ioctl: KVM_CREATE_VCPU or KVM_SET_USER_MEMORY_REGION. Times are in
// nanoseconds of the guest's clock.
type Call struct {
	Nanos          int64  `json:"ns"`
	ArchNanos      int64  `json:"arch_ns,omitempty"`   // in kvm_arch_vcpu_create()
	Preempted      uint64 `json:"preempted,omitempty"` // how often the scheduler ran another thread
	PreemptedNanos int64  `json:"preempted_ns,omitempty"`
	Blocked        uint64 `json:"blocked,omitempty"` // how often the thread waited for something
	BlockedNanos   int64  `json:"blocked_ns,omitempty"`
	LongestNanos   int64  `json:"longest_ns,omitempty"`
	// Stack is where in the kernel the longest wait began, the innermost function first.
	Stack          []string `json:"stack,omitempty"`
	Contended      uint64   `json:"contended,omitempty"` // how many locks were held by another thread
	ContendedNanos int64    `json:"contended_ns,omitempty"`
	// Waits is the number of waits for a grace period, by kernel function, and WaitNanos their
	// time. Deferred counts calls that free memory after one without waiting for it.
	Waits     map[string]uint64 `json:"waits,omitempty"`
	WaitNanos map[string]int64  `json:"wait_ns,omitempty"`
	Deferred  map[string]uint64 `json:"deferred,omitempty"`
	Kicks     uint64            `json:"kicks,omitempty"` // how often the call woke up a vCPU or made it leave the guest
}

// On returns the time that the call was on a processor.
func (c Call) On() int64 { return c.Nanos - c.PreemptedNanos - c.BlockedNanos }

// GracePeriods returns how many grace periods the call waited for.
func (c Call) GracePeriods() uint64 {
	sum := uint64(0)
	for _, n := range c.Waits {
		sum += n
	}
	return sum
}

// Growth is a sample: the ioctls of the thread that made a VM grow.
type Growth struct {
	VM     VM          `json:"vm"`
	Phase  Phase       `json:"phase,omitempty"` // what goes on beside it, one of Growths
	Create []Call      `json:"create"`          // all KVM_CREATE_VCPU, by ordinal
	Slots  []SlotCalls `json:"slots,omitempty"` // the changes of memory slots, by ordinal of the creation
}

// Setup is a sample: the first calls of a VM that a monitor sets up. A device on a bus of KVM's leaves
// a callback of SRCU's behind, for which what waits for SRCU may have to wait.
type Setup struct {
	// Devices is how many ioeventfds there were, besides an irqchip and a PIT; 0
	// means that there was no device at all.
	Devices int  `json:"ioeventfds"`
	Slot    Call `json:"slot"` // the first KVM_SET_USER_MEMORY_REGION
	VCPU    Call `json:"vcpu"` // the first KVM_CREATE_VCPU
}

// SlotCalls are two KVM_SET_USER_MEMORY_REGION that add the same slot: one after
// the creation of a vCPU, the other after nothing but the deletion of the slot.
type SlotCalls struct {
	VCPU    int  `json:"vcpu"` // the nth, from 1 on
	After   Call `json:"after"`
	Control Call `json:"control"`
}

// Gaps is a sample: the gaps between a vCPU's exits and its next entries in a
// phase. The vCPU exits all the time, and KVM handles that in the kernel.
type Gaps struct {
	VM    VM    `json:"vm"` // of the vCPU, fully grown
	Phase Phase `json:"phase"`
	Nanos int64 `json:"ns"` // how long the phase took
	// Ran are the gaps in which the vCPU's thread stayed on the processor, by
	// bucket (see Bounds), the others by why it did not.
	Ran       []BucketCount `json:"ran"`
	Preempted GapSum        `json:"preempted"`
	Blocked   GapSum        `json:"blocked"`
	Halted    GapSum        `json:"halted"`
	User      GapSum        `json:"user"`
	RanSum    GapSum        `json:"ran_sum"`           // the sum of Ran
	Longest   *Call         `json:"longest,omitempty"` // the gap that was blocked longest, absent if none was
	Guest     GuestGaps     `json:"guest"`             // the gaps that the vCPU itself saw
	Exits     uint64        `json:"exits"`             // those of the vCPU in all its phases
	Entries   uint64        `json:"entries"`           // the same
	All       uint64        `json:"gaps"`              // between these
}

// GapSum is a sum of gaps.
type GapSum struct {
	Count   uint64 `json:"n"`
	Nanos   int64  `json:"ns"`
	Largest int64  `json:"largest_ns"`
}

// BucketCount is how many values a bucket has.
type BucketCount struct {
	Bucket int    `json:"b"`
	Count  uint64 `json:"n"`
}

// CountBuckets returns the buckets that are not empty.
func CountBuckets(counts []uint64) []BucketCount {
	out := []BucketCount{}
	for b, n := range counts {
		if n > 0 {
			out = append(out, BucketCount{b, n})
		}
	}
	return out
}

// GuestGaps are what the code in a vCPU saw: how far the time stamp counter went
// from one of its exits to the next, its own instructions included.
type GuestGaps struct {
	KHz     int64         `json:"tsc_khz"` // of the counter
	Count   uint64        `json:"n"`
	Largest uint32        `json:"largest"` // ticks, math.MaxUint32 if it was more
	Buckets []BucketCount `json:"buckets"` // by power of two
}

// Nanos returns ticks of the vCPU's time stamp counter in nanoseconds.
func (g GuestGaps) Nanos(ticks uint32) int64 { return int64(ticks) * 1_000_000 / max(g.KHz, 1) }

// The buckets of a histogram, as in buckets.h of the probes.
const (
	bucketShift = 4
	bucketSteps = 1 << bucketShift
	NumBuckets  = (64 - bucketShift + 1) * bucketSteps // how many buckets there are
)

// Bounds returns the smallest and the largest value of a bucket: a power of two has
// 16 of them, a value below 16 one of its own.
func Bounds(bucket int) (low, high uint64) {
	if bucket < bucketSteps {
		return uint64(bucket), uint64(bucket)
	}
	shift := bucket>>bucketShift - 1
	low = uint64(bucketSteps+bucket&(bucketSteps-1)) << shift
	return low, low + 1<<shift - 1
}
