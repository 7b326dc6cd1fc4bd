// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// withRaces adds a method of user space to a real run: base's creations wait for readers,
// patched's do not.
func withRaces(t *testing.T, r *results.Results) *results.Results {
	t.Helper()
	for _, column := range []string{"base", "base-again", "patched"} {
		name, again := strings.CutSuffix(column, "-again")
		b := results.Boot{Which: results.Which{Kernel: name, Again: again, Method: results.Native}}
		for i, race := range (measure.Readers{VCPUs: 1024}).RacesOf() {
			cost, create := float64(10*(i+1)), int64(800_000)
			if name == "patched" {
				cost, create = 1, 300_000
			}
			race.Alone, race.AloneOwn = []float64{cost + 0.5}, []float64{0.5}
			race.Beside, race.BesideOwn = []float64{1.1*cost + 0.5}, []float64{0.5}
			race.Create, race.CreateBeside = 280_000, create
			race.Creator = 1
			b.Races = append(b.Races, race)
		}
		r.Boots = append(r.Boots, b)
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRaces shows who disturbs whom, in all forms.
func TestRaces(t *testing.T) {
	r := withRaces(t, upTo(t, readFixture(t), 8))
	r.Omitted = []results.Omitted{{Method: results.KVM, What: "everything", Why: "no KVM"}}
	for writer, wants := range map[string][]string{
		"table": {
			"Lookups of the newest vCPUs while a VM grows, alone and beside who creates them",
			"kvm_get_vcpu_by_id(), sparse IDs, beside", "without lookups", "beside kvm_get_vcpu()",
			"kvm_get_vcpu(): creation", "2.86", "1.07", "2.7x less disturbed",
			"looks up the vCPUs that came last", "Not measured (KVM): everything: no KVM.",
		},
		"markdown": {"without lookups", "2.7x less disturbed", "Not measured (KVM): everything: no KVM."},
		"html": {
			"the container’s part, beside kvm_get_vcpu(), over alone", "beside creations, over alone",
			"Not measured (KVM): everything: no KVM.",
		},
	} {
		got := strings.Join(strings.Fields(string(render(t, writer, r))), " ")
		got = strings.NewReplacer(`\`, "", "&#39;", "’", "'", "’").Replace(got)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q", writer, want)
			}
		}
	}
	r.Boots[len(r.Boots)-1].Races[0].Siblings = true
	r.Boots = r.Boots[len(r.Boots)-1:]
	if got := strings.Join(strings.Fields(string(render(t, "table", r))), " "); !strings.Contains(got, "are threads of one core and share its caches") {
		t.Error("does not say that the processors are threads of one core")
	}
}

// TestCycles shows them in a table of their own, and not as the method's unit.
func TestCycles(t *testing.T) {
	r := upTo(t, readFixture(t), 8)
	for i := range r.Boots {
		b := &r.Boots[i]
		b.Method, b.Creates, b.Memory = results.Native, nil, nil
		for j := range b.Loops {
			l := &b.Loops[j]
			l.OnceCycles, l.TwiceCycles = l.Once, l.Twice
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	for _, writer := range []string{"table", "markdown", "html"} {
		got := strings.ReplaceAll(string(render(t, writer, r)), "`", "")
		for _, want := range []string{"Cycles of the processor", "kvm_get_vcpu_by_id(), missing, sparse IDs", "fewer"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q", writer, want)
			}
		}
		if strings.Contains(got, "cycles/op") && writer == "table" || strings.Contains(got, "Other") {
			t.Errorf("%s: a figure has no place", writer)
		}
	}
}
