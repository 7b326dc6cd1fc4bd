// SPDX-License-Identifier: GPL-2.0-only

package wire

import "errors"

// Code says what kind of error an Error record carries, so that the host can
// act on it without reading its text. "" is an error of no particular kind.
type Code string

// The codes of errors that the host tells apart.
const (
	CodeProbeMissed   Code = "probe-missed"
	CodeAttach        Code = "attach"
	CodeFound         Code = "found"
	CodeChecksum      Code = "checksum"
	CodePayload       Code = "payload"
	CodeInvalid       Code = "invalid"
	CodeUnimplemented Code = "unimplemented"
	CodePanic         Code = "panic"
)

// The errors behind the codes. The guest's packages wrap them, and the host
// gets them back from Code.Err.
var (
	// ErrProbeMissed: a program did not run for every call of its function, or
	// an event found no room. What was measured is no result.
	ErrProbeMissed = errors.New("probe missed calls")
	// ErrAttach: a program was not loaded or not attached, because the kernel
	// lacks a feature or the function.
	ErrAttach = errors.New("probes do not attach")
	// ErrFound: other means found more or fewer vCPUs than expected.
	ErrFound = errors.New("the VM does not have the vCPUs that it should have")
	// ErrChecksum: lookups returned other vCPUs than a walk.
	ErrChecksum = errors.New("wrong checksum: a lookup returned the wrong vCPU")
	// ErrPayload: what ran in a VM, or what KVM did for it, is not what was
	// asked for.
	ErrPayload = errors.New("the VM's payload failed")
	// ErrInvalid: the job's parameters are wrong.
	ErrInvalid = errors.New("invalid job")
	// ErrUnimplemented: the guest program does not know the job, or something
	// that the job asks for.
	ErrUnimplemented = errors.New("unknown to this guest program")
	// ErrPanic: the guest program panicked.
	ErrPanic = errors.New("the guest program panicked")
)

// codes maps codes to errors, and back.
var codes = []struct {
	code Code
	err  error
}{
	{CodeProbeMissed, ErrProbeMissed},
	{CodeAttach, ErrAttach},
	{CodeFound, ErrFound},
	{CodeChecksum, ErrChecksum},
	{CodePayload, ErrPayload},
	{CodeInvalid, ErrInvalid},
	{CodeUnimplemented, ErrUnimplemented},
	{CodePanic, ErrPanic},
}

// CodeOf returns the code of the first error of the table that err wraps, "" if
// it wraps none.
func CodeOf(err error) Code {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}

// Err returns the error behind the code, nil for "" and for an unknown code.
func (c Code) Err() error {
	for _, known := range codes {
		if c == known.code {
			return known.err
		}
	}
	return nil
}
