// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/cache"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// growing is races of a moment.
var growing = measure.Params{Readers: &measure.Readers{VCPUs: 300, Growths: 2, RunNanos: 3000}}

// twoProcessors skips a test that needs them.
func twoProcessors(t *testing.T) {
	t.Helper()
	if _, err := Processors(); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
}

// TestRace looks vCPUs up in every tree that can be measured while they are
// created. That all are found is what the program verifies.
func TestRace(t *testing.T) {
	twoProcessors(t)
	_, base := pinned(t)
	for name, tr := range variants(t, base) {
		t.Run(name, func(t *testing.T) {
			program, err := build(t, tr)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Measure(t.Context(), program, growing)
			if err != nil {
				t.Fatal(err)
			}
			if want := len(growing.Readers.RacesOf()); len(got.Races) != want {
				t.Fatalf("expected %d races, found %d", want, len(got.Races))
			}
			for _, r := range got.Races {
				if len(r.Alone) != 2 || len(r.Beside) != 2 || r.Alone[0] <= 0 || r.Beside[0] <= 0 || r.Create <= 0 || r.CreateBeside <= 0 || r.Reader == r.Creator {
					t.Errorf("expected times of both threads, found %+v", r)
				}
			}
		})
	}
}

func patched(t *testing.T, c *cache.Cache, base tree.Tree) tree.Tree {
	t.Helper()
	s, err := series.LoadStack("../../patches", "")
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := s.Apply(t.Context(), base, series.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// slowly has kvm_get_vcpu() dawdle between finding the table and looking into it.
const slowly = `	{
		struct kvm_vcpu **table = rcu_dereference_sched(kvm->vcpus);
		for (unsigned int n = 0; n < 3000; n++)
			__asm__ volatile ("");
		vcpu = table[i];
	}
`

// TestRaceBroken breaks what only matters while vCPUs are created: a lookup that
// goes wrong then is no result.
func TestRaceBroken(t *testing.T) {
	twoProcessors(t)
	c, base := pinned(t)
	good := patched(t, c, base)
	const found, freed = "	vcpu = rcu_dereference_sched(kvm->vcpus)[i];\n", "		call_rcu(&old->rcu, kvm_free_old_vcpus);\n"
	for name, tt := range map[string]struct {
		edits map[string][2]string // by file
		wrong bool
	}{
		// The grace periods are real, however long a lookup takes.
		"slow lookups": {map[string][2]string{hostHeader: {found, slowly}}, false},
		"a table is freed under slow lookups": {map[string][2]string{
			hostHeader: {found, slowly}, hostMain: {freed, "		kvm_free_old_vcpus(&old->rcu);\n"},
		}, true},
		"the number of vCPUs rises too early": {map[string][2]string{hostMain: {
			"	vcpus[vcpu->vcpu_idx] = vcpu;\n",
			"	atomic_inc(&kvm->online_vcpus);\n	for (int n = 0; n < 3000; n++)\n		barrier();\n	vcpus[vcpu->vcpu_idx] = vcpu;\n	atomic_set(&kvm->online_vcpus, vcpu->vcpu_idx);\n",
		}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := build(t, withFiles(t, good, tt.edits))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Measure(t.Context(), program, growing)
			// On a busy machine the two threads may hardly ever run at once.
			for n := 0; tt.wrong && err == nil && n < 100; n++ {
				_, err = Measure(t.Context(), program, growing)
			}
			switch {
			case !tt.wrong && err != nil:
				t.Errorf("expected races without a fault, found %v", err)
			case tt.wrong && err == nil:
				t.Error("expected a wrong lookup to be found, found none")
			case tt.wrong && errors.Is(err, ErrWrong) && !strings.Contains(err.Error(), "while the VM grew"):
				t.Errorf("expected to be told when it went wrong, found %v", err)
			case tt.wrong && !errors.Is(err, ErrWrong) && !strings.Contains(err.Error(), "the program ended"):
				t.Errorf("expected a wrong lookup, or the end of a program that followed a stale pointer, found %v", err)
			}
		})
	}
}

// withFiles returns a tree that has what Build reads, with some files edited.
func withFiles(t *testing.T, base tree.Tree, edits map[string][2]string) tree.Tree {
	t.Helper()
	dir, id := t.TempDir(), base.ID
	for _, name := range []string{"lib", "tools"} {
		if err := os.Symlink(filepath.Join(base.Dir, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{hostHeader, hostMain} {
		data, err := os.ReadFile(filepath.Join(base.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if e, ok := edits[name]; ok {
			if strings.Count(text, e[0]) != 1 {
				t.Fatalf("%s: expected one place that reads %q", name, e[0])
			}
			text = strings.Replace(text, e[0], e[1], 1)
			id += tree.BlobID([]byte(text))
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree.Tree{Dir: dir, ID: tree.BlobID([]byte(id)), Version: base.Version}
}

// TestRaceRefuses speaks to programs that answer otherwise than they should.
func TestRaceRefuses(t *testing.T) {
	twoProcessors(t)
	const numbers = "1.5 0.5 1.5 0.5 1.5 0.5 1.5 0.5"
	for name, tt := range map[string]struct {
		answer, says string
		wrong        bool
	}{
		"wrong vCPU":       {"!wrong checksum: a lookup", "wrong checksum", true},
		"wrong later":      {"1.5 0.5 1.5 0.5 !wrong checksum: a lookup", "wrong checksum", true},
		"too few numbers":  {numbers, "expected 4 numbers a growth of 2, and 2 more", false},
		"too many":         {numbers + " 1 2 3", "expected 4 numbers", false},
		"no number":        {strings.Replace(numbers, "0.5", "soon", 1) + " 1 2", `expected nanoseconds, found "soon"`, false},
		"below zero":       {strings.Replace(numbers, "0.5", "-1", 1) + " 1 2", `expected nanoseconds, found "-1"`, false},
		"not a number":     {strings.Replace(numbers, "0.5", "nan", 1) + " 1 2", `expected nanoseconds, found "nan"`, false},
		"a part of a nano": {numbers + " 1 2.5", `expected nanoseconds, found "2.5"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			program := script(t, "read a; echo '"+tt.answer+"'")
			_, err := Measure(t.Context(), program, growing)
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrWrong) != tt.wrong {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}

// TestChoose takes processors of two cores if it can.
func TestChoose(t *testing.T) {
	pairs := func(cpu int) string { return strconv.Itoa(cpu / 2) }
	alone := strconv.Itoa
	silent := func(int) string { return "" }
	for name, tt := range map[string]struct {
		all  []int
		core func(int) string
		want Pair
		none bool
	}{
		"two cores":                {[]int{0, 1}, alone, Pair{Reader: 0, Creator: 1}, false},
		"two threads of one core":  {[]int{0, 1}, pairs, Pair{Reader: 0, Creator: 1, Siblings: true}, false},
		"two cores of two threads": {[]int{0, 1, 2, 3}, pairs, Pair{Reader: 0, Creator: 2}, false},
		"some of many":             {[]int{5, 9}, pairs, Pair{Reader: 5, Creator: 9}, false},
		"a machine that is silent": {[]int{0, 1}, silent, Pair{Reader: 0, Creator: 1}, false},
		"one":                      {[]int{3}, alone, Pair{Reader: 3}, true},
		"none":                     {nil, alone, Pair{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(tt.all, tt.core)
			if got != tt.want || errors.Is(err, ErrProcessors) != tt.none {
				t.Errorf("expected %+v, found %+v, %v", tt.want, got, err)
			}
		})
	}
}
