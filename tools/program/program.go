// SPDX-License-Identifier: GPL-2.0-only

// Package program runs programs of the machine to their end, with nothing of the
// user's settings: what they do hangs on their arguments and their folder alone.
// What they print is bounded, and they leave no process behind.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
)

// Program is a program to run.
type Program struct {
	Name string
	Dir  string   // working directory and home
	Env  []string // in addition
	// Stdin is what it reads, nil for nothing.
	Stdin []byte
}

// MaxOutput is what a program may print to either of its outputs, in bytes.
const MaxOutput = 64 << 20

// waitDelay is how long a program that was killed may keep its outputs open.
const waitDelay = 5 * time.Second

// MissingError says that a program is not installed.
type MissingError struct {
	Program string
	Err     error
}

func (e *MissingError) Error() string { return e.Program + " is not installed" }
func (e *MissingError) Unwrap() error { return e.Err }

// ExitCode says that the machine lacks something.
func (e *MissingError) ExitCode() int { return exit.MachineLacks }

// StatusError says that a program ended with another exit status than 0, which is
// no exit code of this one.
type StatusError struct {
	Command string // the program and its first arguments
	Status  int
	Said    string // the end of what it printed to its standard error
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.Command, e.Status, e.Said)
}

// Run runs the program to its end and returns what it printed. Where it is not
// installed the error is a *MissingError. Where it ends with another status than 0
// it is a *StatusError, and what it printed is returned with it. If ctx ends the
// program is killed, with all that it started.
func (p Program) Run(ctx context.Context, args ...string) (stdout, stderr []byte, err error) {
	path, err := exec.LookPath(p.Name)
	if err != nil {
		return nil, nil, &MissingError{p.Name, err}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.Dir, "LC_ALL=C.UTF-8"}, p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = waitDelay
	if p.Stdin != nil {
		cmd.Stdin = bytes.NewReader(p.Stdin)
	}
	var out, errs limited
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("run %s: %w", p.Name, ctx.Err())
	}
	if out.full || errs.full {
		return nil, nil, fmt.Errorf("run %s: more than %d bytes of output", p.Name, MaxOutput)
	}
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.Exited() {
		command := strings.Join(append([]string{p.Name}, args[:min(2, len(args))]...), " ")
		return out.Bytes(), errs.Bytes(), &StatusError{command, ended.ExitCode(), LastLines(errs.Bytes())}
	}
	if err != nil {
		// Not wrapped: the exit code of an exec.ExitError is not this program's.
		return nil, nil, fmt.Errorf("run %s: %v: %s", p.Name, err, LastLines(errs.Bytes()))
	}
	return out.Bytes(), errs.Bytes(), nil
}

// LastLines returns the end of what a program said, where errors are.
func LastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// limited is a buffer that stops growing at MaxOutput. The buffer is no embedded
// one: that would bring ReadFrom, which exec prefers to Write and which has no bound.
type limited struct {
	buffer bytes.Buffer
	full   bool
}

func (b *limited) Bytes() []byte { return b.buffer.Bytes() }

func (b *limited) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > MaxOutput {
		b.full = true
		return len(p), nil
	}
	return b.buffer.Write(p)
}
