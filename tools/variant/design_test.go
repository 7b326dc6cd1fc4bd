// SPDX-License-Identifier: GPL-2.0-only

package variant

import (
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/results"
	"vcpulab/tools/series"
)

// all are the committed variants and rivals.
func all(t *testing.T) (*series.Sets, []Variant) {
	t.Helper()
	sets, err := series.LoadSets(patches)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(list)
	if err != nil {
		t.Fatal(err)
	}
	if loaded, err = WithRivals(loaded, sets); err != nil {
		t.Fatal(err)
	}
	return sets, loaded
}

// TestDesigns: each rival is a design, of which is said where
// vCPUs may be looked up, and what its patches change. Milestones are none.
func TestDesigns(t *testing.T) {
	sets, variants := all(t)
	designs, err := Designs(sets, variants)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range designs {
		if d.About == "" || d.Lookups == "" {
			t.Errorf("%s: expected what it is and where lookups are allowed, found %q and %q", name, d.About, d.Lookups)
		}
		if (name == Base) != (d.Added == 0) {
			t.Errorf("%s: expected patches of each but the first, found %+v", name, d)
		}
	}
	for _, v := range variants {
		if (designs[v.Name] != nil) != v.IsDesign() || v.Through != "" && v.IsDesign() {
			t.Errorf("%s: a design: %v, described: %v", v.Name, v.IsDesign(), designs[v.Name])
		}
	}
	for _, r := range sets.Rivals {
		if designs[r.Name] == nil {
			t.Errorf("%s: expected it to be a design", r.Name)
		}
	}
	own, err := series.Load(patches + "/rivals/kept")
	if err != nil {
		t.Fatal(err)
	}
	if want, kept := own.Change(), designs["kept"]; kept.Added != want.Added || kept.Removed != want.Removed {
		t.Errorf("expected a rival's own patches to count, %+v, found %+v", want, kept)
	}
}

// TestMeasuredDesigns: the committed comparison counts the lines and the architectures of
// the patches as they are now.
func TestMeasuredDesigns(t *testing.T) {
	sets, variants := all(t)
	designs, err := Designs(sets, variants)
	if err != nil {
		t.Fatal(err)
	}
	measured, err := results.Read("../../ci/verify/figures-rivals.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range measured.Kernels {
		found, want := k.Design, designs[k.Name]
		if found == nil || want == nil {
			t.Errorf("%s: expected a design in the comparison and in the list, found %v and %v", k.Name, found, want)
			continue
		}
		if found.Added != want.Added || found.Removed != want.Removed || !slices.Equal(found.Architectures, want.Architectures) {
			t.Errorf("%s: expected +%d -%d, %v, found +%d -%d, %v: report --quoted counts them again, see patches/README.md",
				k.Name, want.Added, want.Removed, want.Architectures, found.Added, found.Removed, found.Architectures)
		}
	}
}

// TestChooseDesigns has all rivals, and refuses what is no design.
func TestChooseDesigns(t *testing.T) {
	sets, variants := all(t)
	chosen, err := ChooseDesigns(variants, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range sets.Rivals {
		if chosen[i].Name != r.Name {
			t.Errorf("expected the rivals first, found %v", Names(chosen))
		}
	}
	if chosen, err = ChooseDesigns(variants, []string{"segments", "kept"}); err != nil || !slices.Equal(Names(chosen), []string{"kept", "segments"}) {
		t.Errorf("expected two in their order, found %v: %v", Names(chosen), err)
	}
	for _, name := range []string{"list", "stalls", "bucket"} {
		_, err := ChooseDesigns(variants, []string{name})
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), `unknown design "`+name+`": expected one of `) {
			t.Errorf("%s: expected wrong use, found %v", name, err)
		}
	}
}
