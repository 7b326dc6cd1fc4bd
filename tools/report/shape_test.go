// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
)

// TestPlace says under which label a figure stands, and whether a plot shows it.
func TestPlace(t *testing.T) {
	for name, want := range map[string]struct {
		kind  kind
		label string
		drawn bool
	}{
		"get/vcpus=8/ids=dense":                 {kindGet, "", true},
		"get/vcpus=8/ids=dense/order=same":      {kindGet, "the same each time", false},
		"get/vcpus=8/ids=dense/order=random":    {kindGet, "random order", false},
		"get/vcpus=8/ids=dense/order=backwards": {kindGet, "backwards order", false},
		"by_id/vcpus=8/ids=dense":               {kindByID, "dense IDs", true},
		"by_id/vcpus=8/ids=sparse/order=random": {kindByID, "sparse IDs, random order", false},
		"by_id/vcpus=8/ids=shuffled":            {kindByID, "shuffled IDs", false},
		"by_id/vcpus=8/ids=shuffled/missing":    {kindByID, "missing, shuffled IDs", false},
		"walk/vcpus=8/ids=dense":                {kindWalk, "", true},
		"get/vcpus=8/ids=dense/temperature=hot": {kindOther, "", true},
		"create/vcpus=8/ids=dense/at=0":         {kindCreate, "dense IDs", true},
	} {
		k, label, _, ok := parseShape(name).place(8)
		if k != want.kind || label != want.label || !ok || usual(label) != want.drawn {
			t.Errorf("%s: expected kind %d, label %q, drawn %v, found %d, %q, %v (%v)", name, want.kind, want.label, want.drawn, k, label, usual(label), ok)
		}
	}
}

// TestOrders: other orders have rows of their own, and no line in a plot.
func TestOrders(t *testing.T) {
	r := upTo(t, readFixture(t), 8)
	for i := range r.Boots {
		b := &r.Boots[i]
		for _, l := range slices.Clone(b.Loops) {
			if l.Op == measure.Get {
				l.Order = measure.Random
				b.Loops = append(b.Loops, l)
			}
		}
	}
	before := strings.Count(string(render(t, "html", r)), "<svg")
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	table := string(render(t, "table", r))
	if !strings.Contains(table, "  random order ") {
		t.Errorf("expected rows in random order, found none:\n%s", table)
	}
	page := string(render(t, "html", r))
	if after := strings.Count(page, "<svg"); after != before || !strings.Contains(page, "random order") {
		t.Errorf("expected %d plots, and random order in the page, found %d", before, after)
	}
}
