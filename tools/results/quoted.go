// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"reflect"
	"slices"

	"vcpulab/tools/figure"
)

// ofGrowth are the operations of designs that no column shows: what those wait for who make a VM
// and its vCPUs, beside vCPUs that run or wait.
var ofGrowth = []figure.Op{
	figure.GrowWaits, figure.GrowBlocked, figure.GrowContended,
	figure.SetupSlotWaits, figure.SetupSlotBlocked, figure.SetupVCPUWaits, figure.SetupVCPUBlocked,
}

// Quoted returns what documents quote of r, and what it was measured on: figures that are summed
// up, have a line in the main table or are compared of designs. Counts that depend on where
// interrupts hit are left out, so that others can be compared with the rest, but for designs. Boots
// have lost their samples, and the baseline its repetition.
func (r *Results) Quoted() *Results {
	out := *r
	out.Boots = nil
	for _, b := range r.Boots {
		out.Boots = append(out.Boots, Boot{Which: b.Which, Command: b.Command, BootID: b.BootID, Release: b.Release, Cmdline: b.Cmdline, Clock: b.Clock, Seconds: b.Seconds})
	}
	out.Figures = slices.DeleteFunc(slices.Clone(r.Figures), func(f Figure) bool {
		op := f.Key.Operation()
		ofDesigns := r.HasDesigns() && (slices.Contains(ofGrowth, f.Key.Op) ||
			slices.ContainsFunc(figure.Columns, func(c figure.Column) bool { return c.Has(f.Key, f.Method) }))
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
// there is any, and says in Others when and where that was measured. The kernels must be
// the same.
func (r *Results) Beside(kept *Results) error {
	lacking := slices.DeleteFunc(kept.methods(), func(m Method) bool { return slices.Contains(r.methods(), m) })
	if len(lacking) == 0 {
		return nil
	}
	if !reflect.DeepEqual(r.Kernels, kept.Kernels) {
		return fmt.Errorf("results: what is kept was measured on other kernels: measure with all methods at once")
	}
	where := make(map[int]int) // boots of kept in r
	for i, b := range kept.Boots {
		if slices.Contains(lacking, b.Method) {
			where[i] = len(r.Boots)
			r.Boots = append(r.Boots, b)
		}
	}
	for _, f := range kept.Figures {
		if !slices.Contains(lacking, f.Method) {
			continue
		}
		f.Boots = slices.Clone(f.Boots)
		for i, b := range f.Boots {
			f.Boots[i] = where[b]
		}
		r.Figures = append(r.Figures, f)
	}
	r.Discarded = append(slices.Clip(r.Discarded), slices.DeleteFunc(slices.Clone(kept.Discarded), func(d Discarded) bool { return !slices.Contains(lacking, d.Method) })...)
	r.Omitted = append(slices.Clip(r.Omitted), slices.DeleteFunc(slices.Clone(kept.Omitted), func(o Omitted) bool { return !slices.Contains(lacking, o.Method) })...)
	for _, o := range append(slices.Clone(kept.Others), Other{kept.methods(), kept.Created, kept.Host}) {
		// What is of another run than kept's own is not of kept's.
		o.Methods = slices.DeleteFunc(slices.Clone(o.Methods), func(m Method) bool { return !slices.Contains(lacking, m) })
		if len(o.Methods) > 0 {
			lacking = slices.DeleteFunc(lacking, func(m Method) bool { return slices.Contains(o.Methods, m) })
			r.Others = append(r.Others, o)
		}
	}
	return nil
}

// methods are those by which r was measured.
func (r *Results) methods() []Method {
	return slices.DeleteFunc(slices.Clone(Methods), func(m Method) bool {
		return !slices.ContainsFunc(r.Boots, func(b Boot) bool { return b.Method == m })
	})
}
