// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

func TestCompareOutcomes(t *testing.T) {
	// Rows are the base, columns the patched kernel.
	outcomes := []Outcome{Pass, Skip, Fail, Timeout, Crash}
	want := map[Outcome][]Change{
		Pass:    {Same, Regressed, Regressed, Regressed, Regressed},
		Skip:    {New, Same, Regressed, Regressed, Regressed},
		Fail:    {Fixed, Changed, Same, Changed, Regressed},
		Timeout: {Incomparable, Incomparable, Incomparable, Incomparable, Regressed},
		Crash:   {Fixed, Changed, Changed, Changed, Same},
	}
	for base, row := range want {
		for i, patched := range outcomes {
			if got := compareOutcomes(base, patched); got != row[i] {
				t.Errorf("%s, then %s: expected %s, found %s", base, patched, row[i], got)
			}
		}
	}
}

// result makes a result with subtests, each "name outcome".
func result(name string, o Outcome, subs ...string) Result {
	r := Result{Name: name, Outcome: o, Seconds: 1.25}
	if o != Pass {
		r.Reason = "because"
	}
	for _, s := range subs {
		n, out, _ := strings.Cut(s, " ")
		r.Sub = append(r.Sub, Subtest{Name: n, Outcome: Outcome(out)})
	}
	return r
}

func warned(name, title string) Result {
	r := result(name, Pass)
	r.Splats = []vm.Splat{{Kind: vm.KernelWarning, Title: title, Line: 7}}
	return r
}

func TestCompare(t *testing.T) {
	type counts struct{ Passed, Failed, Skipped, BothFail, NotComparable int }
	cut := result("a", Pass, "x pass")
	cut.LeftOut = 100
	warnedBy := func(caller string) Result {
		r := warned("a", "BUG: scheduling while atomic: x/1/0x00000002")
		r.Splats[0].Caller = caller
		return r
	}
	tests := map[string]struct {
		base, patched []Result
		verdict       Change
		why           []string
		counts        counts
	}{
		"passes on both":         {[]Result{result("a", Pass)}, []Result{result("a", Pass)}, Same, nil, counts{Passed: 1}},
		"skipped on both":        {[]Result{result("a", Skip)}, []Result{result("a", Skip)}, Same, nil, counts{Skipped: 1}},
		"fails on both":          {[]Result{result("a", Fail)}, []Result{result("a", Fail)}, Same, nil, counts{BothFail: 1}},
		"crashes on both":        {[]Result{result("a", Crash)}, []Result{result("a", Crash)}, Same, nil, counts{Failed: 1}},
		"fixed":                  {[]Result{result("a", Fail)}, []Result{result("a", Pass)}, Fixed, nil, counts{Passed: 1}},
		"no longer skipped":      {[]Result{result("a", Skip)}, []Result{result("a", Pass)}, New, nil, counts{Passed: 1}},
		"now skipped":            {[]Result{result("a", Pass)}, []Result{result("a", Skip)}, Regressed, nil, counts{Failed: 1}},
		"failed, now skipped":    {[]Result{result("a", Fail)}, []Result{result("a", Skip)}, Changed, nil, counts{Skipped: 1}},
		"regressed":              {[]Result{result("a", Pass)}, []Result{result("a", Timeout)}, Regressed, nil, counts{Failed: 1}},
		"times out on both":      {[]Result{result("a", Timeout)}, []Result{result("a", Timeout)}, Incomparable, nil, counts{NotComparable: 1}},
		"timed out, now fails":   {[]Result{result("a", Timeout)}, []Result{result("a", Fail)}, Incomparable, nil, counts{NotComparable: 1}},
		"timed out, now passes":  {[]Result{result("a", Timeout)}, []Result{result("a", Pass)}, Incomparable, nil, counts{Passed: 1}},
		"timed out, now crashes": {[]Result{result("a", Timeout)}, []Result{result("a", Crash)}, Regressed, nil, counts{Failed: 1}},
		"vanished":               {[]Result{result("a", Pass)}, nil, Vanished, []string{"there is no result on the patched kernel"}, counts{Failed: 1}},
		"vanished, failed once":  {[]Result{result("a", Fail)}, nil, Vanished, []string{"there is no result on the patched kernel"}, counts{Failed: 1}},
		"new and passes":         {nil, []Result{result("a", Pass)}, New, nil, counts{Passed: 1}},
		"new and fails":          {nil, []Result{result("a", Fail)}, New, nil, counts{Failed: 1}},
		"new and skipped":        {nil, []Result{result("a", Skip)}, New, nil, counts{Skipped: 1}},
		"subtest vanished":       {[]Result{result("a", Pass, "x pass", "y pass")}, []Result{result("a", Pass, "x pass")}, Regressed, []string{"subtest y vanished"}, counts{Failed: 1}},
		"subtest new":            {[]Result{result("a", Pass, "x pass")}, []Result{result("a", Pass, "x pass", "y pass")}, Same, nil, counts{Passed: 1}},
		"subtest now skipped":    {[]Result{result("a", Pass, "x pass")}, []Result{result("a", Pass, "x skip")}, Regressed, []string{"subtest x: pass on the base, now skip"}, counts{Failed: 1}},
		"another subtest fails":  {[]Result{result("a", Fail, "x fail", "y pass")}, []Result{result("a", Fail, "x pass", "y fail")}, Regressed, []string{"subtest y: pass on the base, now fail"}, counts{Failed: 1}},
		"subtests not all known": {[]Result{result("a", Pass, "x pass", "y pass")}, []Result{cut}, Same, nil, counts{Passed: 1}},
		"timed out, subtests missing": {[]Result{result("a", Pass, "x pass", "y pass")}, []Result{result("a", Timeout, "x pass")},
			Regressed, nil, counts{Failed: 1}},
		"new warning": {[]Result{result("a", Pass)}, []Result{warned("a", "WARNING: a.c:12 at f+0x1/0x20, CPU#1: a/77")}, Regressed,
			[]string{"kernel warning, which the base kernel did not have: WARNING: a.c:12 at f+0x1/0x20, CPU#1: a/77"}, counts{Failed: 1}},
		"warning on both": {[]Result{warned("a", "WARNING: a.c:12 at f+0x1/0x20, CPU#1: a/77")},
			[]Result{warned("a", "WARNING: a.c:14 at f+0x3/0x28, CPU#0: a/78")}, Same, nil, counts{Passed: 1}},
		"warning from elsewhere": {[]Result{warnedBy("a")}, []Result{warnedBy("b")}, Regressed,
			[]string{"kernel warning, which the base kernel did not have: BUG: scheduling while atomic: x/1/0x00000002, called by b"}, counts{Failed: 1}},
		"new and warned": {nil, []Result{warned("a", "WARNING: a.c:12 at f")}, Regressed,
			[]string{"kernel warning, which the base kernel did not have: WARNING: a.c:12 at f"}, counts{Failed: 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := Compare(tc.base, tc.patched, Expectations{})
			if len(c.Tests) != 1 {
				t.Fatalf("expected 1 test, found %v", c.Tests)
			}
			if p := c.Tests[0]; p.Change != tc.verdict || !cmp.Equal(p.Why, tc.why) {
				t.Errorf("expected %s %q, found %s %q", tc.verdict, tc.why, p.Change, p.Why)
			}
			if got := (counts{c.Passed, c.Failed, c.Skipped, c.BothFail, c.NotComparable}); got != tc.counts {
				t.Errorf("expected %+v, found %+v", tc.counts, got)
			}
			want := exit.Good
			if tc.counts.Failed > 0 {
				want = exit.CheckFailed
			}
			if got := exit.Code(c.Err()); got != want {
				t.Errorf("expected exit code %d, found %d: %v", want, got, c.Err())
			}
		})
	}
}

func TestCompareNothing(t *testing.T) {
	if err := Compare(nil, nil, Expectations{}).Err(); exit.Code(err) != exit.CheckFailed {
		t.Errorf("expected an error, found %v", err)
	}
}

// TestCompareIncomplete: what a run did not come to is not good, and did not
// vanish either.
func TestCompareIncomplete(t *testing.T) {
	const why = "QEMU failed"
	c := Compare([]Result{result("a", Pass), result("b", Pass)}, []Result{result("a", Pass)}, Expectations{Incomplete: why})
	if v := c.Tests[1].Change; v != NotRun || c.Passed != 1 || c.Failed != 1 {
		t.Errorf("expected %s, found %s and %+v", NotRun, v, c)
	}
	// Not even if each test has a result.
	for _, c := range []Comparison{c, Compare([]Result{result("a", Pass)}, []Result{result("a", Pass)}, Expectations{Incomplete: why})} {
		var text bytes.Buffer
		if err := c.WriteText(&text, ""); err != nil || !strings.Contains(text.String(), "THE RUN DID NOT COME TO ITS END: "+why) {
			t.Errorf("error %v, text\n%s", err, &text)
		}
		if xml := saved(t, c, "selftests.xml"); !strings.Contains(string(xml), ` errors="1" `) {
			t.Errorf("JUnit\n%s", xml)
		}
		if err := c.Err(); exit.Code(err) != exit.CheckFailed || !strings.Contains(err.Error(), why) {
			t.Errorf("expected an error with %q, found %v", why, err)
		}
	}
}

func TestSum(t *testing.T) {
	got := Sum([]Comparison{
		{Arch: "x86_64", Counts: Counts{Passed: 90, Failed: 1, Skipped: 30, BothFail: 2}},
		{Arch: "arm64", Counts: Counts{Passed: 40, Skipped: 3, NotComparable: 1}},
		{Arch: "riscv64", Incomplete: "the kernel did not build"},
	})
	want := "x86_64:   90 passed, 1 failed, 30 skipped, 2 failing on both\n" +
		"arm64:    40 passed, 0 failed, 3 skipped, 1 not comparable\n" +
		"riscv64:  0 passed, 0 failed, and did not come to its end\n" +
		"130 passed, 2 failed, 33 skipped, 2 failing on both, 1 not comparable\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// everything is a comparison with a bit of all.
func everything() Comparison {
	crashed := result("x86/recalc_apic_map_test", Crash)
	crashed.Reason = "kernel oops: BUG: kernel NULL pointer dereference in kvm_recalculate_apic_map"
	crashed.Command = "qemu-system-x86_64 -append 'a b'"
	crashed.Log = "logs/patched-guest1/x86_recalc_apic_map_test.log"
	crashed.Splats = []vm.Splat{{Kind: vm.KernelOops, Title: "BUG: kernel NULL pointer dereference in kvm_recalculate_apic_map", Line: 90}}
	odd := result("x86/xapic_ipi_test", Fail)
	odd.Output, odd.Reason = "control \x01 and ]]> in it\n", "a <b> & c\x02"
	fixed := result("rseq_test", Pass)
	fixed.Earlier = []Result{{Outcome: Fail, Reason: "not in time", Seconds: 3}}
	crashed.Decoded = "[   10.1] BUG: kernel NULL pointer dereference, address: 00\n[   10.2] RIP: 0010:kvm_recalculate_apic_map+0x1/0x2 (arch/x86/kvm/lapic.c:12)\n"
	crashed.Console = "[    9.1] a\n[   10.1] BUG: kernel NULL pointer dereference, address: 00\n[   10.2] RIP: 0010:kvm_recalculate_apic_map+0x1/0x2\n"
	return Compare(
		[]Result{
			result("kvm_create_max_vcpus", Pass), result("kvm_binary_stats_test", Pass, "vm0 pass", "vm1 pass"),
			result("x86/recalc_apic_map_test", Pass), result("x86/smm_test", Skip), result("x86/set_boot_cpu_id", Pass),
			result("x86/xapic_ipi_test", Fail), result("rseq_test", Timeout), result("kvm_page_table_test", Timeout),
			result("x86/proves_test", Fail), result("x86/proves_nothing_test", Pass),
		},
		[]Result{
			result("kvm_create_max_vcpus", Pass), result("kvm_binary_stats_test", Pass, "vm0 pass"),
			crashed, result("kvm_page_table_test", Timeout), result("x86/smm_test", Skip), odd, fixed, result("x86/vcpu_lookup_test", Pass),
			result("x86/proves_test", Pass), result("x86/proves_nothing_test", Pass),
		},
		Expectations{Proofs: []Proof{
			{Test: "x86/proves_test", Patch: "KVM: Fix it"}, {Test: "x86/proves_nothing_test", Patch: "KVM: Fix the rest"},
		}})
}

func TestWrite(t *testing.T) {
	c := everything()
	if sum := c.Passed + c.Failed + c.Skipped + c.Known + c.BothFail + c.NotComparable; sum != len(c.Tests) {
		t.Errorf("expected figures that add up to %d, found %d", len(c.Tests), sum)
	}
	var b bytes.Buffer
	if err := c.WriteText(&b, "vcpulab selftest --only %s"); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"text": b.Bytes(), "json": saved(t, c, Files[0]), "junit": saved(t, c, Files[1]), "ktap": saved(t, c, Files[2])} {
		t.Run(name, func(t *testing.T) { golden(t, "testdata/write/"+name+".golden", text) })
	}
}

// TestKTAP reads what is saved back: as many tests fail as fail the comparison.
func TestKTAP(t *testing.T) {
	c := everything()
	got := ParseTAP(string(saved(t, c, Files[2])))
	failed := 0
	for _, s := range got.Tests {
		if s.Outcome == Fail {
			failed++
		}
	}
	if len(got.Problems) > 0 || len(got.Tests) != len(c.Tests) || failed != c.Failed {
		t.Errorf("expected %d of %d tests to fail, found %d of %d: %q", c.Failed, len(c.Tests), failed, len(got.Tests), got.Problems)
	}
}

// saved returns what is saved of a comparison in a file.
func saved(t *testing.T, c Comparison, file string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
