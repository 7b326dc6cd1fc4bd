// SPDX-License-Identifier: GPL-2.0-only

package wire

import "errors"

// Code is the kind of error that an Error record carries, so that the host can act
// on it without reading its text. "" is an error of no particular kind. The guest's
// packages wrap codes in their errors, and the host gets them back from Code.Err.
type Code string

// The kinds of error that the host tells apart.
const (
	// ErrProbeMissed: a program did not run for every call of its function, or
	// an event found no room. What was measured is no result.
	ErrProbeMissed Code = "probe-missed"
	// ErrAttach: a program was not loaded or not attached, because the kernel
	// lacks a feature or the function.
	ErrAttach Code = "attach"
	// ErrFound: other means found more or fewer vCPUs than expected.
	ErrFound Code = "found"
	// ErrChecksum: lookups returned other vCPUs than a walk.
	ErrChecksum Code = "checksum"
	// ErrPayload: what ran in a VM, or what KVM did for it, is not what was
	// asked for.
	ErrPayload Code = "payload"
	// ErrInvalid: the job's parameters are wrong.
	ErrInvalid Code = "invalid"
	// ErrUnimplemented: the guest program does not know the job, or something
	// that the job asks for.
	ErrUnimplemented Code = "unimplemented"
	// ErrPanic: the guest program panicked.
	ErrPanic Code = "panic"
)

var texts = map[Code]string{
	ErrProbeMissed:   "probe missed calls",
	ErrAttach:        "probes do not attach",
	ErrFound:         "the VM does not have the vCPUs that it should have",
	ErrChecksum:      "wrong checksum: a lookup returned the wrong vCPU",
	ErrPayload:       "the VM's payload failed",
	ErrInvalid:       "invalid job",
	ErrUnimplemented: "unknown to this guest program",
	ErrPanic:         "the guest program panicked",
}

func (c Code) Error() string { return texts[c] }

// CodeOf returns the first code that err wraps, "" if it wraps none.
func CodeOf(err error) Code {
	code, _ := errors.AsType[Code](err)
	return code
}

// Err returns the code as an error, nil for "" and for an unknown code.
func (c Code) Err() error {
	if texts[c] == "" {
		return nil
	}
	return c
}
