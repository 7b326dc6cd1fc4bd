// SPDX-License-Identifier: GPL-2.0-only

package measure

// Readers asks for lookups while another thread creates vCPUs in the same VM.
type Readers struct {
	// VCPUs is how many the VM grows to, from one on, Growths how often.
	VCPUs   int `json:"vcpus"`
	Growths int `json:"growths"`
	// RunNanos is how long a run of lookups should be, in nanoseconds, with
	// all vCPUs there. Two are made for each size of the VM at least.
	RunNanos int64 `json:"run_ns"`
}

// Race is a sample: lookups in a VM that grows, by the thread that creates the vCPUs,
// in turn with that, i.e. alone; and by another one, beside it. The vCPUs that came
// last are looked up. Every lookup found what it should.
type Race struct {
	VM VM `json:"vm"` // as it is in the end
	Op Op `json:"op"`
	// Readers and Creators are the numbers of the processors of the two threads.
	Reader  int `json:"reader_cpu"`
	Creator int `json:"creator_cpu"`
	// Siblings says that the two are threads of one core and share its caches.
	Siblings bool `json:"siblings,omitempty"`
	// Alone and Beside are what a lookup took in each growth, in nanoseconds
	// on the processor, the mean over all sizes of the VM; AloneOwn and
	// BesideOwn what of that is the loop's.
	Alone     []float64 `json:"alone_ns"`
	AloneOwn  []float64 `json:"alone_own_ns"`
	Beside    []float64 `json:"beside_ns"`
	BesideOwn []float64 `json:"beside_own_ns"`
	// Create is what it took to put all vCPUs but the first into the VM's
	// containers while nobody looked vCPUs up in it, and CreateBeside while
	// the other thread did, in nanoseconds.
	Create       int64 `json:"create_ns"`
	CreateBeside int64 `json:"create_beside_ns"`
}

// RacesOf lists what is raced for with so many vCPUs: a walk and looking up by
// index do not depend on the IDs.
func (r Readers) RacesOf() []Race {
	dense, sparse := VM{r.VCPUs, Dense}, VM{r.VCPUs, Sparse}
	return []Race{{VM: dense, Op: Get}, {VM: dense, Op: ByID}, {VM: sparse, Op: ByID}, {VM: dense, Op: Walk}}
}
