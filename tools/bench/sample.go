// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"encoding/json"
	"fmt"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// addSample adds a record's sample to the boot, and shows in step which VM it is of.
func addSample(b *results.Boot, step *progress.Step, rec wire.Record) error {
	if rec.Kind != wire.KindSample {
		return nil
	}
	data := rec.Sample.Data
	var err error
	switch rec.Sample.Type {
	case measure.TypeSizes:
		err = json.Unmarshal(data, &b.Sizes)
	case measure.TypeClock:
		err = json.Unmarshal(data, &b.Clock)
	case measure.TypeCreate:
		err = appendTo(&b.Creates, data, func(s measure.Create) { step.Update("%s: %v", b.Column(), s.VM) })
	case measure.TypeMemory:
		err = appendTo(&b.Memory, data, func(s measure.Memory) { step.Update("%s: memory, %v", b.Column(), s.VM) })
	case measure.TypeGrowth:
		err = appendTo(&b.Growths, data, func(s measure.Growth) { step.Update("%s: stalls, %v", b.Column(), s.VM) })
	case measure.TypeGaps:
		err = appendTo(&b.Gaps, data, nil)
	case measure.TypeStart:
		err = appendTo(&b.Starts, data, func(s measure.Start) { step.Update("%s: paths, %v", b.Column(), s.VM) })
	case measure.TypePath:
		err = appendTo(&b.Paths, data, nil)
	case measure.TypeLoop:
		err = appendTo(&b.Loops, data, nil)
	default:
		err = fmt.Errorf("expected a sample of a known type, found %q: the guest program is stale", rec.Sample.Type)
	}
	if err != nil {
		return fmt.Errorf("sample %s: %w", rec.Sample.Type, err)
	}
	return nil
}

// appendTo decodes a sample and appends it.
func appendTo[T any](all *[]T, data json.RawMessage, show func(T)) error {
	var sample T
	if err := json.Unmarshal(data, &sample); err != nil {
		return err
	}
	*all = append(*all, sample)
	if show != nil {
		show(sample)
	}
	return nil
}
