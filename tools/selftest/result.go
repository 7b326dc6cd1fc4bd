// SPDX-License-Identifier: GPL-2.0-only

package selftest

import "vcpulab/tools/vm"

// Outcome is how a test ended.
type Outcome string

// The outcomes of a test.
const (
	Pass    Outcome = "pass"
	Skip    Outcome = "skip"    // the test says that it cannot be run here, or that it is known to fail
	Fail    Outcome = "fail"    // the test failed, died by a signal or could not be started
	Timeout Outcome = "timeout" // it did not end in time
	Crash   Outcome = "crash"   // it took the guest with it
)

// rank orders outcomes: a smaller one is worse.
func (o Outcome) rank() int {
	switch o {
	case Pass:
		return 3
	case Skip:
		return 2
	case Crash:
		return 0
	}
	return 1
}

func (o Outcome) bad() bool { return o.rank() < Skip.rank() }

// finished tells whether a test ended by itself, so that all of its subtests
// should be known.
func (o Outcome) finished() bool { return o == Pass || o == Skip || o == Fail }

// Result is how one test ended on one kernel.
type Result struct {
	// Name is the test's name in the kernel's Makefile, such as
	// x86/set_boot_cpu_id.
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Reason says why, "" for a test that passed.
	Reason string `json:"reason,omitempty"`
	// Seconds is how long it ran, of the guest's clock.
	Seconds float64 `json:"seconds"`
	// Sub are its subtests, for a test that speaks TAP.
	Sub []Subtest `json:"sub,omitempty"`
	// Splats are the kernel's complaints while the test ran.
	Splats []vm.Splat `json:"splats,omitempty"`
	// Overlooked are those that Options.Overlook took out of Splats.
	Overlooked []vm.Splat `json:"overlooked,omitempty"`
	// Output is what the test printed, bounded; LeftOut is how many bytes
	// are missing from its middle: then some subtests may be missing, too.
	Output  string `json:"output,omitempty"`
	LeftOut int64  `json:"left_out,omitempty"`
	// Console is the kernel's log while the test ran, bounded; empty if there
	// were no splats and the guest did not die.
	Console string `json:"console,omitempty"`
	// Decoded is Console from the first splat on, with source lines, or with the
	// reason why it has none.
	Decoded string `json:"decoded,omitempty"`
	// Earlier are the tries before this one, of a test that was run again
	// because it had failed, without what they printed.
	Earlier []Result `json:"earlier,omitempty"`
	// Log is the path of a file with all of this, "" if none was kept.
	Log string `json:"log,omitempty"`
	// Command starts the guest again that died, quoted for a shell.
	Command string `json:"command,omitempty"`
}

// Subtest is a subtest, as the test reports it. Names are unique in a test.
type Subtest struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}
