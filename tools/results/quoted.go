// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"reflect"
	"slices"

	"vcpulab/tools/figure"
)

// Quoted returns what documents quote of r, and what it was measured on: figures that are summed
// up, have a line in the main table or are compared of designs. Counts that depend on where
// interrupts hit are left out, so that others can be compared with the rest. Boots have lost their
// samples, and the baseline its repetition.
func (r *Results) Quoted() *Results {
	out := *r
	out.Boots = nil
	for _, b := range r.Boots {
		out.Boots = append(out.Boots, Boot{Which: b.Which, Command: b.Command, BootID: b.BootID, Release: b.Release, Cmdline: b.Cmdline, Clock: b.Clock, Seconds: b.Seconds})
	}
	out.Figures = slices.DeleteFunc(slices.Clone(r.Figures), func(f Figure) bool {
		op := f.Key.Operation()
		ofDesigns := r.HasDesigns() && slices.ContainsFunc(figure.Columns, func(c figure.Column) bool { return c.Has(f.Key, f.Method) })
		chance := op.Compare == figure.Chance || op.Chancy && f.Method == ICount
		summed := op.Summary != nil || len(op.Lines) > 0
		return r.Boots[f.Boots[0]].Again || !ofDesigns && (chance || !summed)
	})
	return &out
}

// HasDesigns says that there are designs to compare, the baseline's and another.
func (r *Results) HasDesigns() bool {
	has := func(k Kernel) bool { return k.Design != nil }
	return len(r.Kernels) > 0 && has(r.Kernels[0]) && slices.ContainsFunc(r.Kernels[1:], has)
}

// Beside adds to what is quoted of r what was kept of methods that r lacks, if
// there is any. The kernels must be the same.
func (r *Results) Beside(kept *Results) error {
	of := func(m Method) func(Boot) bool { return func(b Boot) bool { return b.Method == m } }
	lacking := func(b Boot) bool { return !slices.ContainsFunc(r.Boots, of(b.Method)) }
	if slices.ContainsFunc(kept.Boots, lacking) && !reflect.DeepEqual(r.Kernels, kept.Kernels) {
		return fmt.Errorf("results: what is kept was measured on other kernels: measure with all methods at once")
	}
	where := make(map[int]int) // boots of kept in r
	for i, b := range kept.Boots {
		if !slices.ContainsFunc(r.Boots[:len(r.Boots)-len(where)], of(b.Method)) {
			where[i] = len(r.Boots)
			r.Boots = append(r.Boots, b)
		}
	}
	for _, f := range kept.Figures {
		if _, added := where[f.Boots[0]]; !added {
			continue
		}
		f.Boots = slices.Clone(f.Boots)
		for i, b := range f.Boots {
			f.Boots[i] = where[b]
		}
		r.Figures = append(r.Figures, f)
	}
	return nil
}
