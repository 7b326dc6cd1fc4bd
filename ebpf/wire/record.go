// SPDX-License-Identifier: GPL-2.0-only

// Package wire is the protocol between the host and the program in a guest: a Job
// goes in as a JSON file in the initramfs, Records come out as lines of JSON over a
// virtio-serial port. Errors cross as codes, see Code.
//
// A run counts only with its End record. Every record carries its own number, so
// that lost, cut and duplicate lines are noticed and never taken for a result.
package wire

import (
	"errors"
	"fmt"
	"time"

	"vcpulab/ebpf/measure"
)

// Version is the version of the record format. Hello carries it, and a host
// refuses a guest of another version.
const Version = 7

// Record is one line from the guest. At most one of the fields after Nanos is set; a
// record with none says that the guest is alive.
type Record struct {
	Seq   uint64 `json:"seq"` // 1 for the first record and rises by 1
	Nanos int64  `json:"t"`   // the guest's CLOCK_MONOTONIC then, in nanoseconds: of virtual time under icount

	Hello  *Hello          `json:"hello,omitempty"` // the first record
	Log    string          `json:"log,omitempty"`   // a line for people
	Sample *measure.Sample `json:"sample,omitempty"`
	// Start names the program that is about to run, so that the host knows which one a
	// guest died of. The same is written to the kernel's log, as StartMark and the name.
	Start string `json:"start,omitempty"`
	// Loaded is a module that a guest with a Shell has loaded, and Output what its
	// program prints without a terminal, or one that is Live.
	Loaded *Loaded `json:"loaded,omitempty"`
	Output *Output `json:"output,omitempty"`
	Test   *Test   `json:"test,omitempty"`
	// Checkers are all of Exec.Checkers, after the programs: all of them, or those
	// up to the one during which a checker gave up.
	Checkers []Checker `json:"checkers,omitempty"`
	End      *End      `json:"end,omitempty"` // the last record
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
	OutcomeKilled  Outcome = "killed"  // the same, as Program.Kill asks for
	OutcomeError   Outcome = "error"   // it could not be started
)

// Test is the result of one program.
type Test struct {
	Name    string         `json:"name"`
	Outcome Outcome        `json:"outcome"`
	Code    int            `json:"code"`              // exit status when Outcome is exit
	Signal  string         `json:"signal,omitempty"`  // such as SIGSEGV when Outcome is signal
	Nanos   int64          `json:"nanos"`             // elapsed, of the guest's clock
	Output  string         `json:"output,omitempty"`  // standard output and error, as they came
	Dropped int64          `json:"dropped,omitempty"` // bytes left out of the middle of Output
	Message string         `json:"message,omitempty"` // why it could not be started
	Calls   *measure.Calls `json:"calls,omitempty"`   // those of Exec.Function
}

// check tells whether r is well formed, without its place among the others.
func (r *Record) check() error {
	set := 0
	for _, is := range []bool{r.Hello != nil, r.Log != "", r.Sample != nil, r.Start != "", r.Loaded != nil, r.Output != nil, r.Test != nil, r.Checkers != nil, r.End != nil} {
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

const (
	JobPath = "/job.json"     // where the guest finds its job in the initramfs
	Port    = "/dev/vport0p1" // where records go: the first port of the only virtio-serial device
	// RunningArg has the guest program do a job on the running kernel, as an
	// ordinary process: it reads the job from standard input and sends records
	// to standard output. It mounts nothing and loads nothing.
	RunningArg = "running"
)

// Job is the task of a guest: Exec, Shell, Measure, or with none to say hello and end.
type Job struct {
	Exec    *Exec           `json:"exec,omitempty"`    // programs to run
	Shell   *Shell          `json:"shell,omitempty"`   // an interactive program
	Measure *measure.Params `json:"measure,omitempty"` // what to measure
	// Mounts names the file systems to mount besides proc, sys and dev:
	// tmpfs, debugfs, tracefs, bpf, cgroup2; or HostMount.
	Mounts  []string `json:"mounts,omitempty"`
	Emptied []string `json:"emptied,omitempty"` // directories of the host's that HostMount has empty
	Layered bool     `json:"layered,omitempty"` // adds the files of LayerTag to HostMount; they hide the host's
	Drivers []Module `json:"drivers,omitempty"` // loaded in this order before the port is opened and anything is mounted
	Modules []Module `json:"modules,omitempty"` // loaded in this order before the job starts
	// HeartbeatMillis is the time between two heartbeats, in milliseconds
	// of the guest's own clock; 0 sends none. Leave it 0 under icount with
	// sleep=off: an idle guest's clock runs ahead there.
	HeartbeatMillis int64 `json:"heartbeat_ms,omitempty"`
}

// Module is a kernel module in the initramfs.
type Module struct {
	Path string `json:"path"`           // absolute path in the guest
	Args string `json:"args,omitempty"` // module parameters, as for insmod
}

// TestsDir is where the kernel's selftests are in a guest.
const TestsDir = "/tests"

// Exec is programs that run one after the other, a Start and a Test record each.
type Exec struct {
	Programs  []Program `json:"programs"`
	Leaks     bool      `json:"leaks,omitempty"`      // has kmemleak look after each program, and log its report
	LeaksLast bool      `json:"leaks_last,omitempty"` // has it look after the last program only
	// Function is one of the kernel's or of a module's, of which each call counts
	// while a program runs, as in Test.Calls; "" is none. After a run that missed
	// calls the program runs again, MaxRuns times at most.
	Function string `json:"function,omitempty"`
	// Checkers are those of the kernel's that have to be on after each program. The
	// programs after one during which a checker gave up are not run.
	Checkers []string `json:"checkers,omitempty"`
}

// MaxRuns is how often a program runs at most, see Exec.Function.
const MaxRuns = 5

// The kernel's checkers.
const (
	Lockdep        = "lockdep"
	DebugObjects   = "debug objects"
	Kmemleak       = "kmemleak"
	KASAN          = "KASAN"
	KCSAN          = "KCSAN"
	FaultInjection = "fault injection"
)

// KASANMultiShot is the argument of the kernel that has KASAN report all faults,
// not the first one only.
const KASANMultiShot = "kasan_multi_shot"

// Checker says how one of the kernel's checkers has fared.
type Checker struct {
	Name  string `json:"name"`
	Wrong string `json:"wrong,omitempty"` // what shows that it is off, hence silent; "" if it is on
	After string `json:"after,omitempty"` // the program after which it was off, "" if it never was on
}

// HostMount is what Job.Mounts has for the root of the machine that the guest
// runs on: the guest sees it at HostRoot, and what it writes is gone with it.
// HostTag is the tag by which the guest finds it, over 9p, and LayerTag that of a
// directory whose files are laid over it.
const (
	HostMount = "host"
	HostRoot  = "/host"
	HostTag   = "9p"
	LayerTag  = "layer"
)

// Program is one program to run in the guest, static unless it has a Root.
type Program struct {
	Name string   `json:"name"`           // the name of the Test record
	Path string   `json:"path"`           // absolute path in the guest
	Args []string `json:"args,omitempty"` // without the program's own name
	Env  []string `json:"env,omitempty"`  // NAME=value, besides PATH, HOME and TMPDIR
	// Root is the directory that the program takes for the root, "" is that of
	// the initramfs, and Dir the one that it starts in, seen from there.
	Root string `json:"root,omitempty"`
	Dir  string `json:"dir,omitempty"`
	Live bool   `json:"live,omitempty"` // has what it prints sent as it comes, in Output records instead of in the Test record
	// Timeout ends the program after that much time of the guest's clock, and so does
	// Kill, which is what it is run for; 0 means never.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	Kill    time.Duration `json:"kill_ns,omitempty"`
	// Clock is what the guest's clock is set to before, in seconds since 1970; 0
	// leaves it. KVM's selftests take the seed of their random numbers from it.
	Clock     int64 `json:"clock,omitempty"`
	FailEvery int   `json:"fail_every,omitempty"` // has one in so many of its allocations fail (CONFIG_FAILSLAB); 0 has none
	MaxOutput int   `json:"max_output"`           // bytes of output that are kept, half of them from either end
}

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
	// ErrPayload: what ran in a VM, or what KVM did for it, is not what was asked for.
	ErrPayload Code = "the VM's payload failed"
	ErrInvalid Code = "invalid job"
	ErrPanic   Code = "the guest program panicked"
)

func (c Code) Error() string { return string(c) }

// End closes a run. If the job failed it is an error, and says why.
type End struct {
	Message string `json:"message,omitempty"` // the error's text, "" if the job is done
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
