// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"errors"
	"fmt"
	"strings"

	"vcpulab/ebpf/wire"
)

// evidence is all that is known of a run that is over.
type evidence struct {
	stopped   stop    // why it was ended from outside
	ended     string  // how QEMU ended, in words
	good      bool    // by itself and without complaint
	shutdown  string  // why, in QMP's words; "" if it did not say
	where     string  // what QEMU knew of a guest that hung
	streamErr error   // of the records; nil when the end record came last
	console   string  // the kept part of it
	splats    []Splat // found on the console
	guest     string  // why the guest program gave up
	stderr    string  // what QEMU itself said
	result    *Result
	options   Options
}

// accelComplaints are what QEMU says when KVM gives up on a guest.
var accelComplaints = []string{
	"KVM internal error", "KVM: entry failed", "kvm run failed", "failed to initialize kvm",
	"Could not access KVM kernel module", "KVM_GET_SUPPORTED_CPUID failed", "error: failed to set MSR",
}

// diagnose says what went wrong, nil if nothing did. What the kernel said
// itself comes first, then what QEMU said, then what was seen from outside.
func diagnose(e evidence) *Fault {
	kind, title, err := e.verdict()
	if kind == "" {
		return nil
	}
	f := &Fault{Kind: kind, Title: strings.Map(printable, title), Err: err, Splats: e.splats, Stderr: strings.Map(printable, e.stderr)}
	var about *Splat
	for i, s := range e.splats {
		if s.Kind == kind && s.Title == title {
			about = &e.splats[i]
			break
		}
	}
	f.Lines = excerpt(e.console, about)
	return f
}

func (e evidence) verdict() (FaultKind, string, error) {
	splat, complained := worst(e.splats)
	if complained && splat.Kind != KernelWarning {
		return splat.Kind, splat.Title, nil
	}
	for _, c := range accelComplaints {
		if strings.Contains(e.stderr, c) {
			return AccelFailed, firstLine(e.stderr), nil
		}
	}
	switch {
	case e.stopped == stopNone && !e.good:
		return QEMUFailed, e.ended, nil
	case e.stopped == stopHang:
		title := fmt.Sprintf("neither console nor records went on for %v", e.options.Silence)
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
		title := "the guest ended before its end record and did not say why"
		if e.shutdown != "" {
			title += " (QEMU says " + e.shutdown + ")"
		}
		return SilentReset, title, err
	case errors.Is(err, wire.ErrCut):
		return CutOutput, err.Error(), err
	default:
		return LostRecords, err.Error(), err
	}
	if e.result.End.Status != wire.StatusOK {
		title := "the guest does not say why"
		if n := len(e.result.Errors); n > 0 {
			title = e.result.Errors[n-1].Message
		}
		return JobFailed, title, nil
	}
	if complained && !e.options.AllowWarnings {
		return KernelWarning, splat.Title, nil
	}
	return "", "", nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
