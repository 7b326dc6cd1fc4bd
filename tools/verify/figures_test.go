// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"fmt"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
	"vcpulab/tools/series"
)

// TestFigures holds a row of each kind to the measurement that is kept.
func TestFigures(t *testing.T) {
	for name, c := range map[string]struct {
		rows string
		want []string
	}{
		"as measured": {"  kvm_get_vcpu()                          1         69         12\n" +
			"                                       1024        119         12\n", nil},
		"another figure":         {"  kvm_get_vcpu()                          1         69         23\n", []string{"get/vcpus=1/ids=dense of patched", "expected: 12", "found:    23"}},
		"another figure, base":   {"  kvm_get_vcpu()                          1         70         12\n", []string{"get/vcpus=1/ids=dense of base", "expected: 69"}},
		"in the second row":      {"  kvm_get_vcpu()                          1         69         12\n                                       1024        119         13\n", []string{"vcpus=1024", "found:    13"}},
		"of another kind of VM":  {"  kvm_get_vcpu_by_id(), no match          1        208          8\n   - if IDs aren't indices                1        208          8\n", []string{"ids=sparse/missing", "expected: 33"}},
		"of the operation above": {"  Memory to hold vCPUs, bytes          1024      9,928      8,192\n   - if IDs aren't indices             1024      9,928     16,896\n", nil},
		"in millions":            {"  KVM_CREATE_VCPU, all of a VM         1024   144.65 M    45.65 M\n", nil},
		"in millions, too few":   {"  KVM_CREATE_VCPU, all of a VM         1024   144.65 M    25.65 M\n", []string{"found:    25.65 M"}},
		"not measured":           {"  kvm_get_vcpu()                        333         69         12\n", []string{"was not measured"}},
		"of something else":      {"  sizeof(struct kvm)                      1       6976       6968\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t, labCover, "Two small steps.\n", "Two small steps:\n\n"+c.rows+"\n")
			s.Tables = "../../ci/verify"
			want(t, findings(t, figures, s), c.want...)
		})
	}
}

// TestRivalFigures: what a rival quotes is of its own column.
func TestRivalFigures(t *testing.T) {
	measured, err := results.Read("../../ci/verify/figures-rivals.json")
	if err != nil {
		t.Fatal(err)
	}
	key := figure.VM(figure.Get, measure.VM{VCPUs: 64, IDs: measure.Dense})
	for _, name := range []string{"kept", "segments"} {
		before, ok := measured.Find(key, measured.Kernels[0].Name, results.ICount)
		after, measuredToo := measured.Find(key, name, results.ICount)
		if !ok || !measuredToo {
			t.Fatalf("%s: not measured", name)
		}
		row := func(value float64) string {
			return fmt.Sprintf("Two small steps:\n\n  kvm_get_vcpu()  %24d  %10.0f  %10.0f\n\n", 64, before.Value, value)
		}
		s := small(t, labCover, "Two small steps.\n", row(after.Value))
		s.Tables, s.Set, s.Rival = "../../ci/verify", name, true
		want(t, findings(t, figures, s))
		s = small(t, labCover, "Two small steps.\n", row(after.Value+1))
		s.Tables, s.Set, s.Rival = "../../ci/verify", name, true
		want(t, findings(t, figures, s), "vcpus=64/ids=dense of "+name)
	}
}

// TestOwnFigures: the sets quote figures, so that the check has something to
// compare.
func TestOwnFigures(t *testing.T) {
	s, err := series.LoadStack("../../patches", "")
	if err != nil {
		t.Fatal(err)
	}
	sets, err := series.LoadSets("../../patches")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, p := range s.Patches {
		rows += len(quotedRows(p.Message))
	}
	for _, set := range sets.All {
		of, err := series.Load("../../patches/" + set.Name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(of.Cover.Message, "before      after") && len(quotedRows(of.Cover.Message)) < 3 {
			t.Errorf("%s: the table of the cover letter is not read", set.Name)
		}
		rows += len(quotedRows(of.Cover.Message))
	}
	if rows < 20 {
		t.Errorf("expected at least 20 rows, found %d", rows)
	}
}
