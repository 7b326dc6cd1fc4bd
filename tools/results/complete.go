// SPDX-License-Identifier: GPL-2.0-only

package results

import (
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
	if !slices.Contains(clocks, b.Clock.Before) || b.Clock.After != b.Clock.Before {
		return fmt.Errorf("%w: expected one of the clock sources %v all the time, found %q before and %q after",
			ErrInvalid, clocks, b.Clock.Before, b.Clock.After)
	}
	if b.Sizes.KVM == 0 || b.Sizes.VCPU == 0 {
		return fmt.Errorf("%w: the sizes of the structures are missing", ErrInvalid)
	}
	all := slices.Concat(p.VMs, p.Counted)
	if p.NoMemory {
		all = nil
	}
	if !slices.EqualFunc(b.Memory, all, func(m measure.Memory, vm measure.VM) bool { return m.VM == vm }) {
		return fmt.Errorf("%w: expected the memory of %d VMs, found that of %d, or of others", ErrInvalid, len(all), len(b.Memory))
	}
	if len(b.Creates) != len(p.VMs) {
		return fmt.Errorf("%w: expected the creations of %d VMs, found %d", ErrInvalid, len(p.VMs), len(b.Creates))
	}
	loops := make(map[measure.VM][]measure.Shape)
	for _, l := range b.Loops {
		loops[l.VM] = append(loops[l.VM], measure.Shape{Op: l.Op, Missing: l.Missing, Order: l.Order})
	}
	for i, vm := range p.VMs {
		if b.Creates[i].VM != vm {
			return fmt.Errorf("%w: expected the creations of %v, found those of %v", ErrInvalid, vm, b.Creates[i].VM)
		}
		if want := p.LoopsOf(vm); !slices.Equal(loops[vm], want) {
			return fmt.Errorf("%w: %v: expected %d loops, found %d, or others", ErrInvalid, vm, len(want), len(loops[vm]))
		}
	}
	if p.Stalls != nil {
		if err := b.completeStalls(*p.Stalls); err != nil {
			return err
		}
	}
	if p.Paths != nil {
		return b.completePaths(*p.Paths)
	}
	return nil
}
