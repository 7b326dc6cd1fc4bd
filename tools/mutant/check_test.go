// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/selftest"
	"vcpulab/tools/vm"
)

// labChunk is a part of the small series' first patch, up to a line that it
// adds.
func labChunk(t *testing.T, r *Runner) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Root, labPatch))
	if err != nil {
		t.Fatal(err)
	}
	const end = "return -EEXIST;\n"
	from, to := strings.Index(string(text), "index 8cb0af8"), strings.Index(string(text), "+\t\t"+end)
	if from < 0 || to < 0 {
		t.Fatal("the patch is another")
	}
	return string(text[from : to+len("+\t\t"+end)])
}

// TestRows: of a mutant of the files of a set, those patches are compiled whose
// files it changes.
func TestRows(t *testing.T) {
	r := newLab(t)
	old := labChunk(t, r)
	now := strings.Replace(old[strings.Index(old, "\n")+1:], "EEXIST", "EBUSY", 1)
	m := r.change(t, "a", "matrix s390x each", "x", labPatch, old, now)
	original, err := r.original(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mutated, err := r.specimen(m)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mutated.remove(t.Context()) }()
	c, both := matrixCheck{Runner: r, each: true}, pair{original, mutated}
	of, err := c.parts(original, both)
	with, err2 := c.parts(mutated, both)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(of, with) {
		t.Error("results of the sets stand for those of the mutant if its last patch makes the same tree")
	}
	rows, err := c.rows(t.Context(), mutated, both)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		tr, err := row.Tree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(tr.Dir, labC))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.Name()+" "+map[bool]string{true: "mutant", false: "series"}[strings.Contains(string(data), "EBUSY")])
	}
	if diff := cmp.Diff([]string{"base series", "patch 1 mutant"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFound(t *testing.T) {
	splat := vm.Splat{Kind: vm.KernelWarning, Title: "WARNING: a.c:1 at f+0x1/0x2, CPU#0: t/1"}
	for name, c := range map[string]struct {
		result selftest.Result
		want   []Complaint
		splats []vm.Splat
	}{
		"passed":  {selftest.Result{Outcome: selftest.Pass}, nil, nil},
		"failed":  {selftest.Result{Outcome: selftest.Fail, Reason: "a.c:1: 2 < 1"}, []Complaint{{"t", "fail: a.c:1: 2 < 1"}}, nil},
		"skipped": {selftest.Result{Outcome: selftest.Skip, Reason: "no KVM"}, []Complaint{{"t", "skip: no KVM"}}, nil},
		"warned":  {selftest.Result{Outcome: selftest.Pass, Splats: []vm.Splat{splat}}, nil, []vm.Splat{splat}},
		"said once": {
			selftest.Result{Outcome: selftest.Crash, Reason: "kernel warning: " + splat.Title, Splats: []vm.Splat{splat}},
			[]Complaint{{"t", "crash: kernel warning: " + splat.Title}}, nil,
		},
		"overlooked": {selftest.Result{Outcome: selftest.Pass, Overlooked: []vm.Splat{splat}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			check := selftestCheck{}
			c.result.Name, c.result.Seconds = "t", 2
			l, err := check.found([]selftest.Result{c.result})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, l.Findings) + cmp.Diff(c.splats, l.Splats); diff != "" || l.Took != 2 {
				t.Error(l.Took, diff)
			}
			dead := selftest.Result{Name: "checker: lockdep", Outcome: selftest.Fail, Reason: "debug_locks: 0"}
			l, err = check.found([]selftest.Result{dead, c.result})
			want := c.want
			if c.result.Outcome != selftest.Crash {
				want = append([]Complaint{{"checker: lockdep", "debug_locks: 0"}}, want...)
			}
			if diff := cmp.Diff(want, l.Findings); diff != "" || err != nil {
				t.Error(err, diff)
			}
			if _, err := check.found(nil); err == nil {
				t.Error("expected an error without a result")
			}
		})
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	get := func() string {
		t.Helper()
		text, err := sources(dir, "tools/a", "tools/b")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	get() // of missing directories
	write("tools/a/a.go", "1")
	first := get()
	write("tools/a/a_test.go", "1")
	write("tools/a/testdata/x.go", "1")
	write("tools/a/README", "1")
	write("tools/c/c.go", "1")
	if text := get(); text != first {
		t.Errorf("expected no difference, found %q", text)
	}
	for _, name := range []string{"tools/a/a.go", "tools/a/b.go", "tools/a/faults.toml", "tools/b/c.go", "tools/b/report.txt.tmpl"} {
		before := get()
		write(name, "2")
		if get() == before {
			t.Errorf("%s makes no difference", name)
		}
	}
}

// TestRunUntil: KCSAN looks at a sample of what is read and written, so a test may run
// again on a mutant until it finds its fault, and no longer.
func TestRunUntil(t *testing.T) {
	race := observation{Splats: []vm.Splat{{Title: "KCSAN: data-race in kvm_get_vcpu"}}}
	other := observation{Findings: []Complaint{{"kvm_page_table_test", "fail: exit status 1"}}}
	failed := errors.New("QEMU is not there")
	for name, test := range map[string]struct {
		tries int
		runs  []observation // what each run of the test would find
		err   error         // of all of them
		want  int           // how many take place
	}{
		"found at once":          {tries: 3, runs: []observation{race, {}, {}}, want: 1},
		"found by the last":      {tries: 3, runs: []observation{{}, {}, race}, want: 3},
		"not found":              {tries: 3, runs: []observation{{}, {}, {}, race}, want: 3},
		"something else":         {tries: 2, runs: []observation{other, race}, want: 2},
		"not a matter of chance": {runs: []observation{{}, race}, want: 1},
		"could not run":          {tries: 3, runs: []observation{{}, {}, {}}, err: failed, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Mutant{Name: "unmarked", Finds: regexp.MustCompile("data-race in kvm_get_vcpu")}
			c := selftestCheck{Runner: &Runner{}, k: Killer{Test: "vcpu_growth_race"}, guests: Guests{Tries: test.tries}}
			ran := 0
			found, err := c.runUntil(&Specimen{Mutant: m}, func() (*observation, error) {
				ran++
				return &test.runs[ran-1], test.err
			})
			if ran != test.want || err != test.err {
				t.Errorf("%d runs, %v; expected %d, %v", ran, err, test.want, test.err)
			}
			if found != &test.runs[test.want-1] {
				t.Error("what another run found was returned")
			}
		})
	}
}
