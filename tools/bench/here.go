// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
)

// NameHere is what the running kernel is called in figures and tables.
const NameHere = "here"

// HereSubject is the running kernel as what is measured.
type HereSubject struct {
	System  running.System
	Kernel  results.Kernel
	Running *results.HostKernel
	// Loops is the path of vcpuloops.ko, built for the running kernel, Program
	// that of the guest's program.
	Loops   string
	Program string
}

// HerePlan measures the running kernel along the axes: lookups, creations and
// memory. A run has the module loaded anew and takes the place of a boot.
func HerePlan(a Axes) Plan {
	a.Growth, a.Paths = 0, nil
	return NewPlan(results.Running, a)
}

// RunHere measures the running kernel. It loads the module for each run and
// unloads it after it, however the run ends, and returns what Run does.
//
// A run whose samples contradict themselves is thrown away and done again, as
// one is in which a probe missed calls: other programs share the machine.
func RunHere(ctx context.Context, s HereSubject, plan Plan, o Options) (_ *results.Results, err error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	out := &results.Results{
		Format: results.Format, Created: time.Now().UTC().Truncate(time.Second), Kernels: []results.Kernel{s.Kernel},
	}
	r := &hereRunner{s, plan}
	boots := plan.boots(1)
	var stop error
	step := o.Log.Step("measure the running kernel")
	defer func() { step.End(err, "%d runs", len(boots)) }()
	for n, b := range boots {
		step.Update("run %d of %d", n+1, len(boots))
		boot, discarded, err := r.measure(ctx, step, b)
		out.Discarded = append(out.Discarded, discarded...)
		stays := errors.Is(err, running.ErrStays)
		if err != nil && ctx.Err() == nil && !stays {
			return nil, fmt.Errorf("run %d of %d: %w", n+1, len(boots), err)
		}
		if err != nil {
			out.Interrupted, stop = true, ctx.Err()
			if stays {
				stop = err
			}
			break
		}
		out.Boots = append(out.Boots, *boot)
	}
	running := *s.Running
	running.Load[1] = s.System.Load()
	out.Host.Running = &running
	if err := out.Draw(); err != nil {
		return nil, err
	}
	return out, stop
}

// hereRunner makes the runs of one plan.
type hereRunner struct {
	HereSubject
	plan Plan
}

// measure makes one run, and again if it has to be thrown away.
func (r *hereRunner) measure(ctx context.Context, step *progress.Step, b boot) (_ *results.Boot, discarded []results.Discarded, err error) {
	for range processAttempts {
		out := &results.Boot{Kernel: r.Kernel.Name, Again: b.again, Round: b.round, Method: r.plan.Method}
		err = r.run(ctx, step, out)
		if err == nil {
			err = out.Check()
		}
		if err == nil || !errors.Is(err, results.ErrInvalid) && !strings.Contains(err.Error(), wire.ErrProbeMissed.Error()) {
			return out, discarded, err
		}
		discarded = append(discarded, out.Discard(err.Error()))
	}
	return nil, discarded, fmt.Errorf("thrown away %d times: %w", processAttempts, err)
}

// run loads the module, measures and unloads it.
func (r *hereRunner) run(ctx context.Context, step *progress.Step, out *results.Boot) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	start := time.Now()
	if err := running.Load(r.Loops); err != nil {
		return err
	}
	defer func() {
		if unloadErr := running.Unload(); unloadErr != nil {
			if err != nil {
				unloadErr = fmt.Errorf("%w\n  after: %v", unloadErr, err)
			}
			err = unloadErr
		}
	}()
	job, err := wire.NewJob(wire.JobMeasure, r.plan.Params)
	if err != nil {
		return err
	}
	in, err := job.Marshal()
	if err != nil {
		return err
	}
	if err := r.process(ctx, in, func(rec wire.Record) error {
		if h := rec.Hello; h != nil {
			out.BootID, out.Release, out.Cmdline = h.BootID, h.Kernel, running.CommandLine(h.Cmdline)
		}
		if e := rec.Error; e != nil {
			return hereError(e.Message)
		}
		return take(out, step, rec)
	}); err != nil {
		return err
	}
	out.Seconds = time.Since(start).Seconds()
	return out.Complete(r.plan.Params)
}

// hereError is what the program says that went wrong.
func hereError(message string) error {
	err := fmt.Errorf("the measuring program says: %s", message)
	if strings.Contains(message, wire.ErrAttach.Error()) {
		return exit.With(exit.MachineLacks, fmt.Errorf("%w\n  are CONFIG_FUNCTION_TRACER, DYNAMIC_FTRACE_WITH_DIRECT_CALLS, BPF_JIT and DEBUG_INFO_BTF_MODULES in the kernel?", err))
	}
	return err
}

// process has the program do a job, on the processor to measure on, and hands on
// its records. All is over when it returns: the program ended, or was killed.
func (r *hereRunner) process(ctx context.Context, job []byte, record func(wire.Record) error) error {
	// The signal that the program gets if this process dies is bound to the
	// thread that starts it, and so are the processors that it may use.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("processors that may be used: %w", err)
	}
	one.Set(r.Running.CPU)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, r.Program, wire.RunningArg)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(job), &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("measure on CPU %d: %w", r.Running.CPU, err)
	}
	err = cmd.Start()
	if setErr := unix.SchedSetaffinity(0, &before); err == nil && setErr != nil {
		err = setErr
	}
	if err != nil {
		return fmt.Errorf("start the measuring program: %w", err)
	}
	readErr := readRecords(pipe, record)
	if readErr != nil {
		_ = cmd.Cancel() // it may wait for somebody to read on
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil:
		return fmt.Errorf("%w%s", readErr, said(stderr.String()))
	case waitErr != nil:
		return fmt.Errorf("the measuring program: %w%s", waitErr, said(stderr.String()))
	}
	return nil
}

// said is what a program said, to be put after an error.
func said(text string) string {
	if text = strings.TrimSpace(text); text != "" {
		return ": " + text
	}
	return ""
}

// readRecords hands on all records, from hello to end.
func readRecords(rd io.Reader, record func(wire.Record) error) error {
	dec := wire.NewDecoder(rd)
	for {
		rec, err := dec.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = record(rec)
		}
		if err != nil {
			return err
		}
	}
}
