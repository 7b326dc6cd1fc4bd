// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"errors"
	"fmt"
	"strings"

	"vcpulab/tools/exit"
)

// ErrKernel and ErrInfrastructure tell by errors.Is whose fault a Fault is:
// that of the kernel or the program in the guest, or of QEMU and this
// machine. The second kind says nothing about a patch.
var (
	ErrKernel         = errors.New("fault of the kernel or the guest")
	ErrInfrastructure = errors.New("fault of QEMU or this machine")
)

// FaultKind tells faults apart.
type FaultKind string

// The kinds of fault.
const (
	KernelPanic   FaultKind = "kernel panic"
	KernelOops    FaultKind = "kernel oops"
	KernelWarning FaultKind = "kernel warning" // the run ended well otherwise
	NoInit        FaultKind = "no init"        // the kernel found no program to run as init
	InitDied      FaultKind = "init died"
	Hang          FaultKind = "hang"               // neither console nor records went on
	SilentReset   FaultKind = "silent reset"       // the guest ended before its end record and said nothing
	CutOutput     FaultKind = "output cut"         // in the middle of a line
	LostRecords   FaultKind = "records lost"       // malformed, missing or doubled ones
	GuestFailed   FaultKind = "guest failed"       // the guest program could not set up the guest
	JobFailed     FaultKind = "job failed"         // the guest program says that its job failed
	Deadline      FaultKind = "time ran out"       // the run went on, but not to its end
	QEMUFailed    FaultKind = "QEMU failed"        // it did not start, ended by itself or was killed
	AccelFailed   FaultKind = "accelerator failed" // QEMU says that KVM gave up
)

// Fault is everything that can go wrong between QEMU's start and its end.
type Fault struct {
	Kind FaultKind
	// Arch is the name of the guest's architecture.
	Arch string
	// Title says in one line what happened.
	Title string
	// Splats are all complaints of the kernel, in order.
	Splats []Splat
	// Lines are the lines of the console that tell most.
	Lines []string
	// Stderr is what QEMU itself said, bounded.
	Stderr string
	// Console is the path of the kept console, "" if none was kept.
	Console string
	// Command repeats the run, quoted for a shell.
	Command string
	// Err is the error underneath, nil if there is none.
	Err error
}

// Error returns all of it, on several lines.
func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "boot %s: %s", f.Arch, f.Kind)
	if f.Title != "" {
		fmt.Fprintf(&b, ": %s", f.Title)
	}
	if text := strings.TrimSpace(f.Stderr); text != "" {
		b.WriteString("\n  QEMU says:\n    " + strings.ReplaceAll(text, "\n", "\n    "))
	}
	switch {
	case len(f.Lines) > 0:
		b.WriteString("\n  the console:\n    " + strings.Join(f.Lines, "\n    "))
	case f.Kind != QEMUFailed:
		b.WriteString("\n  the console stayed empty")
	}
	if f.Console != "" {
		b.WriteString("\n  all of the console: " + f.Console)
	}
	if f.Command != "" {
		b.WriteString("\n  to repeat it: " + f.Command)
	}
	return b.String()
}

// Unwrap returns whose fault it is and the error underneath.
func (f *Fault) Unwrap() []error {
	whose := ErrKernel
	if f.Infrastructure() {
		whose = ErrInfrastructure
	}
	if f.Err == nil {
		return []error{whose}
	}
	return []error{whose, f.Err}
}

// Infrastructure tells whether QEMU or this machine is to blame. Time that
// ran out is not counted so: a kernel that is too slow looks the same.
func (f *Fault) Infrastructure() bool {
	return f.Kind == QEMUFailed || f.Kind == AccelFailed
}

// ExitCode returns exit.TimedOut when time ran out, exit.CheckFailed when the
// guest did its job and the job failed, exit.BootFailed otherwise.
func (f *Fault) ExitCode() int {
	switch f.Kind {
	case Deadline:
		return exit.TimedOut
	case JobFailed:
		return exit.CheckFailed
	}
	return exit.BootFailed
}

// quote returns a command line that a POSIX shell splits into args again.
func quote(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quoteArg(a)
	}
	return strings.Join(quoted, " ")
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"

func quoteArg(a string) string {
	if a != "" && strings.Trim(a, plain) == "" {
		return a
	}
	return "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
}
