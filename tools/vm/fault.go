// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// FaultKind tells faults apart.
type FaultKind string

// The kinds of fault.
const (
	KernelPanic   FaultKind = "kernel panic"
	KernelOops    FaultKind = "kernel oops"
	KernelWarning FaultKind = "kernel warning" // the run ended well otherwise
	CheckerFailed FaultKind = "checker failed" // lockdep or the like gave up: that it is silent means nothing
	NoInit        FaultKind = "no init"        // the kernel found no program to run as init
	InitDied      FaultKind = "init died"
	Hang          FaultKind = "hang"               // neither console nor records went on
	SilentReset   FaultKind = "silent reset"       // the guest ended before its end record, without a message
	CutOutput     FaultKind = "output cut"         // in the middle of a line
	LostRecords   FaultKind = "records lost"       // malformed, missing or duplicate ones
	GuestFailed   FaultKind = "guest failed"       // the guest program could not set up the guest
	JobFailed     FaultKind = "job failed"         // the guest program reports that its job failed
	Deadline      FaultKind = "time ran out"       // the run went on, but not to its end
	QEMUFailed    FaultKind = "QEMU failed"        // it did not start, ended by itself or was killed
	AccelFailed   FaultKind = "accelerator failed" // QEMU reports that KVM gave up
)

// endsKernel tells, of the kinds of a splat, whether the kernel does not go on.
func (k FaultKind) endsKernel() bool { return k != KernelWarning && k != CheckerFailed }

// Fault is everything that can go wrong between QEMU's start and its end.
type Fault struct {
	Kind   FaultKind
	Arch   string   // the name of the guest's architecture
	Title  string   // what happened, in one line
	Splats []Splat  // all complaints of the kernel, in order
	Lines  []string // those of the console that tell most
	Stderr string   // what QEMU itself printed, bounded
	// Paths of the console and of the guest's memory, "" if they were not kept.
	Console string
	Core    string `json:",omitempty"`
	Command string // repeats the run, quoted for a shell
	// Err is the error underneath, nil if there is none: of the record stream,
	// or if a job failed the guest's, which wraps a code such as wire.ErrAttach.
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
	if len(f.Lines) > 0 {
		b.WriteString("\n  the console:\n    " + strings.Join(f.Lines, "\n    "))
	} else if f.Kind != QEMUFailed {
		b.WriteString("\n  the console is empty")
	}
	last := [][2]string{{"all of the console", f.Console}, {"the guest's memory", f.Core}, {"to repeat it", f.Command}}
	for _, line := range last {
		if line[1] != "" {
			fmt.Fprintf(&b, "\n  %s: %s", line[0], line[1])
		}
	}
	return b.String()
}

func (f *Fault) Unwrap() error { return f.Err }

// Infrastructure tells whether QEMU or this machine is to blame, so that the
// fault says nothing about a patch. Time that ran out does not count: a kernel
// that is too slow looks the same.
func (f *Fault) Infrastructure() bool { return f.Kind == QEMUFailed || f.Kind == AccelFailed }

// ExitCode returns exit.TimedOut when time ran out, exit.CheckFailed when the
// guest did its job and the job failed, exit.BootFailed otherwise.
func (f *Fault) ExitCode() int {
	codes := map[FaultKind]int{Deadline: exit.TimedOut, JobFailed: exit.CheckFailed}
	return cmp.Or(codes[f.Kind], exit.BootFailed)
}

// evidence is all that is known of a run that is over.
type evidence struct {
	stopped   stopReason // why it was ended from outside
	ended     string     // how QEMU ended, in words
	good      bool       // by itself and without an error
	shutdown  string     // why, in QMP's words; "" if unknown
	where     string     // what QEMU knew of a guest that hung
	streamErr error      // of the records; nil when the end record came last
	guest     string     // why the guest program gave up
	stderr    string     // what QEMU itself printed
	result    *Result
	options   Options
}

// accelComplaint is what QEMU prints when KVM gives up on a guest.
var accelComplaint = regexp.MustCompile("KVM internal error|KVM: entry failed|kvm run failed|failed to initialize kvm|" +
	"Could not access KVM kernel module|KVM_GET_SUPPORTED_CPUID failed|error: failed to set MSR")

func (e evidence) fault() *Fault {
	kind, title, err := e.classify()
	if kind == "" {
		return nil
	}
	isSplat := slices.ContainsFunc(e.result.Splats, func(s Splat) bool { return s.Kind == kind && s.Title == title })
	return &Fault{
		Kind: kind, Title: progress.Printable(title), Err: err, Splats: e.result.Splats, Stderr: progress.Printable(e.stderr),
		Lines: excerpt(e.result.Console, kind, isSplat), Command: e.result.Command,
	}
}

// classify returns the kind of the fault, "" for none. What the kernel printed
// counts most, then what QEMU printed, then what was seen from outside.
func (e evidence) classify() (kind FaultKind, title string, err error) {
	splat, complained := worst(e.result.Splats)
	if complained && splat.Kind.endsKernel() {
		return splat.Kind, splat.Title, nil
	}
	if accelComplaint.MatchString(e.stderr) {
		line, _, _ := strings.Cut(strings.TrimSpace(e.stderr), "\n")
		return AccelFailed, line, nil
	}

	switch {
	case e.stopped == stopNone && !e.good:
		return QEMUFailed, e.ended, nil
	case e.stopped == stopHang:
		title := fmt.Sprintf("neither console nor records went on for %v", e.options.Silence)
		if e.streamErr == nil {
			title += " after the end record: the guest did not power off"
		}
		if e.where != "" {
			title += "; " + e.where
		}
		return Hang, title, nil
	case e.stopped == stopTimeout:
		return Deadline, fmt.Sprintf("the guest had not ended after %v", e.options.Timeout), nil
	case e.guest != "":
		return GuestFailed, e.guest, nil
	}

	switch err := e.streamErr; {
	case err == nil:
	case errors.Is(err, wire.ErrNoEnd):
		title := "the guest ended without an end record or a message"
		if e.shutdown != "" {
			title += " (QEMU's reason is " + e.shutdown + ")"
		}
		return SilentReset, title, err
	case errors.Is(err, wire.ErrCut):
		return CutOutput, err.Error(), err
	default:
		return LostRecords, err.Error(), err
	}

	if end := &e.result.End; end.Message != "" {
		return JobFailed, end.Message, end
	}
	if complained && !e.options.AllowWarnings {
		return splat.Kind, splat.Title, nil
	}
	return "", "", nil
}
