// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"fmt"
	"slices"

	"vcpulab/ebpf/measure"
)

// clocks are the guest's clock sources that count cycles, hence instructions
// under icount. If the kernel takes another one, or changes from one to the
// other and with it the length of a cycle, the measurement is invalid.
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
		loops[l.VM] = append(loops[l.VM], measure.Shape{Op: l.Op, Missing: l.Missing, Order: l.Order})
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

// expect returns an ErrInvalid that says so unless ok.
func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
