// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/vm"
)

// Outcome is how a test ended.
type Outcome string

// The outcomes of a test.
const (
	Pass    Outcome = "pass"
	Skip    Outcome = "skip"    // the test says that it cannot be run here, or that it is known to fail
	Fail    Outcome = "fail"    // the test failed, died by a signal or could not be started
	Timeout Outcome = "timeout" // it did not end in time
	Crash   Outcome = "crash"   // it took the guest with it
	// Interrupted is a test that was killed, or whose allocations failed, as it was to be:
	// what counts is that the kernel had nothing to complain of.
	Interrupted Outcome = "interrupted"
)

// rank orders outcomes: a smaller one is worse.
func (o Outcome) rank() int {
	switch o {
	case Pass, Interrupted:
		return 3
	case Skip:
		return 2
	case Crash:
		return 0
	}
	return 1
}

func (o Outcome) bad() bool { return o.rank() < Skip.rank() }

// finished tells whether a test ended by itself, so that all its subtests are known.
func (o Outcome) finished() bool { return o == Pass || o == Skip || o == Fail }

// Result is how one test ended on one kernel.
type Result struct {
	Name    string    `json:"name"` // in the kernel's Makefile, such as x86/set_boot_cpu_id
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // "" for a test that passed
	Seconds float64   `json:"seconds"`          // how long it ran, of the guest's clock
	Sub     []Subtest `json:"sub,omitempty"`    // of a test that speaks TAP
	// Splats are the kernel's complaints while the test ran, without Overlooked, those
	// that Options.Overlook takes out.
	Splats     []vm.Splat `json:"splats,omitempty"`
	Overlooked []vm.Splat `json:"overlooked,omitempty"`
	// Output is what the test printed, bounded; LeftOut is how many bytes
	// are missing from its middle: then some subtests may be missing, too.
	Output  string `json:"output,omitempty"`
	LeftOut int64  `json:"left_out,omitempty"`
	// Console is the kernel's log while the test ran, bounded; empty if there
	// were no splats and the guest did not die.
	Console string `json:"console,omitempty"`
	// Decoded is Console from the first splat on, with source lines or why there are none.
	Decoded string `json:"decoded,omitempty"`
	// Earlier are the tries before this one, of a test that was run again
	// because it had failed, without what they printed.
	Earlier []Result `json:"earlier,omitempty"`
	Log     string   `json:"log,omitempty"`     // path of a file with all of this, "" if none was kept
	Command string   `json:"command,omitempty"` // starts the guest again that died, quoted for a shell
}

// Subtest is a subtest, as the test reports it. Names are unique in a test.
type Subtest struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
}

// Exit statuses of a test (KSFT_* in tools/testing/selftests/kselftest.h).
const (
	statusPass  = 0
	statusXFail = 2 // it failed, as is known
	// StatusSkip says that a test cannot be run here.
	StatusSkip = 4
)

// classify makes a result of what the guest says of a test.
func classify(t wire.Test) Result {
	r := Result{
		Name:    t.Name,
		Seconds: float64(t.Nanos) / float64(time.Second),
		Output:  t.Output,
		LeftOut: t.Dropped,
	}
	tap := ParseTAP(t.Output)
	r.Sub = tap.Tests
	switch t.Outcome {
	case wire.OutcomeExit:
		r.Outcome, r.Reason = judge(t, tap)
	case wire.OutcomeSignal:
		r.Outcome, r.Reason = Fail, "ended by "+t.Signal
		if why := assertion(t.Output); why != "" {
			r.Reason += ": " + why
		}
	case wire.OutcomeKilled:
		r.Outcome, r.Reason = Interrupted, fmt.Sprintf("killed after %.2f s, as it was to be", r.Seconds)
	case wire.OutcomeTimeout:
		r.Outcome, r.Reason = Timeout, fmt.Sprintf("it had not ended after %.0f s", r.Seconds)
	default:
		r.Outcome, r.Reason = Fail, "it could not be started: "+t.Message
		r.Seconds = 0
	}
	r.Reason = clip(r.Reason, maxReason)
	return r
}

// excuse is for a test whose allocations were to fail, which may have it fail, too.
func (r *Result) excuse() {
	if r.Outcome == Fail && r.Seconds > 0 || r.Outcome == Skip {
		r.Outcome, r.Reason = Interrupted, "its allocations were to fail: "+r.Reason
	}
}

// judge tells how a test ended that exited by itself. Its status alone is
// believed when it says that the test failed. When it says anything else, what
// the test printed must not contradict it.
func judge(t wire.Test, tap TAP) (Outcome, string) {
	status := fmt.Sprintf("exit status %d", t.Code)
	failed, said := failedSubs(tap.Tests), assertion(t.Output)
	switch {
	case t.Code == statusPass, t.Code == StatusSkip, t.Code == statusXFail && tap.Speaks:
		// A program that does not know its arguments returns statusXFail, too.
		switch {
		case tap.Bailed:
			return Fail, status + " after a bail-out: " + tap.Bail
		case failed != "":
			return Fail, status + ", but " + failed
		case said != "":
			return Fail, status + ", but " + said
		case t.Code == statusXFail:
			return Skip, "expected to fail"
		case t.Code == StatusSkip:
			return Skip, skipReason(t.Output, tap)
		case len(tap.Problems) > 0 && t.Dropped == 0:
			return Fail, status + ", but " + strings.Join(tap.Problems, "; ")
		case tap.Skipped, allSkipped(tap.Tests):
			return Skip, skipReason(t.Output, tap)
		}
		return Pass, ""
	}

	switch last := lastLine(t.Output); {
	case said != "":
		// 254 is how every failed assertion of KVM's tests ends.
		return Fail, said
	case tap.Bailed:
		return Fail, status + ": bail out: " + tap.Bail
	case failed != "":
		return Fail, status + ": " + failed
	case last != "":
		return Fail, status + ": " + last
	}
	return Fail, status
}

func failedSubs(subs []Subtest) string {
	const most = 3
	var names []string
	for _, s := range subs {
		if s.Outcome.bad() {
			names = append(names, s.Name)
		}
	}
	bad := len(names)
	if bad == 0 {
		return ""
	}
	if bad > most {
		names = append(names[:most], "...")
	}
	return fmt.Sprintf("%d of %d subtests failed: %s", bad, len(subs), strings.Join(names, ", "))
}

// allSkipped tells whether there are subtests and none was run.
func allSkipped(subs []Subtest) bool {
	return len(subs) > 0 && !slices.ContainsFunc(subs, func(s Subtest) bool { return s.Outcome != Skip })
}

func skipReason(output string, tap TAP) string {
	if tap.SkipReason != "" {
		return tap.SkipReason
	}
	for line := range strings.Lines(output) {
		// print_skip() of KVM's tests.
		if why, ok := strings.CutSuffix(strings.TrimSpace(line), ", skipping test"); ok {
			return why
		}
	}
	for _, s := range slices.Backward(tap.Tests) {
		if s.Outcome == Skip && s.Reason != "" {
			return s.Reason
		}
	}
	if last := lastLine(output); last != "" && !strings.HasPrefix(last, "#") {
		return last
	}
	return "the test does not say why"
}

const assertionMark = "==== Test Assertion Failure ===="

var (
	// assertionWhere is "  file.c:12: condition".
	assertionWhere = regexp.MustCompile(`^  (\S+:\d+: .*)`)
	// assertionNoise is "  pid=12 tid=12 errno=38 - Function not implemented" and
	// the stack, "     1	0x402a2c: main at file.c:12".
	assertionNoise = regexp.MustCompile(`^  pid=\d+ tid=\d+ errno=\d+ - |^\s+\d+\t0x|^\s+\d+\s+\?\? |^  \(stack trace empty\)`)
	// assertionText is the message; other threads may print between.
	assertionText = regexp.MustCompile(`^  \S`)
)

// assertion returns where and why the first assertion of one of KVM's tests
// failed, "" if none did (test_assert() in lib/assert.c).
func assertion(output string) string {
	_, after, found := strings.Cut(output, assertionMark)
	if !found {
		return ""
	}
	where := ""
	for line := range strings.Lines(after) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case where == "":
			if m := assertionWhere.FindStringSubmatch(line); m != nil {
				where = m[1]
			}
		case strings.Contains(line, assertionMark):
			return where
		case assertionNoise.MatchString(line):
		case assertionText.MatchString(line):
			return where + ": " + strings.TrimSpace(line)
		}
	}
	return cmp.Or(where, "an assertion failed")
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
