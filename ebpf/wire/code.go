// SPDX-License-Identifier: GPL-2.0-only

package wire

import "errors"

// Code is the kind of error that End carries, so that the host can act on it without
// reading its text. "" is an error of no particular kind. The guest's packages wrap
// codes in their errors, and so does End.
type Code string

// The kinds of error that the host tells apart.
const (
	// ErrProbeMissed: a program did not run for every call of its function, or
	// an event found no room. What was measured is no result.
	ErrProbeMissed Code = "probe missed calls"
	// ErrAttach: a program was not loaded or not attached, because the kernel
	// lacks a feature or the function.
	ErrAttach Code = "probes do not attach"
	// ErrFound: other means found more or fewer vCPUs than expected.
	ErrFound Code = "the VM does not have the vCPUs that it should have"
	// ErrChecksum: lookups returned other vCPUs than a walk.
	ErrChecksum Code = "wrong checksum: a lookup returned the wrong vCPU"
	// ErrPayload: what ran in a VM, or what KVM did for it, is not what was
	// asked for.
	ErrPayload Code = "the VM's payload failed"
	// ErrInvalid: the job is wrong.
	ErrInvalid Code = "invalid job"
	// ErrPanic: the guest program panicked.
	ErrPanic Code = "the guest program panicked"
)

func (c Code) Error() string { return string(c) }

// End closes a run. If the job failed it is an error, and says why.
type End struct {
	// Message is the error's text, "" if the job is done.
	Message string `json:"message,omitempty"`
	Code    Code   `json:"code,omitempty"`
}

// NewEnd returns the end of a run of which err is the error.
func NewEnd(err error) *End {
	if err == nil {
		return &End{}
	}
	code, _ := errors.AsType[Code](err)
	return &End{Message: err.Error(), Code: code}
}

func (e *End) Error() string { return e.Message }

// Unwrap returns the code, nil if there is none.
func (e *End) Unwrap() error {
	if e.Code == "" {
		return nil
	}
	return e.Code
}
