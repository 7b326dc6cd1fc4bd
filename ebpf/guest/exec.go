// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// killGrace is how long a program that was killed may hold on to its output.
const killGrace = 5 * time.Second

// execPrograms runs programs in turn. How one ended is its result, no error of the job.
func execPrograms(out *wire.Encoder, job wire.Exec) error {
	if job.Leaks {
		// Forget what leaked before the programs.
		if _, err := findLeaks(); err != nil && !gaveUp(err, job) {
			return err
		}
	}
	state, err := lookAt("", job.Checkers)
	if err != nil {
		return err
	}
	meter, err := newFunctionMeter(job.Function)
	if err != nil {
		return err
	}
	for i, p := range job.Programs {
		leaks := job.Leaks && (!job.LeaksLast || i == len(job.Programs)-1)
		if err := execProgram(out, p, leaks, meter); err != nil && !gaveUp(err, job) {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		before := state
		if state, err = lookAt("", job.Checkers); err != nil {
			return err
		}
		if wentOff(before, state, p.Name) {
			break // a fresh kernel has it on for the others
		}
	}
	if len(job.Checkers) == 0 {
		return nil
	}
	return out.Send(wire.Record{Checkers: state})
}

// execProgram runs one program. The host and the kernel's log are told before: the
// log has it in order with what the kernel logs.
func execProgram(out *wire.Encoder, p wire.Program, leaks bool, meter *functionMeter) error {
	if err := logKernel(wire.StartMark + p.Name); err != nil {
		return err
	}
	if err := out.Send(wire.Record{Start: p.Name}); err != nil {
		return err
	}
	if p.Clock != 0 {
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &unix.Timespec{Sec: p.Clock}); err != nil {
			return fmt.Errorf("set the clock to %d: %w", p.Clock, err)
		}
	}
	var t wire.Test
	calls, err := meter.during(func() (err error) { t, err = runProgram(p, out); return err })
	if err != nil {
		return err
	}
	t.Calls = calls
	if err := out.Send(wire.Record{Test: &t}); err != nil || !leaks {
		return err
	}

	// The host looks for leaks in the kernel's log, too.
	report, err := findLeaks()
	if err != nil {
		return err
	}
	return logKernel(leakLines(report, p.Name)...)
}

// logKernel writes to the kernel's log. Each line has a write of its own, as the
// kernel limits the rate of each, and is a warning, as the console shows no less.
func logKernel(lines ...string) error {
	for _, line := range lines {
		if err := os.WriteFile("/dev/kmsg", []byte("<4>"+line+"\n"), 0); err != nil {
			return fmt.Errorf("write to the kernel's log: %w", err)
		}
	}
	return nil
}

// runProgram runs one program and waits for it and its process group. If it is Live its
// output goes to live. The error is of the kernel's that does not let allocations fail.
func runProgram(p wire.Program, live *wire.Encoder) (wire.Test, error) {
	t := wire.Test{Name: p.Name}
	limit, late := cmp.Or(p.Timeout, math.MaxInt64), wire.OutcomeTimeout
	if p.Kill > 0 && p.Kill < limit {
		limit, late = p.Kill, wire.OutcomeKilled
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out := wire.NewExcerpt(p.MaxOutput)
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	cmd.Stdout, cmd.Stderr = out, out
	if p.Live {
		cmd.Stdout, cmd.Stderr = printer{live, false}, printer{live, true}
	}
	cmd.Dir = cmp.Or(p.Dir, "/")
	cmd.Env = append(programEnv(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Chroot: p.Root}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = killGrace

	start := monotonic()
	err, faultsErr := startFailing(cmd, p.FailEvery)
	if err == nil {
		err = cmd.Wait()
	}
	t.Nanos = monotonic() - start
	if cmd.Process != nil {
		// Processes that the program left behind must not disturb the next one.
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	if p.FailEvery > 0 {
		faultsErr = errors.Join(faultsErr, set("0", failProbability))
	}

	t.Output, t.Dropped = out.String(), out.Dropped()
	setOutcome(ctx, &t, err, late)
	return t, faultsErr
}

const programPath = "/bin:/sbin" // where programs are looked up

func programEnv() []string { return []string{"PATH=" + programPath, "HOME=/", "TMPDIR=/tmp"} }

// setOutcome says how a program ended that returned err: late if its context ended before.
func setOutcome(ctx context.Context, t *wire.Test, err error, late wire.Outcome) {
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		t.Outcome = late
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		t.Outcome = wire.OutcomeExit
	case !exited:
		t.Outcome, t.Message = wire.OutcomeError, err.Error()
	case exit.Exited():
		t.Outcome, t.Code = wire.OutcomeExit, exit.ExitCode()
	default:
		signal := exit.Sys().(syscall.WaitStatus).Signal()
		t.Outcome, t.Signal = wire.OutcomeSignal, cmp.Or(unix.SignalName(signal), fmt.Sprintf("signal %d", signal))
	}
}

// Files of the kernel's by which allocations fail.
const (
	failDir         = "/sys/kernel/debug/failslab/"
	failProbability = failDir + "probability"
	failTask        = "/proc/thread-self/make-it-fail"
)

// startFailing starts a program, of whose allocations one in every is to fail from
// then on, and those of no other process; 0 has none fail.
func startFailing(cmd *exec.Cmd, every int) (started, faults error) {
	if every == 0 {
		return cmd.Start(), nil
	}
	// The program inherits it from the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	faults = errors.Join(set("Y", failDir+"task-filter"), set("N", failDir+"ignore-gfp-wait"), set("0", failDir+"verbose"),
		set("-1", failDir+"times"), set(fmt.Sprint(every), failDir+"interval"), set("1", failTask))
	started = cmd.Start()
	return started, errors.Join(faults, set("0", failTask), set("100", failProbability))
}

func set(value, file string) error { return os.WriteFile(file, []byte(value), 0) }

const (
	kmemleakFile = "/sys/kernel/debug/kmemleak"
	// leakAge is how old memory has to be at least to count as leaked, and a
	// bit (MSECS_MIN_AGE in mm/kmemleak.c).
	leakAge  = 5*time.Second + 200*time.Millisecond
	maxLeaks = 16 // that are logged
)

// findLeaks returns kmemleak's report of memory that is not pointed to any more, and has
// it forget that memory. The second scan is for what changed during the first one.
func findLeaks() (string, error) {
	time.Sleep(leakAge)
	for range 2 {
		if err := tellKmemleak("scan"); err != nil {
			return "", err
		}
	}
	report, err := os.ReadFile(kmemleakFile)
	if err != nil {
		return "", fmt.Errorf("read the leaks: %w", err)
	}
	return string(bytes.TrimSpace(report)), tellKmemleak("clear")
}

func tellKmemleak(command string) error {
	if err := os.WriteFile(kmemleakFile, []byte(command), 0); err != nil {
		return fmt.Errorf("ask for leaks (CONFIG_DEBUG_KMEMLEAK): %w", err)
	}
	return nil
}

// leakLines makes lines of kmemleak's report that begin as the kernel's own do.
func leakLines(report, after string) []string {
	const object = "unreferenced object "
	if report == "" {
		return nil
	}
	var lines []string
	n := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(report, "\n"), "\n") {
		if strings.HasPrefix(line, object) {
			n++
			line = "kmemleak: " + strings.TrimSuffix(line, ":") + " after " + after
		}
		if n <= maxLeaks {
			lines = append(lines, line)
		}
	}
	if n == 0 {
		// In an unknown form.
		lines = append([]string{"kmemleak: report after " + after}, lines...)
	} else if n > maxLeaks {
		lines = append(lines, fmt.Sprintf("kmemleak: and %d more after %s", n-maxLeaks, after))
	}
	return lines
}
