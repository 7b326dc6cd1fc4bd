// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// The buckets of values.
const (
	bucket4000  = 143
	bucket9000  = 161
	bucket20000 = 179
)

// withStalls adds a search for who waits to each boot of a real run: a kernel
// on which no thread waits, and with stalled one on which all do.
func withStalls(t testing.TB, r *results.Results, stalled string) *results.Results {
	t.Helper()
	vm := measure.VM{VCPUs: 520, IDs: measure.Dense}
	for i := range r.Boots {
		b := &r.Boots[i]
		bad := b.Kernel == stalled
		slot := measure.Call{Nanos: 60000, Blocked: 1, BlockedNanos: 20000, LongestNanos: 20000,
			Waits: map[string]uint64{"synchronize_srcu_expedited": 1}}
		for _, phase := range []measure.Phase{"", measure.Slots} {
			g := measure.Growth{VM: vm, Phase: phase, Create: make([]measure.Call, 520)}
			if bad {
				g.Create[16] = measure.Call{Waits: map[string]uint64{"synchronize_rcu": 1},
					Blocked: 1, LongestNanos: 3_000_000, Stack: []string{"schedule", "synchronize_rcu", "kvm_vm_ioctl"}}
			}
			g.Slots = []measure.SlotCalls{{VCPU: 17, After: slot, Control: slot}, {VCPU: 18, After: slot, Control: slot}}
			b.Growths = append(b.Growths, g)
		}
		for _, phase := range measure.Phases {
			g := measure.Gaps{
				VM: vm, Phase: phase,
				Ran: []measure.BucketCount{{Bucket: bucket4000, Count: 9990},
					{Bucket: bucket9000, Count: 9}, {Bucket: bucket20000, Count: 1}},
				RanSum: measure.GapSum{Count: 10000, Largest: 20000 + int64(i)},
				Guest:  measure.GuestGaps{KHz: 1_000_000, Count: 10000, Largest: 30000},
			}
			if bad && phase == measure.During {
				g.Blocked = measure.GapSum{Count: 6, Nanos: 9_000_000, Largest: 3_000_000}
				g.Longest = &measure.Call{Blocked: 1, LongestNanos: 2_900_000,
					Stack: []string{"schedule", "__mutex_lock", "kvm_emulate_cpuid"}}
			}
			b.Gaps = append(b.Gaps, g)
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStalls shows who waits: no thread, and all.
func TestStalls(t *testing.T) {
	for name, tt := range map[string]struct {
		stalled string
		table   []string // lines of the table, without what is around
		page    []string
		not     string
	}{
		"no thread": {"", []string{
			"all KVM_CREATE_VCPU 520 0 = 0 same <= 0",
			"next memslot call, vCPU runs 520 1 = 1 same <= 1",
			"while its VM grows 520 0 = 0 same <= 0",
			"before its VM grows 520 4,095 = 4,095 same",
			"before its VM grows 520 20,000 20,001 20,002",
		}, []string{"No running vCPU and no KVM_CREATE_VCPU waited for anything."}, "longest, for"},
		"all": {"patched", []string{
			"all KVM_CREATE_VCPU 520 0 = 1 +1 <= 0 missed",
			"next memslot call 520 1 = 1 same <= 1",
			"while its VM grows 520 0 = 6 +6 <= 0 missed",
		}, []string{
			"patched: a running vCPU waited 6 times while its VM grows, longest, for 2,900,000 ns of the virtual clock, in schedule &lt; __mutex_lock &lt; kvm_emulate_cpuid.",
			"patched: KVM_CREATE_VCPU waited 1 times with no vCPU running, longest, for 3,000,000 ns of the virtual clock, in schedule &lt; synchronize_rcu &lt; kvm_vm_ioctl.",
		}, "waited for anything"},
	} {
		t.Run(name, func(t *testing.T) {
			r := withStalls(t, readFixture(t), tt.stalled)
			var table, page bytes.Buffer
			if err := Table(&table, r, false); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for line := range strings.Lines(table.String()) {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
			for _, want := range tt.table {
				if !slices.Contains(lines, want) {
					t.Errorf("expected a line %q, found\n%s", want, table.String())
				}
			}
			if err := HTML(&page, r); err != nil {
				t.Fatal(err)
			}
			for _, want := range append(tt.page, "Exit to entry, while its VM grows", "Exit to entry, before its VM grows") {
				if !strings.Contains(page.String(), want) {
					t.Errorf("expected the page to have %q", want)
				}
			}
			if strings.Contains(page.String(), tt.not) {
				t.Errorf("expected the page not to have %q", tt.not)
			}
			// The longest of thousands is not in the noise floor of the rest.
			if n := noiseOf(r).repetition(results.ICount); strings.HasPrefix(n.Worst.Name(), "gaps") || n.Figures != noiseOf(readFixture(t)).repetition(results.ICount).Figures {
				t.Errorf("gaps are in the noise floor of all figures: %+v", n)
			}
		})
	}
}

// TestCompareStalls: figures that depend on chance are not compared, waits are.
func TestCompareStalls(t *testing.T) {
	old, new := withStalls(t, readFixture(t), ""), withStalls(t, readFixture(t), "patched")
	found := make(map[string]Compared)
	for _, c := range Compare(old, new).Figures {
		if c.Kernel == "patched" {
			found[c.Name] = c
		}
	}
	for name, want := range map[string]Verdict{
		"grow/vcpus=520/while=idle/create-waits":                   Worse,
		"grow/vcpus=520/while=idle/slot=after-growth/slot-waits":   Same,
		"grow/vcpus=520/while=idle/slot=after-growth/slot-blocked": Chance,
		"gaps/vcpus=520/phase=during/blocked":                      Worse,
		"gaps/vcpus=520/phase=during/p99.9":                        Same,
		"gaps/vcpus=520/phase=during/max":                          Chance,
	} {
		if got := found[name]; got.Verdict != want {
			t.Errorf("%s: expected %s, found %+v", name, want, got)
		}
	}
	if c := Compare(old, old); !c.Good() || c.Count(Chance) == 0 {
		t.Errorf("a measurement is not as good as itself: %d worse, %d not comparable, %d left to chance",
			c.Count(Worse), c.Count(Incomparable), c.Count(Chance))
	}
}

// TestGapLine: how many in a million are longer, of all boots of a kernel.
func TestGapLine(t *testing.T) {
	s := newSheet(withStalls(t, readFixture(t), ""))
	line, _ := s.gapLine(results.ICount, s.base, measure.During)
	low, _ := measure.Bounds(bucket4000)
	_, most := measure.Bounds(bucket4000)
	_, few := measure.Bounds(bucket9000)
	want := []point{{float64(low), 1e6}, {float64(most), 1000}, {float64(few), 100}}
	if !slices.Equal(line, want) {
		t.Errorf("expected %v, found %v", want, line)
	}
}
