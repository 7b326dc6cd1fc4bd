// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"fmt"
	"slices"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// unless returns an error that says so unless ok.
func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// expect is unless, with an ErrInvalid.
func expect(ok bool, format string, args ...any) error {
	return unless(ok, "%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// check tells whether what was read is consistent, which the reports rely on: every figure and
// boot of a kernel that is listed, every value with its boot, and keys that there can be.
func (r *Results) check() (err error) {
	names := make(map[string]bool)
	for i, k := range r.Kernels {
		err = cmp.Or(err, unless(figure.IsWord(k.Name) && !names[k.Name], "kernel %d: expected a name of its own, found %q", i, k.Name))
		names[k.Name] = true
	}
	known := func(m Method) bool { return slices.Contains(Methods, m) }
	for i, b := range r.Boots {
		err = cmp.Or(err,
			unless(names[b.Kernel], "boot %d: kernel %q is not listed", i, b.Kernel),
			unless(known(b.Method), "boot %d: unknown method %q", i, b.Method))
	}
	for i, d := range r.Discarded {
		err = cmp.Or(err, unless(names[d.Kernel] && known(d.Method),
			"discarded boot %d: kernel %q or method %q is unknown", i, d.Kernel, d.Method))
	}
	for i, o := range r.Omitted {
		err = cmp.Or(err, unless(known(o.Method) && (o.Kernel == "" || names[o.Kernel]), "omitted %d: kernel %q or method %q is unknown", i, o.Kernel, o.Method))
	}
	for i, o := range r.Others {
		err = cmp.Or(err, unless(len(o.Methods) > 0 && !slices.ContainsFunc(o.Methods, func(m Method) bool { return !known(m) }), "other run %d: expected known methods, found %q", i, o.Methods))
	}

	columns, seen := r.Columns(), make(map[Place]bool)
	for i, f := range r.Figures {
		if keyErr := f.Key.Check(); keyErr != nil {
			return cmp.Or(err, fmt.Errorf("figure %d: %w", i, keyErr))
		}
		bad := cmp.Or(
			unless(slices.Contains(columns, f.Column), "column %q is of no kernel that is listed", f.Column),
			unless(known(f.Method), "unknown method %q", f.Method),
			unless(!seen[f.Place], "a second one of column %q", f.Column),
			unless(len(f.Values) > 0 && len(f.Values) == len(f.Boots),
				"expected a value for each boot, found %d for %d", len(f.Values), len(f.Boots)))
		for _, b := range f.Boots {
			bad = cmp.Or(bad, unless(b >= 0 && b < len(r.Boots), "no boot %d", b))
		}
		if bad != nil {
			return cmp.Or(err, fmt.Errorf("figure %d, %s: %w", i, f.Name(), bad))
		}
		seen[f.Place] = true
	}
	return err
}

// clocks are the guest's clock sources that count cycles, hence instructions under icount. With
// another one, or with two of them, a cycle has another length.
var clocks = []string{"tsc"}

// Complete returns an ErrInvalid if the boot lacks something that p asks for,
// or was not measured with one clock all the time.
func (b *Boot) Complete(p measure.Params) error {
	all := slices.Concat(p.VMs, p.Counted)
	if p.NoMemory {
		all = nil
	}
	err := cmp.Or(
		expect(slices.Contains(clocks, b.Clock.Before) && b.Clock.After == b.Clock.Before,
			"expected one of the clock sources %v all the time, found %q before and %q after", clocks, b.Clock.Before, b.Clock.After),
		expect(b.Sizes.KVM > 0 && b.Sizes.VCPU > 0, "the sizes of the structures are missing"),
		expect(slices.EqualFunc(b.Memory, all, func(m measure.Memory, vm measure.VM) bool { return m.VM == vm }),
			"expected the memory of %d VMs, found that of %d, or of others", len(all), len(b.Memory)),
		expect(len(b.Creates) == len(p.VMs), "expected the creations of %d VMs, found %d", len(p.VMs), len(b.Creates)))
	if err != nil {
		return err
	}
	loops := make(map[measure.VM][]measure.Shape)
	for _, l := range b.Loops {
		loops[l.VM] = append(loops[l.VM], l.Shape)
	}
	for i, vm := range p.VMs {
		want := p.LoopsOf(vm)
		err = cmp.Or(err,
			expect(b.Creates[i].VM == vm, "expected the creations of %v, found those of %v", vm, b.Creates[i].VM),
			expect(slices.Equal(loops[vm], want), "%v: expected %d loops, found %d, or others", vm, len(want), len(loops[vm])))
	}
	if err == nil && p.Stalls != nil {
		err = b.completeStalls(*p.Stalls)
	}
	if err == nil && p.Paths != nil {
		err = b.completePaths(*p.Paths)
	}
	return err
}
