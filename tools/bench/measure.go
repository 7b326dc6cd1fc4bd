// SPDX-License-Identifier: GPL-2.0-only

// Package bench measures kernels: it boots each of them, has the guest run
// the measured loops and create vCPUs, and collects the samples.
//
// The unit of repetition is a boot. A round boots every kernel once and the
// baseline twice, in an order that is shuffled: what the two boots of the
// baseline differ by is the noise floor.
package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// Runner runs boots in one way: in guests, on the running kernel, or in user
// space, where a process takes the place of a boot.
type Runner interface {
	// Prepare makes what all boots need, and describes the kernels in out, the baseline first. It
	// takes out of the plan what cannot be measured on this machine, and says so in out, too.
	Prepare(ctx context.Context, plan *Plan, out *results.Results, log *progress.Log) error
	// Boot adds to b the samples of a boot of the kernel with this index, and shows in step what
	// runs. A results.ErrInvalid or wire.ErrProbeMissed discards the boot.
	Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, step *progress.Step) error
}

// where says in progress where is measured.
var where = map[results.Method]string{
	results.ICount: "in guests", results.KVM: "in guests", results.Running: "the running kernel", results.Native: "in user space",
}

// Measure has the runner run the boots of the plan, each kernel once and the
// baseline twice a round, and returns what was measured, with figures drawn.
//
// If ctx ends, what was measured until then is returned with Interrupted set,
// together with ctx's error; a boot that was cut off is not in it. The same holds
// if the module cannot be unloaded from the running kernel, see running.ErrStays.
// Any other error is that of the first boot that failed, or a results.ErrInvalid.
func Measure(ctx context.Context, r Runner, plan Plan, log *progress.Log) (_ *results.Results, err error) {
	out := &results.Results{Format: results.Format, Created: time.Now().UTC().Truncate(time.Second)}
	if err := r.Prepare(ctx, &plan, out, log); err != nil {
		return nil, err
	}
	if len(out.Kernels) == 0 {
		return nil, errors.New("bench: no kernel to measure")
	}

	step := log.Step("measure " + where[plan.Method])
	defer func() { step.End(err, "%s", progress.Count(len(out.Boots), "boot")) }()

	stop := runBoots(ctx, r, plan, out, step)
	if stop != nil && ctx.Err() == nil && !errors.Is(stop, running.ErrStays) {
		return nil, stop
	}
	out.Interrupted = stop != nil
	if plan.Trial {
		return out, stop
	}
	if err := out.Draw(); err != nil {
		return nil, err // samples that contradict each other are no results
	}
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	return out, stop
}

// runBoots runs all boots, plan.Parallel at a time, and keeps their samples in the
// order of the plan.
func runBoots(ctx context.Context, r Runner, plan Plan, out *results.Results, step *progress.Step) error {
	all := plan.boots(out.Kernels)
	boots, discarded := make([]*results.Boot, len(all)), make([][]results.Discarded, len(all))
	var done atomic.Int64

	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(plan.Parallel)
	for n, b := range all {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() (err error) {
			step.Update("%d of %d boots done, %s starts, round %d of %d",
				done.Load(), len(all), b.Column(), b.Round+1, plan.Rounds)
			boots[n], discarded[n], err = tryBoot(gctx, r, plan, b, step)
			if plan.Optional && (errors.Is(err, results.ErrInvalid) || errors.Is(err, wire.ErrProbeMissed)) && gctx.Err() == nil {
				return nil // there are others, and the results say what was discarded
			}
			if err != nil {
				return fmt.Errorf("measure %s, round %d: %w", b.Column(), b.Round+1, err)
			}
			done.Add(1)
			return nil
		})
	}
	err := g.Wait()

	for n, b := range boots {
		out.Discarded = append(out.Discarded, discarded[n]...)
		if b != nil {
			out.Boots = append(out.Boots, *b)
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// tryBoot runs a boot, and again if it has to be discarded: a probe misses calls when an interrupt
// hits a program and calls what that is attached to; other programs disturb times. Both happen by
// accident, but not each time.
func tryBoot(ctx context.Context, r Runner, plan Plan, b boot, step *progress.Step) (_ *results.Boot, discarded []results.Discarded, err error) {
	for range plan.Attempts {
		if err := ctx.Err(); err != nil {
			return nil, discarded, err
		}
		out := &results.Boot{Which: b.Which}
		err = r.Boot(ctx, b.kernel, plan, out, step)
		if err == nil {
			return out, discarded, nil
		}
		if !errors.Is(err, wire.ErrProbeMissed) && !errors.Is(err, results.ErrInvalid) || errors.Is(err, running.ErrStays) {
			return nil, discarded, err
		}
		discarded = append(discarded, results.Discarded{Which: b.Which, Why: reason(err)})
	}
	return nil, discarded, fmt.Errorf("discarded %d times: %w", plan.Attempts, err)
}

// reason says in a line why a boot is discarded. The error of a guest shows its
// console, too.
func reason(err error) string {
	if fault, ok := errors.AsType[*vm.Fault](err); ok {
		return fault.Title
	}
	return err.Error()
}

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
	case s.Setup != nil:
		b.Setups = append(b.Setups, *s.Setup)
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
