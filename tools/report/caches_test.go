// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// withCached adds walks and lookups in states of the caches to a real run: patched's
// walks are fast unless the lines are in no cache.
func withCached(t *testing.T, r *results.Results, patched map[measure.State]float64) *results.Results {
	t.Helper()
	asked := measure.Caches{States: measure.States}
	for _, column := range []string{"base", "base-again", "patched"} {
		name, again := strings.CutSuffix(column, "-again")
		b := results.Boot{Which: results.Which{Kernel: name, Again: again, Method: results.Native}}
		for _, n := range []int{1, 8, 1024} {
			c := measure.Cached{
				VM: measure.VM{VCPUs: n, IDs: measure.Dense}, Writer: 1, Ascending: n / 2, Own: []float64{20},
				Rates: [2]float64{2, 2}, Paces: [2]float64{800, 800},
				Lines: []measure.Line{{VCPU: 2, Container: 2}, {VCPU: 150, Container: 2}, {VCPU: 130, Container: 120}},
			}
			for _, v := range asked.VisitsOf(c.VM) {
				each := map[measure.State]float64{measure.Hot: 15, measure.Written: 65, measure.Flushed: 82.5}[v.State]
				if name == "patched" {
					each = patched[v.State]
				}
				if v.Op == measure.Walk {
					each *= float64(n)
				}
				c.Visits = append(c.Visits, measure.VisitSample{Visit: v, Nanos: []float64{each + 20}})
			}
			b.Cached = append(b.Cached, c)
		}
		r.Boots = append(r.Boots, b)
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

var fastUnlessFlushed = map[measure.State]float64{measure.Hot: 6, measure.Written: 12.5, measure.Flushed: 137}

// TestCached shows in all forms what the caches say.
func TestCached(t *testing.T) {
	r := withCached(t, upTo(t, readFixture(t), 8), fastUnlessFlushed)
	for writer, wants := range map[string][]string{
		"table": {
			"By the state of the cache lines that are read, ", "kvm_for_each_vcpu(), reads vcpu_id, mode just written elsewhere",
			"kvm_for_each_vcpu(), sets a request, in no cache", "kvm_get_vcpu_by_id(), dense IDs, in no cache",
			"5.2x faster", "1.7x slower", "were flushed on all processors",
		},
		"brief":    {"Walk, vcpu_id, just written", "Walk, request, just written"},
		"markdown": {"By the state of the caches, kvm_get_vcpu(), mode just written elsewhere"},
		"html":     {"per vCPU, reads vcpu_id, in no cache", "slower"},
	} {
		got := strings.Join(strings.Fields(string(render(t, writer, r))), " ")
		got = strings.NewReplacer(`\`, "", "`", "").Replace(got)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q", writer, want)
			}
		}
	}
}

// TestTimedMail has a table of them after that of instructions.
func TestTimedMail(t *testing.T) {
	var b bytes.Buffer
	if err := Mail(&b, withCached(t, readFixture(t), fastUnlessFlushed)); err != nil {
		t.Fatal(err)
	}
	counted, timed, ok := strings.Cut(b.String(), "\nNanoseconds, of the lookups alone")
	if !ok || strings.Contains(counted, "Walk, vcpu_id") || !strings.Contains(timed, "  Walk, vcpu_id, just written") || strings.Contains(timed, "kvm_get_vcpu()") {
		t.Errorf("expected two tables, each of its own lines, found\n%s", b.String())
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 76 {
			t.Errorf("expected at most 75 columns, found %q", line)
		}
	}
}

// TestTimedDigest quotes walks by the state of the caches, and nothing that
// instructions were counted of.
func TestTimedDigest(t *testing.T) {
	r := withCached(t, readFixture(t), fastUnlessFlushed)
	var counted, timed bytes.Buffer
	if err := Digest(&counted, r); err != nil {
		t.Fatal(err)
	}
	if err := TimedDigest(&timed, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(counted.String(), "written elsewhere") {
		t.Errorf("expected instructions, found\n%s", counted.String())
	}
	want := "| `kvm_for_each_vcpu()` per vCPU, reads vcpu_id, mode just written elsewhere | 1 to 1024 vCPUs |"
	if rows := strings.Count(timed.String(), "\n| `"); rows != 3 || !strings.Contains(timed.String(), want) {
		t.Errorf("expected 3 rows, one of them %q, found\n%s", want, timed.String())
	}
	if err := TimedDigest(&timed, readFixture(t)); err == nil {
		t.Error("expected an error where nothing was timed")
	}
}

// TestWalkGoal holds walks to the baseline's, where vCPUs are in some cache and there
// are several.
func TestWalkGoal(t *testing.T) {
	for name, tt := range map[string]struct {
		patched map[measure.State]float64
		missed  int
	}{
		"faster":               {fastUnlessFlushed, 0},
		"as fast, within 5 %":  {map[measure.State]float64{measure.Hot: 15.6, measure.Written: 67, measure.Flushed: 82}, 0},
		"slower where written": {map[measure.State]float64{measure.Hot: 6, measure.Written: 150, measure.Flushed: 82}, 4},
		"slower where hot":     {map[measure.State]float64{measure.Hot: 20, measure.Written: 12, measure.Flushed: 82}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			r := withCached(t, upTo(t, readFixture(t), 8), tt.patched)
			before, after := newSheet(upTo(t, readFixture(t), 8)).Goals(), newSheet(r).Goals()
			if held, missed := after.All-before.All, len(after.Missed)-len(before.Missed); held != 8 || missed != tt.missed {
				t.Errorf("expected 8 curves to be held to a goal and %d to miss it, found %d and %v", tt.missed, held, after.Missed)
			}
		})
	}
}
