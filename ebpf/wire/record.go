// SPDX-License-Identifier: GPL-2.0-only

// Package wire is the protocol between the host and the program in a guest: a Job
// goes in as a JSON file in the initramfs, Records come out as lines of JSON over a
// virtio-serial port. Errors cross as codes, see Code.
//
// A run counts only with its End record. Every record carries its own number, so
// that lost, cut and duplicate lines are noticed and never taken for a result.
package wire

import (
	"fmt"

	"vcpulab/ebpf/measure"
)

// Version is the version of the record format. Hello carries it, and a host
// refuses a guest of another version.
const Version = 4

// Record is one line from the guest. At most one of the fields after Nanos is set; a
// record with none says that the guest is alive.
type Record struct {
	// Seq is 1 for the first record and rises by 1.
	Seq uint64 `json:"seq"`
	// Nanos is the guest's CLOCK_MONOTONIC when the record was made, in
	// nanoseconds: of virtual time under icount.
	Nanos int64 `json:"t"`

	// Hello is the first record.
	Hello *Hello `json:"hello,omitempty"`
	// Log is a line for people.
	Log    string          `json:"log,omitempty"`
	Sample *measure.Sample `json:"sample,omitempty"`
	// Start names the program that is about to run, so that the host knows which
	// one a guest died of. The same is written to the kernel's log, as StartMark
	// and the name.
	Start string `json:"start,omitempty"`
	Test  *Test  `json:"test,omitempty"`
	// End is the last record.
	End *End `json:"end,omitempty"`
}

// Hello says which guest speaks.
type Hello struct {
	Version    int    `json:"version"`     // of this format
	Kernel     string `json:"kernel"`      // uname -r
	Machine    string `json:"machine"`     // uname -m
	Cmdline    string `json:"cmdline"`     // /proc/cmdline
	BootID     string `json:"boot_id"`     // random in every boot, unless the guest is seeded
	OnlineCPUs string `json:"online_cpus"` // a list such as 0-3
}

// StartMark precedes the name of a program in the kernel's log, and so on the
// console: the kernel's complaints after it are about that program.
const StartMark = "vcpulab: start "

// FatalPrefix starts the line on the console with which the guest program says
// why it sends no records.
const FatalPrefix = "vcpulab-guest: fatal: "

// Outcome is how a program ended.
type Outcome string

// The outcomes of a program.
const (
	OutcomeExit    Outcome = "exit"    // by itself; see Test.Code
	OutcomeSignal  Outcome = "signal"  // by a signal; see Test.Signal
	OutcomeTimeout Outcome = "timeout" // ended by the guest's program
	OutcomeError   Outcome = "error"   // it could not be started
)

// Test is the result of one program.
type Test struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Code    int     `json:"code"`              // exit status when Outcome is exit
	Signal  string  `json:"signal,omitempty"`  // such as SIGSEGV when Outcome is signal
	Nanos   int64   `json:"nanos"`             // elapsed, of the guest's clock
	Output  string  `json:"output,omitempty"`  // standard output and error, as they came
	Dropped int64   `json:"dropped,omitempty"` // bytes left out of the middle of Output
	Message string  `json:"message,omitempty"` // why it could not be started
}

// check tells whether r is well formed, without its place among the others.
func (r *Record) check() error {
	set := 0
	for _, is := range []bool{r.Hello != nil, r.Log != "", r.Sample != nil, r.Start != "", r.Test != nil, r.End != nil} {
		if is {
			set++
		}
	}
	if set > 1 {
		return fmt.Errorf("%w: it carries %d things, expected one", ErrMalformed, set)
	}
	if r.Hello != nil && r.Hello.Version != Version {
		return fmt.Errorf("%w: expected version %d, found %d: the guest program is stale", ErrMalformed, Version, r.Hello.Version)
	}
	return nil
}
