// SPDX-License-Identifier: GPL-2.0-only

package reply

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// TestManySelftests: of many tests, those that pass on both kernels are counted.
func TestManySelftests(t *testing.T) {
	var base, patched []selftest.Result
	for i := range maxTests + 1 {
		r := selftest.Result{Name: fmt.Sprintf("t%02d", i), Outcome: selftest.Pass}
		base, patched = append(base, r), append(patched, r)
	}
	base[3].Outcome, patched[3].Outcome = selftest.Fail, selftest.Fail
	base[7].Outcome = selftest.Skip
	c := selftest.Compare(base, patched, selftest.Expectations{})
	c.Setting = &selftest.Setting{Base: "base", Patched: "patched"}
	file := filepath.Join(t.TempDir(), "selftests.json")
	if err := jsonfile.Save(file, c); err != nil {
		t.Fatal(err)
	}

	s := &series.Series{Patches: []*series.Patch{{Number: 1, Subject: "KVM: Do it", Author: series.Person{Name: "A", Email: "a@example.org"}}}}
	r := Reply{Series: s, Base: tree.Tree{ID: "base", Version: "7.3.4"}, Patched: tree.Tree{ID: "patched"}}
	if err := r.Selftests(file); err != nil {
		t.Fatal(err)
	}
	body := r.Answer(series.Person{Name: "B", Email: "b@example.org"}).Body
	for _, want := range []string{"I tested this patch on Linux 7.3.4.", "  t03   fail  fail\n", "  t07   skip  pass\n  and 39 that pass on both\n", "Tested-by: B <b@example.org>\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("expected %q, found\n%s", want, body)
		}
	}
	r.Patched.ID = "another"
	if err := r.Selftests(file); exit.Code(err) != exit.CheckFailed {
		t.Errorf("of another tree: expected exit code %d, found %v", exit.CheckFailed, err)
	}
}
