// SPDX-License-Identifier: GPL-2.0-only

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
	// About says in progress where is measured.
	About() string
	// Kernels describes what is measured, the baseline first.
	Kernels() ([]results.Kernel, error)
	// Prepare makes what all boots need. It takes out of the plan what cannot
	// be measured on this machine, and returns what that is.
	Prepare(ctx context.Context, plan *Plan, log *progress.Log) ([]results.Omitted, error)
	// Attempts is how often a boot is tried whose samples are of no use.
	Attempts() int
	// Boot adds to b the samples of a boot of the kernel with this index, and
	// shows in step what runs. An error that wraps results.ErrInvalid or
	// wire.ErrProbeMissed discards the boot.
	Boot(ctx context.Context, kernel int, plan Plan, b *results.Boot, step *progress.Step) error
}

// Measure has the runner run the boots of the plan, each kernel once and the
// baseline twice a round, and returns what was measured, with figures drawn.
//
// If ctx ends, what was measured until then is returned with Interrupted set,
// together with ctx's error; a boot that was cut off is not in it. The same holds
// if the module cannot be unloaded from the running kernel, see running.ErrStays.
// Any other error is that of the first boot that failed, or a results.ErrInvalid.
func Measure(ctx context.Context, r Runner, plan Plan, log *progress.Log) (_ *results.Results, err error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	out := &results.Results{Format: results.Format, Created: time.Now().UTC().Truncate(time.Second)}
	if out.Kernels, err = r.Kernels(); err != nil {
		return nil, err
	}
	if len(out.Kernels) == 0 {
		return nil, errors.New("bench: no kernel to measure")
	}
	if out.Omitted, err = r.Prepare(ctx, &plan, log); err != nil {
		return nil, err
	}

	step := log.Step("measure " + r.About())
	defer func() { step.End(err, "%d boots", len(out.Boots)) }()

	stop := runBoots(ctx, r, plan, out, step)
	if stop != nil && ctx.Err() == nil && !errors.Is(stop, running.ErrStays) {
		return nil, stop
	}
	out.Interrupted = stop != nil
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
	all := plan.Rounds * (len(out.Kernels) + 1)
	boots, discarded := make([]*results.Boot, all), make([][]results.Discarded, all)
	var done atomic.Int64

	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(plan.Parallel)
	next := 0
	for b := range plan.boots(len(out.Kernels)) {
		if gctx.Err() != nil {
			break
		}
		n := next
		next++
		g.Go(func() (err error) {
			column := b.blank(out.Kernels, plan).Column()
			step.Update("%d of %d boots done, %s starts, round %d of %d", done.Load(), all, column, b.round+1, plan.Rounds)
			boots[n], discarded[n], err = tryBoot(gctx, r, out.Kernels, plan, b, step)
			if err != nil {
				return fmt.Errorf("measure %s, round %d: %w", column, b.round+1, err)
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

// tryBoot runs a boot, and again if it has to be discarded. A probe misses calls
// when an interrupt hits a program and calls what the program is attached to; times
// contradict each other when other programs disturb them. Both happen by accident,
// but not each time.
func tryBoot(ctx context.Context, r Runner, kernels []results.Kernel, plan Plan, b boot, step *progress.Step) (_ *results.Boot, discarded []results.Discarded, err error) {
	for range r.Attempts() {
		if err := ctx.Err(); err != nil {
			return nil, discarded, err
		}
		out := b.blank(kernels, plan)
		err = r.Boot(ctx, b.kernel, plan, out, step)
		if err == nil {
			return out, discarded, nil
		}
		if !errors.Is(err, wire.ErrProbeMissed) && !errors.Is(err, results.ErrInvalid) || errors.Is(err, running.ErrStays) {
			return nil, discarded, err
		}
		discarded = append(discarded, out.Discard(reason(err)))
	}
	return nil, discarded, fmt.Errorf("discarded %d times: %w", r.Attempts(), err)
}

// reason says in a line why a boot is discarded. The error of a guest shows its
// console, too.
func reason(err error) string {
	if fault, ok := errors.AsType[*vm.Fault](err); ok {
		return fault.Title
	}
	return err.Error()
}

// blank is a boot without samples.
func (b boot) blank(kernels []results.Kernel, plan Plan) *results.Boot {
	return &results.Boot{Kernel: kernels[b.kernel].Name, Again: b.again, Round: b.round, Method: plan.Method}
}
