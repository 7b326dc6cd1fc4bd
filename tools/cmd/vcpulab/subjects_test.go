// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/bench"
	"vcpulab/tools/exit"
	"vcpulab/tools/figure"
	"vcpulab/tools/mutant"
	"vcpulab/tools/results"
	"vcpulab/tools/series"
	"vcpulab/tools/variant"
)

// TestVariantsAsked: a kernel that is wrong on purpose is measured only if it
// is asked for by name.
func TestVariantsAsked(t *testing.T) {
	l := &lab{root: "../../.."}
	for name, tt := range map[string]struct {
		names []string
		all   bool
		want  bool
	}{
		"nothing":     {nil, false, false},
		"all":         {nil, true, false},
		"by name":     {[]string{"stalls"}, false, true},
		"both":        {[]string{"stalls"}, true, true},
		"another one": {[]string{"list"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := l.variants(tt.names, tt.all)
			if err != nil {
				t.Fatal(err)
			}
			if found := slices.ContainsFunc(got, func(v variant.Variant) bool { return v.Name == "stalls" }); found != tt.want {
				t.Errorf("expected %v, found it among %v", tt.want, variant.Names(got))
			}
			if tt.all && len(got) < 6 {
				t.Errorf("expected all others, found %v", variant.Names(got))
			}
		})
	}
}

// TestGrowTo: what the flags say goes into the plan.
func TestGrowTo(t *testing.T) {
	none, some := 0, 100
	slow, fast := "100", "1000"
	for name, tt := range map[string]struct {
		c      benchRunCmd
		want   int
		config string
	}{
		"default": {benchRunCmd{}, bench.DefaultAxes.Growth, configDefault},
		"quick":   {benchRunCmd{Quick: true, HZ: &fast}, bench.QuickAxes.Growth, configDefault},
		"none":    {benchRunCmd{Quick: true, GrowTo: &none}, 0, configDefault},
		"some":    {benchRunCmd{GrowTo: &some, HZ: &slow}, 100, configHZ100},
	} {
		if got := tt.c.axes().Growth; got != tt.want {
			t.Errorf("%s: expected growth to %d, found %d", name, tt.want, got)
		}
		if got := tt.c.kernelFlags().Config; got != tt.config {
			t.Errorf("%s: expected configuration %s, found %s", name, tt.config, got)
		}
	}
}

// TestOfRivals: mutants of a set that a rival needs are of all sets.
func TestOfRivals(t *testing.T) {
	sets := &series.Sets{All: []series.Set{{Name: "ids"}}, Rivals: []series.Set{{Name: "kept"}, {Name: "segments"}}}
	of := func(set string) *mutant.Mutant { return &mutant.Mutant{Set: set} }
	ids, kept, another, none := of("ids"), of("kept"), of("kept"), of("")
	got := ofRivals(sets, []*mutant.Mutant{ids, kept, another, none}, []*mutant.Mutant{ids, another, none})
	want := []stackMutants{
		{"", []*mutant.Mutant{ids, none}, []*mutant.Mutant{ids, none}},
		{"kept", []*mutant.Mutant{another}, []*mutant.Mutant{kept, another}},
	}
	if !slices.EqualFunc(got, want, func(a, b stackMutants) bool {
		return a.rival == b.rival && slices.Equal(a.mutants, b.mutants) && slices.Equal(a.tested, b.tested)
	}) {
		t.Errorf("expected %v, found %v", want, got)
	}
}

// TestCheckGoals: a run fails if a goal is missed and nothing says why.
func TestCheckGoals(t *testing.T) {
	r, err := results.Read("../../results/testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	err = checkGoals(r)
	if exit.Code(err) != exit.CheckFailed || !strings.Contains(err.Error(), "for no known reason: Memory of what holds a VM's vCPUs, sparse IDs:") {
		t.Errorf("expected the memory of a map that is too large to be told, found %v", err)
	}

	r.Figures = slices.DeleteFunc(r.Figures, func(f results.Figure) bool { return f.Key.Op == figure.Memory })
	if err := checkGoals(r); err != nil {
		t.Error(err)
	}
}
