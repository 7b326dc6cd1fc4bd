// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// killGrace is how long a program that was killed may hold on to its output.
const killGrace = 5 * time.Second

// execPrograms runs the programs of a JobExec one after the other. How a
// program ended is its result, not an error of the job.
func execPrograms(ctx context.Context, g *guest, job wire.Job) error {
	var params wire.Exec
	if err := job.Decode(&params); err != nil {
		return err
	}
	if params.Leaks {
		// What was lost before is no program's fault.
		if _, err := findLeaks(ctx); err != nil {
			return err
		}
	}
	for _, p := range params.Programs {
		if err := g.start(p.Name); err != nil {
			return fmt.Errorf("start of %s: %w", p.Name, err)
		}
		if err := g.test(runProgram(ctx, p)); err != nil {
			return fmt.Errorf("result of %s: %w", p.Name, err)
		}
		if err := g.leaks(ctx, params, p.Name); err != nil {
			return fmt.Errorf("leaks of %s: %w", p.Name, err)
		}
	}
	return nil
}

// start says that a program is about to be run: to the host, and in the
// kernel's log, where it stands in order with what the kernel says. It is a
// warning there, because the console shows no less.
func (g *guest) start(name string) error {
	if err := os.WriteFile("/dev/kmsg", []byte("<4>"+wire.StartMark+name+"\n"), 0); err != nil {
		return err
	}
	return g.enc.Send(wire.Record{Kind: wire.KindStart, Start: &wire.Start{Name: name}})
}

// runProgram runs one program and waits for it and its process group.
func runProgram(ctx context.Context, p wire.Program) wire.Test {
	t := wire.Test{Name: p.Name}
	if p.TimeoutMillis > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Timeout())
		defer cancel()
	}
	limit := p.MaxOutput
	if limit <= 0 {
		limit = wire.DefaultMaxOutput
	}
	out := wire.NewExcerpt(limit)
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/bin:/sbin", "HOME=/", "TMPDIR=/tmp"}, p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = killGrace

	start := monotonic()
	err := cmd.Run()
	t.Nanos = monotonic() - start
	if cmd.Process != nil {
		// What the program left behind must not disturb the next one.
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	t.Output, t.Dropped = out.String(), out.Dropped()
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		t.Outcome = wire.OutcomeTimeout
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		t.Outcome = wire.OutcomeExit
	case errors.As(err, &exit):
		ended(&t, exit.Sys().(syscall.WaitStatus))
	default:
		t.Outcome, t.Message = wire.OutcomeError, err.Error()
	}
	return t
}

// ended puts a wait status into t.
func ended(t *wire.Test, ws syscall.WaitStatus) {
	if !ws.Signaled() {
		t.Outcome, t.Code = wire.OutcomeExit, ws.ExitStatus()
		return
	}
	t.Outcome = wire.OutcomeSignal
	if t.Signal = unix.SignalName(ws.Signal()); t.Signal == "" {
		t.Signal = fmt.Sprintf("signal %d", ws.Signal())
	}
}
