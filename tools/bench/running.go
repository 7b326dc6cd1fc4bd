// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
)

// NameRunning is what the running kernel is called in figures and tables.
const NameRunning = "running"

// Running measures the running kernel. A run with the module loaded takes the place
// of a boot; the module is unloaded after it, however the run ends.
type Running struct {
	System running.System
	Kernel results.Kernel
	Host   *results.HostKernel
	// Loops is the path of vcpuloops.ko, built for the running kernel, Program
	// that of the guest's program.
	Loops   string
	Program string
}

// Prepare is part of Runner.
func (r *Running) Prepare(_ context.Context, _ *Plan, out *results.Results, _ *progress.Log) error {
	out.Kernels = []results.Kernel{r.Kernel}
	return nil
}

// Boot is part of Runner: it loads the module, measures, and unloads the module.
func (r *Running) Boot(ctx context.Context, _ int, plan Plan, b *results.Boot, step *progress.Step) (err error) {
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

	err = r.runProgram(ctx, wire.Job{Measure: &plan.Params}, func(rec wire.Record) error {
		if h := rec.Hello; h != nil {
			b.BootID, b.Release, b.Cmdline = h.BootID, h.Kernel, running.CommandLine(h.Cmdline)
		}
		addSample(b, step, rec)
		return programError(rec.End)
	})
	if err != nil {
		return err
	}
	b.Seconds = time.Since(start).Seconds()
	if err := b.Complete(plan.Params); err != nil {
		return err
	}
	if plan.Trial {
		return nil
	}
	return b.Check()
}

// programError returns the error that the measuring program reports, if it does.
func programError(end *wire.End) error {
	if end == nil || end.Message == "" {
		return nil
	}
	err := fmt.Errorf("the measuring program reports: %w", end)
	if errors.Is(err, wire.ErrAttach) {
		return exit.With(exit.MachineLacks, fmt.Errorf("%w\n  are CONFIG_FUNCTION_TRACER, DYNAMIC_FTRACE_WITH_DIRECT_CALLS, BPF_JIT and DEBUG_INFO_BTF_MODULES in the kernel?", err))
	}
	return err
}

// runProgram has the program do a job, on the processor to measure on, and hands
// on its records. The program has ended, or was killed, when it returns.
func (r *Running) runProgram(ctx context.Context, job wire.Job, record func(wire.Record) error) error {
	in, err := json.Marshal(job)
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	p, err := program.Program{
		Name: r.Program, InheritEnv: true, CPUs: []int{r.Host.CPU},
		Stdin: bytes.NewReader(in), Stderr: &stderr, PipeStdout: true,
	}.Start(ctx, wire.RunningArg)
	if err != nil {
		return fmt.Errorf("start the measuring program: %w", err)
	}

	var readErr error
	for dec := wire.NewDecoder(p.Stdout); readErr == nil; {
		var rec wire.Record
		if rec, readErr = dec.Next(); readErr == nil {
			readErr = record(rec)
		}
	}
	if errors.Is(readErr, io.EOF) {
		readErr = nil
	} else {
		p.Kill() // nothing reads on
	}
	waitErr := p.Wait()
	switch said := program.LastLines(stderr.Bytes()); {
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil && said != "":
		return fmt.Errorf("%w: %s", readErr, said)
	case readErr != nil:
		return readErr
	case waitErr != nil:
		return fmt.Errorf("the measuring program: %w %s", waitErr, said)
	}
	return nil
}
