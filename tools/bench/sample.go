// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"vcpulab/ebpf/wire"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// addSample adds a record's sample to the boot, and shows in step which VM it is of.
func addSample(b *results.Boot, step *progress.Step, rec wire.Record) {
	switch s := rec.Sample; {
	case s == nil:
	case s.Sizes != nil:
		b.Sizes = *s.Sizes
	case s.Clock != nil:
		b.Clock = *s.Clock
	case s.Create != nil:
		b.Creates = append(b.Creates, *s.Create)
		step.Update("%s: %v", b.Column(), s.Create.VM)
	case s.Memory != nil:
		b.Memory = append(b.Memory, *s.Memory)
		step.Update("%s: memory, %v", b.Column(), s.Memory.VM)
	case s.Growth != nil:
		b.Growths = append(b.Growths, *s.Growth)
		step.Update("%s: stalls, %v", b.Column(), s.Growth.VM)
	case s.Gaps != nil:
		b.Gaps = append(b.Gaps, *s.Gaps)
	case s.Start != nil:
		b.Starts = append(b.Starts, *s.Start)
		step.Update("%s: paths, %v", b.Column(), s.Start.VM)
	case s.Path != nil:
		b.Paths = append(b.Paths, *s.Path)
	case s.Loop != nil:
		b.Loops = append(b.Loops, *s.Loop)
	}
}
