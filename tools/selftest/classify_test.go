// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// TestClassifyReal reads what the guest reported of real tests of the pinned
// kernel: in .json as it came, in .want what is made of it.
func TestClassifyReal(t *testing.T) {
	for name, file := range fixtures(t, "testdata/classify/*.json") {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var test wire.Test
			if err := json.Unmarshal(data, &test); err != nil {
				t.Fatal(err)
			}
			r := classify(test)
			r.Output = ""
			golden(t, strings.TrimSuffix(file, ".json")+".want", indented(t, r))
		})
	}
}

func TestClassify(t *testing.T) {
	const tap = "TAP version 13\n1..2\nok 1 a\n"
	exit := func(code int, output string) wire.Test {
		return wire.Test{Outcome: wire.OutcomeExit, Code: code, Output: output}
	}
	tests := map[string]struct {
		test    wire.Test
		outcome Outcome
		reason  string
	}{
		"passed":                    {exit(0, "Random seed: 0x1\n"), Pass, ""},
		"passed, TAP":               {exit(0, tap+"ok 2 b\n"), Pass, ""},
		"status 0, a test missing":  {exit(0, tap), Fail, "exit status 0, but planned 2 tests, found 1"},
		"status 0, a test failed":   {exit(0, tap+"not ok 2 b\n"), Fail, "exit status 0, but 1 of 2 subtests failed: b"},
		"status 0, bail-out":        {exit(0, tap+"Bail out! oh\n"), Fail, "exit status 0 after a bail-out: oh"},
		"status 0, all skipped":     {exit(0, "1..0 # SKIP no KVM\n"), Skip, "no KVM"},
		"status 0, output left out": {wire.Test{Outcome: wire.OutcomeExit, Output: tap, Dropped: 10}, Pass, ""},
		"skip status, a test failed": {
			exit(4, "TAP version 13\n1..3\nok 1 first # SKIP no such processor\nnot ok 2 second\nok 3 third\n"),
			Fail, "exit status 4, but 1 of 3 subtests failed: second",
		},
		"skip status, bail-out":            {exit(4, tap+"Bail out! oh\n"), Fail, "exit status 4 after a bail-out: oh"},
		"expected failure, another":        {exit(2, "TAP version 13\n1..2\nok 1 a # XFAIL b\nnot ok 2 c\n"), Fail, "exit status 2, but 1 of 2 subtests failed: c"},
		"a plan of nothing":                {exit(0, "TAP version 13\n1..0\n"), Fail, "exit status 0, but there are no tests"},
		"a version and nothing":            {exit(0, "TAP version 13\n"), Fail, "exit status 0, but there are no tests"},
		"all subtests skipped":             {exit(0, "TAP version 13\n1..1\nok 1 a # SKIP not here\n"), Skip, "not here"},
		"failed after the totals":          {exit(0, "TAP version 13\n1..1\nok 1 a\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\nnot ok 2 late\n"), Fail, "exit status 0, but 1 of 2 subtests failed: late"},
		"bail-out after the totals":        {exit(0, "TAP version 13\n1..1\nok 1 a\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\nBail out! late\n"), Fail, "exit status 0 after a bail-out: late"},
		"passed after the totals":          {exit(0, "TAP version 13\n1..1\nok 1 a\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\nok 2 late\n"), Fail, "exit status 0, but planned 1 tests, found 2"},
		"totals that contradict":           {exit(0, "TAP version 13\n1..1\nok 1 a\n# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0\n"), Fail, "exit status 0, but the totals say that 1 failed and 0 had an error"},
		"an assertion of a child":          {exit(0, "==== Test Assertion Failure ====\n  x86/a.c:12: r == 0\n"), Fail, "exit status 0, but x86/a.c:12: r == 0"},
		"nested, failed under a skip":      {exit(0, "KTAP version 1\n1..1\n    KTAP version 1\n    1..1\n    not ok 1 b\nok 1 a # SKIP\n"), Fail, "exit status 0, but 1 of 1 subtests failed: a"},
		"nested, one missing":              {exit(0, "KTAP version 1\n1..1\n    KTAP version 1\n    1..2\n    ok 1 b\nok 1 a\n"), Fail, "exit status 0, but 1 of 1 subtests failed: a"},
		"nested, one more":                 {exit(0, "KTAP version 1\n1..1\n    KTAP version 1\n    1..1\n    ok 1 b\n    ok 2 c\nok 1 a\n"), Fail, "exit status 0, but 1 of 1 subtests failed: a"},
		"nested twice":                     {exit(0, "KTAP version 1\n1..1\n  KTAP version 1\n  1..2\n    KTAP version 1\n    1..1\n    ok 1 c\n  ok 1 b\n    KTAP version 1\n    1..1\n    ok 1 d\n  ok 2 e\nok 1 a\n"), Pass, ""},
		"nested twice, one missing below":  {exit(0, "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n    KTAP version 1\n    1..2\n    ok 1 c\n  ok 1 b\nok 1 a\n"), Fail, "exit status 0, but 1 of 1 subtests failed: a"},
		"nested, failed under a known one": {exit(0, "KTAP version 1\n1..1\n    KTAP version 1\n    1..1\n    not ok 1 b # XFAIL x\nok 1 a\n"), Pass, ""},
		"failed, no words":                 {exit(1, ""), Fail, "exit status 1"},
		"failed, last words":               {exit(1, "one\ntwo\n\n"), Fail, "exit status 1: two"},
		"failed, TAP":                      {exit(1, tap+"not ok 2 b\n"), Fail, "exit status 1: 1 of 2 subtests failed: b"},
		"failed, bail-out":                 {exit(1, tap+"Bail out! oh\n"), Fail, "exit status 1: bail out: oh"},
		"failed, assertion": {exit(254, "\n==== Test Assertion Failure ====\n  x86/a.c:12: r == 0\n  pid=7 tid=7 errno=22 - Invalid argument\n"+
			"     1\t0x000000000040251c: main at a.c:12\n     2\t0x00007f: ?? ??:0\n  KVM_RUN failed\n"), Fail, "x86/a.c:12: r == 0: KVM_RUN failed"},
		"failed, assertion without words": {exit(254, "==== Test Assertion Failure ====\n  x86/a.c:12: r == 0\n"), Fail, "x86/a.c:12: r == 0"},
		"failed, assertion cut":           {exit(254, "==== Test Assertion Failure ====\n"), Fail, "an assertion failed"},
		"skipped, print_skip":             {exit(4, "Random seed: 0x1\nNo nested virtualization, skipping test\n"), Skip, "No nested virtualization"},
		"skipped, TEST_REQUIRE":           {exit(4, "1..0 # SKIP - Requirement not met: kvm_has_cap(1)\n"), Skip, "Requirement not met: kvm_has_cap(1)"},
		"skipped after a test":            {exit(4, tap+"ok 1 # SKIP - not this processor\n"), Skip, "not this processor"},
		"skipped, last words":             {exit(4, "no hugepages\n"), Skip, "no hugepages"},
		"skipped, no words":               {exit(4, ""), Skip, "the test does not say why"},
		"expected to fail":                {exit(2, "TAP version 13\n1..1\nok 1 a # XFAIL b\n"), Skip, "expected to fail"},
		"status 2 of a program that does not know its arguments": {exit(2, "usage: a\n"), Fail, "exit status 2: usage: a"},
		"a signal":      {wire.Test{Outcome: wire.OutcomeSignal, Signal: "SIGSEGV", Output: "a\n"}, Fail, "ended by SIGSEGV"},
		"no such file":  {wire.Test{Outcome: wire.OutcomeError, Message: "exec format error"}, Fail, "it could not be started: exec format error"},
		"time ran out":  {wire.Test{Outcome: wire.OutcomeTimeout, Nanos: 60e9, Output: tap}, Timeout, "it had not ended after 60 s"},
		"other outcome": {wire.Test{Outcome: "new"}, Fail, "it could not be started: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := classify(tc.test)
			if got.Outcome != tc.outcome || got.Reason != tc.reason {
				t.Errorf("expected %s: %q, found %s: %q", tc.outcome, tc.reason, got.Outcome, got.Reason)
			}
		})
	}
}

// FuzzClassify: no output makes a program that failed pass, and every outcome
// but that of a test that passed has a reason.
func FuzzClassify(f *testing.F) {
	for _, file := range fixtures(f, "testdata/classify/*.json") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var test wire.Test
		if err := json.Unmarshal(data, &test); err != nil {
			f.Fatal(err)
		}
		f.Add(test.Code, test.Output)
	}
	f.Fuzz(func(t *testing.T, code int, output string) {
		r := classify(wire.Test{Name: "a", Outcome: wire.OutcomeExit, Code: code, Output: output})
		if r.Outcome == Pass && code != statusPass {
			t.Errorf("exit status %d passes", code)
		}
		if (r.Outcome == Pass) != (r.Reason == "") {
			t.Errorf("%s with the reason %q", r.Outcome, r.Reason)
		}
		checkText(t, r.Reason, maxReason)
	})
}
