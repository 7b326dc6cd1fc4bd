// SPDX-License-Identifier: GPL-2.0-only

// Package exit has the command's exit codes, and finds the one of an error.
package exit

import (
	"context"
	"errors"
	"fmt"
)

// The exit codes. Scripts and CI depend on them: a number never changes its meaning.
const (
	Good         = 0   // everything that was asked for was done
	CheckFailed  = 1   // a check or a test failed; also any error without a code of its own
	Usage        = 2   // the command line, or a file that the user wrote, is wrong
	PatchFailed  = 3   // a patch does not apply
	BuildFailed  = 4   // a kernel, module or test did not build
	BootFailed   = 5   // a kernel did not boot, panicked or hung
	TimedOut     = 6   // time ran out
	MachineLacks = 7   // the machine lacks something: a program, disk space, the network
	Interrupted  = 130 // the user pressed Ctrl-C: 128 + SIGINT, as shells have it
	Unread       = 141 // the reader of what is printed has gone: 128 + SIGPIPE
)

// Coder is an error that knows which exit code it stands for.
type Coder interface {
	error
	// ExitCode returns one of these constants, never Good, or that of a Status.
	ExitCode() int
}

// Code returns the exit code for err: Good for nil, the code of the first Coder in its
// tree, else TimedOut for context.DeadlineExceeded and Interrupted for context.Canceled,
// else CheckFailed. An error is never Good, whatever its Coder says.
func Code(err error) int {
	if err == nil {
		return Good
	}
	if c, ok := errors.AsType[Coder](err); ok {
		if code := c.ExitCode(); code != Good {
			return code
		}
		return CheckFailed
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return CheckFailed
}

// Status is how a program ended that the user had run, other than with 0. It is the
// command's own exit code then, and nothing is said of it.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// ExitCode returns the status.
func (s Status) ExitCode() int { return int(s) }

// coded gives an exit code to an error that has none.
type coded struct {
	code int
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }
func (c *coded) ExitCode() int { return c.code }

// With returns err with an exit code, for errors that callers need not tell
// apart otherwise. It returns nil when err is nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &coded{code: code, err: err}
}
