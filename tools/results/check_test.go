// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
)

// checkInvalid expects an ErrInvalid that says so, no error if says is "".
func checkInvalid(t *testing.T, err error, says string) {
	t.Helper()
	if good := says == ""; good != (err == nil) || !good && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says)) {
		t.Errorf("expected ErrInvalid that says %q, found %v", says, err)
	}
}

func TestComplete(t *testing.T) {
	vm := measure.VM{VCPUs: 8, IDs: measure.Dense}
	large := measure.VM{VCPUs: 4096, IDs: measure.Sparse}
	params := measure.Params{VMs: []measure.VM{vm}, Counted: []measure.VM{large}, Orders: measure.AllOrders}
	whole := func() Boot {
		b := smallBoot("base", false, ICount, 0)
		b.Clock = measure.Clock{Before: "tsc", After: "tsc"}
		b.Memory = append(b.Memory, measure.Memory{VM: large, Container: 1, Objects: 1, KVM: 1, VCPU: 1})
		b.Loops = nil
		for _, s := range params.LoopsOf(vm) {
			l := loopOf(vm, s.Op, 5)
			l.Shape = s
			b.Loops = append(b.Loops, l)
		}
		return b
	}
	for name, test := range map[string]struct {
		spoil func(*Boot)
		says  string // "" if the boot is complete
	}{
		"complete":           {func(*Boot) {}, ""},
		"clock changed":      {func(b *Boot) { b.Clock.After = "hpet" }, `found "tsc" before and "hpet" after`},
		"no clock":           {func(b *Boot) { b.Clock = measure.Clock{} }, "expected one of the clock sources"},
		"clock of its own":   {func(b *Boot) { b.Clock = measure.Clock{Before: "hpet", After: "hpet"} }, "expected one of the clock sources"},
		"no sizes":           {func(b *Boot) { b.Sizes.VCPU = 0 }, "sizes of the structures are missing"},
		"no memory":          {func(b *Boot) { b.Memory = nil }, "expected the memory of 2 VMs, found that of 0"},
		"memory not counted": {func(b *Boot) { b.Memory = b.Memory[:1] }, "found that of 1"},
		"memory of another":  {func(b *Boot) { b.Memory[1].VM.VCPUs = 64 }, "expected the memory of 2 VMs"},
		"no creations":       {func(b *Boot) { b.Creates = nil }, "creations of 1 VMs, found 0"},
		"creations too many": {func(b *Boot) { b.Creates = append(b.Creates, b.Creates[0]) }, "found 2"},
		"another VM":         {func(b *Boot) { b.Creates[0].VM.IDs = measure.Sparse }, "expected the creations of vcpus=8/ids=dense"},
		"a loop twice":       {func(b *Boot) { b.Loops[2] = b.Loops[1] }, "or others"},
		"a loop is missing":  {func(b *Boot) { b.Loops = slices.Delete(b.Loops, 1, 2) }, "vcpus=8/ids=dense: expected"},
	} {
		t.Run(name, func(t *testing.T) {
			b := whole()
			test.spoil(&b)
			checkInvalid(t, b.Complete(params), test.says)
		})
	}
}
