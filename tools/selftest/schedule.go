// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"cmp"
	"path"
	"slices"
	"sync"
	"time"

	"vcpulab/tools/vm"
)

// usual is about how long tests take under TCG on an idle host, in seconds. It
// decides which start first until that was measured.
var usual = map[string]float64{
	"hardware_disable_test":  endless,
	"kvm_page_table_test":    endless,
	"rseq_test":              endless,
	"kvm_create_max_vcpus":   10,
	"recalc_apic_map_test":   6,
	"xapic_ipi_test":         5,
	"set_boot_cpu_id":        0.3,
	"kvm_binary_stats_test":  0.2,
	"max_vcpuid_cap_test":    0.1,
	"vgic_irq":               5,
	"vgic_its_save":          5,
	"xen_shinfo_test":        5,
	"sync_regs_test":         8,
	"set_memory_region_test": 30,
}

const (
	// endless stands for tests that do not end under TCG in any reasonable time.
	endless = float64(limitEndless / time.Second)
	// unknown is the expected time of an unknown test, in seconds.
	unknown = 2
)

func (o Options) elsewhere(name string) Result {
	if i := slices.IndexFunc(o.Elsewhere, func(r Result) bool { return r.Name == name }); i >= 0 {
		return o.Elsewhere[i]
	}
	return Result{}
}

// known is how long a test took on another kernel, in seconds, 0 if it did not end.
func (o Options) known(name string) float64 {
	if r := o.elsewhere(name); r.Outcome.finished() {
		return r.Seconds
	}
	return 0
}

// expected is how long a test should take, in seconds: as long as on the other
// kernel, as long as the last time, or as usual.
func (o Options) expected(name string) float64 {
	return cmp.Or(o.known(name), o.History[name].Seconds, usual[path.Base(name)], unknown)
}

// The time that a test is given. The kernel's own limit for KVM's tests is
// 120 s, meant for real hardware.
const (
	limitKVM = 120 * time.Second
	limitTCG = 240 * time.Second
	// limitEndless is for tests that do not end under TCG: they are started to
	// see what they do to the kernel.
	limitEndless = 120 * time.Second
	limitUsual   = 10 * time.Minute // bounds what usualSlack gives
	limitKnown   = 90 * time.Second // at least, of a test that ended on the other kernel

	// How many times as long a test may take as usual, as the last time and as on the
	// other kernel: a host with other things to do is slow.
	usualSlack   = 40
	historySlack = 3
	knownSlack   = 10
)

// limit is the time that a test is given. One that did not end on the other
// kernel is given the same time as there.
func (o Options) limit(name string) time.Duration {
	most := limitTCG
	if o.Accel == vm.KVM {
		most = limitKVM
	}
	most = cmp.Or(o.Limit, most)
	if known := seconds(o.known(name)); known > 0 {
		return max(knownSlack*known, min(limitKnown, most))
	}
	switch usually := usual[path.Base(name)]; {
	case usually != endless:
		most = max(most, min(limitUsual, usualSlack*seconds(usually)))
	case o.Accel != vm.KVM:
		return min(limitEndless, most)
	}
	if t := o.History[name]; t.Ended {
		most = max(most, historySlack*seconds(t.Seconds))
	}
	return most
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// batchSeconds is how much work a guest gets at least, in expected seconds, to
// make up for its boot; less than leftSeconds is not left to another guest.
const batchSeconds, leftSeconds = 8, 3

// queue hands out tests in batches, the longest first, to several goroutines.
type queue struct {
	guests int
	opts   Options

	mu    sync.Mutex
	tests []Test
}

func newQueue(tests []Test, guests int, o Options) *queue {
	q := &queue{guests: guests, opts: o, tests: slices.Clone(tests)}
	if o.InOrder {
		return q
	}
	slices.SortStableFunc(q.tests, func(a, b Test) int {
		return cmp.Or(cmp.Compare(a.Machine, b.Machine), cmp.Compare(o.expected(b.Name), o.expected(a.Name)), cmp.Compare(a.Name, b.Name))
	})
	return q
}

// next returns the tests for the next guest, which are for the same machine; none when
// none are left. The share of a guest shrinks, so that all end at about the same time.
func (q *queue) next() []Test {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := 0.0
	for _, t := range q.tests {
		left += q.opts.expected(t.Name)
	}
	share := max(batchSeconds, left/float64(2*q.guests))
	n := 0
	for got := 0.0; n < len(q.tests) && q.tests[n].Machine == q.tests[0].Machine && (q.opts.InOrder || got < share || left-got < leftSeconds); n++ {
		got += q.opts.expected(q.tests[n].Name)
	}
	batch := q.tests[:n:n]
	q.tests = q.tests[n:]
	return batch
}

// putBack returns tests that were not run: they come next.
func (q *queue) putBack(tests []Test) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tests = append(slices.Clone(tests), q.tests...)
}
