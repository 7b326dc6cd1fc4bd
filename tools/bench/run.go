// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// Bounds of one boot. The longest a guest is silent is a loop over a linear
// scan; the machine may be busy with other things.
const (
	bootTimeout = 10 * time.Minute
	bootSilence = 90 * time.Second
)

// guestMemMiB is the guest's memory: 1024 vCPUs and their pages fit.
const guestMemMiB = 1024

// Options say how the boots are shown and kept.
type Options struct {
	// Log shows what is running; nil shows nothing.
	Log *progress.Log
	// KeepDir is where a boot that failed leaves its console and what is
	// needed to repeat it.
	KeepDir string
	// Source is as in vm.Guest.
	Source string
}

// runner runs the boots of one plan.
type runner struct {
	cache    *cache.Cache
	subjects []Subject
	plan     Plan
	opts     Options
	job      wire.Job

	// attempt is boot, but for tests.
	attempt func(context.Context, boot) (*results.Boot, error)

	mu   sync.Mutex
	left int
}

func newRunner(c *cache.Cache, subjects []Subject, plan Plan, o Options) (*runner, error) {
	job, err := wire.NewJob(wire.JobMeasure, plan.Params)
	if err != nil {
		return nil, err
	}
	job.Mounts = []string{"tracefs", "debugfs"}
	r := &runner{cache: c, subjects: subjects, plan: plan, opts: o, job: job}
	r.attempt = r.boot
	return r, nil
}

// Run boots the subjects, the baseline first among them, as the plan says and
// returns what was measured, with figures drawn.
//
// If ctx ends, what was measured until then is returned with Interrupted set,
// together with ctx's error; a boot that was cut off is not in it. Any other
// error is the first boot's that failed, see vm.Boot, or a results.ErrInvalid.
func Run(ctx context.Context, c *cache.Cache, subjects []Subject, plan Plan, o Options) (*results.Results, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	if len(subjects) == 0 {
		return nil, errors.New("bench: no kernel to measure")
	}
	out := &results.Results{Format: results.Format, Created: time.Now().UTC().Truncate(time.Second)}
	for _, s := range subjects {
		k, err := s.describe()
		if err != nil {
			return nil, err
		}
		out.Kernels = append(out.Kernels, k)
	}
	r, err := newRunner(c, subjects, plan, o)
	if err != nil {
		return nil, err
	}
	boots := plan.boots(len(subjects))
	r.left = len(boots)

	done := make([]*results.Boot, len(boots))
	discarded := make([]*results.Discarded, len(boots))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(plan.Parallel)
	for i, b := range boots {
		g.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			var err error
			done[i], discarded[i], err = r.measure(gctx, b)
			return err
		})
	}
	err = g.Wait()
	for i, b := range done {
		if d := discarded[i]; d != nil {
			out.Discarded = append(out.Discarded, *d)
		}
		if b != nil {
			out.Boots = append(out.Boots, *b)
		}
	}
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	out.Interrupted = err != nil
	if err := out.Draw(); err != nil {
		return nil, err // samples that contradict themselves are no results
	}
	return out, ctx.Err()
}

// measure boots one kernel and returns its samples. A boot in which a probe missed
// calls is thrown away, said to be so, and done once more.
func (r *runner) measure(ctx context.Context, b boot) (*results.Boot, *results.Discarded, error) {
	got, err := r.attempt(ctx, b)
	if err == nil {
		return got, nil, nil
	}
	why, missed := probesMissed(err)
	if !missed {
		return nil, nil, err
	}
	discarded := r.blank(b).Discard(why)
	got, err = r.attempt(ctx, b)
	if err != nil {
		return nil, &discarded, err
	}
	return got, &discarded, nil
}

// blank is a boot of which nothing is known yet.
func (r *runner) blank(b boot) *results.Boot {
	return &results.Boot{Kernel: r.subjects[b.kernel].Name, Again: b.again, Round: b.round, Method: r.plan.Method}
}

// boot boots one kernel and returns its samples.
func (r *runner) boot(ctx context.Context, b boot) (_ *results.Boot, err error) {
	s := r.subjects[b.kernel]
	out := r.blank(b)
	name := "measure " + out.Column()
	step := r.opts.Log.Step(name)
	defer func() { step.End(err, "%s", r.count(err)) }()
	step.Update("starts, round %d of %d", b.round+1, r.plan.Rounds)

	accel := vm.TCG
	if r.plan.Method == results.KVM {
		accel = vm.KVM
	}
	modules, err := s.modules(accel)
	if err != nil {
		return nil, err
	}
	m := vm.Machine{
		Arch: arch.X86_64(), Accel: accel, Kernel: s.Kernel.ImagePath(), MemMiB: guestMemMiB,
		ICount: r.plan.Method == results.ICount,
		Append: []string{"clocksource=tsc", "tsc=reliable"},
	}
	if accel == vm.KVM && r.plan.Params.Stalls != nil {
		// Who has a VM grow and the vCPU that runs need not share one.
		m.CPUs = 2
	}
	if accel == vm.TCG {
		// Under icount a cycle is a nanosecond. The kernel is told, and kept
		// from measuring it against other timers: what it would find is off
		// by some parts in a million, which shows in what it counts.
		m.Append = append(m.Append, "tsc_early_khz=1000000", "hpet=disable", "pmtmr=0")
	}
	opts := vm.Options{
		Timeout: bootTimeout, Silence: bootSilence,
		OnRecord: func(rec wire.Record) error { return take(out, step, rec) },
	}
	if r.opts.KeepDir != "" {
		opts.KeepDir = filepath.Join(r.opts.KeepDir, fmt.Sprintf("%s-%d", out.Column(), b.round))
	}
	res, err := vm.Boot(ctx, r.cache, m, vm.Guest{Job: r.job, Modules: modules, ModuleDir: s.moduleDir(), Source: r.opts.Source}, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(res.Errors) > 0 {
		return nil, fmt.Errorf("%s: %w: the guest says: %s", name, results.ErrInvalid, res.Errors[0].Message)
	}
	out.Command = withoutFolders(res.Command)
	out.BootID = res.Hello.BootID
	out.Release = res.Hello.Kernel
	out.Cmdline = res.Hello.Cmdline
	out.Seconds = res.Timing.Gone.Seconds()
	if err := out.Complete(r.plan.Params); err != nil {
		return out, err
	}
	return out, forget(opts.KeepDir)
}

// forget removes what is kept of a boot that failed, of one that did not.
func forget(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the log of a good boot: %w", err)
	}
	return nil
}

// probesMissed tells whether a boot was thrown away because a probe missed
// calls, and which. That happens when an interrupt hits a program and calls what the
// program is attached to, i.e. by accident, and such a boot is done again. Twice
// is no accident.
func probesMissed(err error) (why string, missed bool) {
	var fault *vm.Fault
	if errors.As(err, &fault) && fault.Kind == vm.JobFailed && strings.Contains(fault.Title, wire.ErrProbeMissed.Error()) {
		return fault.Title, true
	}
	return "", false
}

// count takes one off the boots that are left, unless it failed, and says how
// many remain.
func (r *runner) count(err error) string {
	if err != nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	if r.left == 1 {
		return "1 boot left"
	}
	return fmt.Sprintf("%d boots left", r.left)
}

// take adds a record's sample to the boot.
func take(b *results.Boot, step *progress.Step, rec wire.Record) error {
	if rec.Kind != wire.KindSample {
		return nil
	}
	var err error
	switch rec.Sample.Type {
	case measure.TypeSizes:
		err = json.Unmarshal(rec.Sample.Data, &b.Sizes)
	case measure.TypeClock:
		err = json.Unmarshal(rec.Sample.Data, &b.Clock)
	case measure.TypeCreate:
		var c measure.Create
		if err = json.Unmarshal(rec.Sample.Data, &c); err == nil {
			b.Creates = append(b.Creates, c)
			step.Update("%v", c.VM)
		}
	case measure.TypeMemory:
		var m measure.Memory
		if err = json.Unmarshal(rec.Sample.Data, &m); err == nil {
			b.Memory = append(b.Memory, m)
			step.Update("%v", m.VM)
		}
	case measure.TypeGrowth:
		var s measure.Growth
		if err = json.Unmarshal(rec.Sample.Data, &s); err == nil {
			b.Growths = append(b.Growths, s)
			step.Update("stalls, %v", s.VM)
		}
	case measure.TypeGaps:
		var s measure.Gaps
		if err = json.Unmarshal(rec.Sample.Data, &s); err == nil {
			b.Gaps = append(b.Gaps, s)
		}
	case measure.TypeStart:
		var s measure.Start
		if err = json.Unmarshal(rec.Sample.Data, &s); err == nil {
			b.Starts = append(b.Starts, s)
			step.Update("paths, %v", s.VM)
		}
	case measure.TypePath:
		var s measure.PathSample
		if err = json.Unmarshal(rec.Sample.Data, &s); err == nil {
			b.Paths = append(b.Paths, s)
		}
	case measure.TypeLoop:
		var l measure.Loop
		if err = json.Unmarshal(rec.Sample.Data, &l); err == nil {
			b.Loops = append(b.Loops, l)
		}
	default:
		err = fmt.Errorf("expected a sample of a known type, found %q: the guest program is stale", rec.Sample.Type)
	}
	if err != nil {
		return fmt.Errorf("sample %s: %w", rec.Sample.Type, err)
	}
	return nil
}
