// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Version is the version of the record format. Hello carries it, and a host
// refuses a guest of another version.
const Version = 3

// Kind tells what a Record carries.
type Kind string

// The kinds of record.
const (
	KindHello  Kind = "hello"  // first record: a description of the guest
	KindLog    Kind = "log"    // a line for people
	KindBeat   Kind = "beat"   // the guest is alive
	KindSample Kind = "sample" // a measured value, opaque to this package
	KindStart  Kind = "start"  // a program is about to run
	KindTest   Kind = "test"   // the result of one program
	KindError  Kind = "error"  // an error; the run goes on to its End
	KindEnd    Kind = "end"    // last record: the run is complete
)

// Record is one line from the guest. Of the pointers exactly the one that
// Kind names is set; a Beat has none.
type Record struct {
	// Seq is 1 for the first record and rises by 1.
	Seq uint64 `json:"seq"`
	// Kind tells which of the fields below is set.
	Kind Kind `json:"kind"`
	// Nanos is the guest's CLOCK_MONOTONIC when the record was made, in
	// nanoseconds: of virtual time under icount.
	Nanos int64 `json:"t"`

	Hello  *Hello  `json:"hello,omitempty"`
	Log    *Log    `json:"log,omitempty"`
	Sample *Sample `json:"sample,omitempty"`
	Start  *Start  `json:"start,omitempty"`
	Test   *Test   `json:"test,omitempty"`
	Error  *Error  `json:"error,omitempty"`
	End    *End    `json:"end,omitempty"`
}

// Hello says which guest speaks.
type Hello struct {
	Version     int    `json:"version"`     // of this format
	Job         string `json:"job"`         // kind of the job
	Kernel      string `json:"kernel"`      // uname -r
	Build       string `json:"build"`       // uname -v
	Machine     string `json:"machine"`     // uname -m
	Cmdline     string `json:"cmdline"`     // /proc/cmdline
	BootID      string `json:"boot_id"`     // random in every boot, unless the guest is seeded
	Clocksource string `json:"clocksource"` // the current one
	OnlineCPUs  string `json:"online_cpus"` // a list such as 0-3
	MemTotalKiB int64  `json:"mem_total_kib"`
}

// Log is a line for people.
type Log struct {
	Text string `json:"text"`
}

// Sample is a measured value. Type names the type of Data, see package measure.
type Sample struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// Start names the program that is about to run, so that the host knows which one a
// guest died of. The same is written to the kernel's log, as StartMark and the name.
type Start struct {
	Name string `json:"name"`
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

// Error is an error of the guest.
type Error struct {
	Code    Code   `json:"code,omitempty"` // the kind of error
	Message string `json:"message"`        // the error's text
}

// End closes a run.
type End struct {
	Status  Status `json:"status"`
	Records uint64 `json:"records"` // how many records were sent, this one included
}

// Status is how a run ended.
type Status string

// The statuses of a run.
const (
	StatusOK     Status = "ok"     // the job is done
	StatusFailed Status = "failed" // an Error record says why it is not
)

// check tells whether r is well formed: the payload that its kind names and
// no other.
func (r *Record) check() error {
	set := map[Kind]bool{
		KindHello: r.Hello != nil, KindLog: r.Log != nil, KindBeat: r.Kind == KindBeat,
		KindSample: r.Sample != nil, KindStart: r.Start != nil, KindTest: r.Test != nil,
		KindError: r.Error != nil, KindEnd: r.End != nil,
	}
	if _, known := set[r.Kind]; !known {
		return fmt.Errorf("record of unknown kind %q", r.Kind)
	}
	if !set[r.Kind] {
		return fmt.Errorf("record of kind %q has no %q", r.Kind, r.Kind)
	}
	for kind, is := range set {
		if is && kind != r.Kind {
			return fmt.Errorf("record of kind %q carries a %q", r.Kind, kind)
		}
	}
	if r.Kind == KindSample && (r.Sample.Type == "" || len(r.Sample.Data) == 0) {
		return errors.New("sample without a type or without data")
	}
	return nil
}
