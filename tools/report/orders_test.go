// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
)

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
