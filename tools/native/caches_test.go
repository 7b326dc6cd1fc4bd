// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"errors"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// inStates is a measurement of the caches, of a moment.
var inStates = measure.Params{Caches: &measure.Caches{
	VMs:    []measure.VM{{VCPUs: 64, IDs: measure.Dense}, {VCPUs: 64, IDs: measure.Sparse}},
	States: measure.States, Blocks: 2,
}}

// twoCores skips a test that needs them.
func twoCores(t *testing.T) {
	t.Helper()
	if err := Writer(Processors()); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
}

// checked measures, and says what would throw the samples away.
func checked(t *testing.T, program string, p measure.Params) ([]measure.Cached, error) {
	t.Helper()
	got, err := Measure(t.Context(), program, p)
	if err == nil {
		err = results.Boot{Which: results.Which{Method: results.Native}, Cached: got.Cached}.Check()
	}
	return got.Cached, err
}

// undisturbed is checked, again if something else spoiled it.
func undisturbed(t *testing.T, program string, p measure.Params) []measure.Cached {
	t.Helper()
	got, err := checked(t, program, p)
	for n := 0; n < 100 && errors.Is(err, results.ErrInvalid); n++ {
		t.Log(err)
		got, err = checked(t, program, p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestCaches measures every tree that can be measured in all states.
func TestCaches(t *testing.T) {
	twoCores(t)
	_, base := pinned(t)
	for name, tr := range variants(t, base) {
		t.Run(name, func(t *testing.T) {
			program, err := build(t, tr)
			if err != nil {
				t.Fatal(err)
			}
			got := undisturbed(t, program, inStates)
			if len(got) != 2 || len(got[0].Visits) != 18 || len(got[1].Visits) != 3 {
				t.Fatalf("expected 18 and 3 walks and lookups, found %+v", got)
			}
			align := 8
			if strings.Contains(name, "patched") || layoutOf(t, tr).OfVCPU["mode"].Offset == 96 {
				align = 64
			}
			if got[0].Align != align || got[0].Object != 7400 {
				t.Errorf("expected objects of 7400 bytes at %d, found %d at %d", align, got[0].Object, got[0].Align)
			}
		})
	}
}

// TestOneProcessor measures hot and flushed, and nothing that another one wrote.
func TestOneProcessor(t *testing.T) {
	_, base := pinned(t)
	program, err := build(t, base)
	if err != nil {
		t.Fatal(err)
	}
	p := inStates
	p.Caches = &measure.Caches{VMs: p.Caches.VMs[:1], States: []measure.State{measure.Hot, measure.Flushed}, Blocks: 2}
	got := undisturbed(t, program, p)
	if got[0].Writer != noWriter || len(got[0].Visits) != 12 {
		t.Errorf("expected 12 walks and lookups and no writer, found %+v", got)
	}
	for _, v := range got[0].Visits {
		if v.State == measure.Written {
			t.Errorf("expected nothing that was written, found %+v", v)
		}
	}
}

// What TestCachesBroken puts into the harness.
const inOrder = `	for (i = 1; i < needed * each; i++) {
		for (n = i; n && objects[n - 1] > objects[n]; n--) {
			char *one = objects[n];

			objects[n] = objects[n - 1];
			objects[n - 1] = one;
		}
	}
`

const accelerates = `		static u64 first;

		first = first ? first : start;
		best.ticks = start + (u64)((double)(start - first) * (start - first) / 1e11);`

var moves = [2]string{`		if (sched_getcpu() != c->cpu)
			c->moved++;
`, `
		static bool did;

		if (!did)
			pin(c->writer_cpu);
		did = true;
		if (sched_getcpu() != c->cpu)
			c->moved++;
		pin(c->cpu);
`}

// TestCachesBroken breaks the harness on purpose: each fault is noticed, by the
// program or by who looks at its samples.
func TestCachesBroken(t *testing.T) {
	twoCores(t)
	_, base := pinned(t)
	for name, tt := range map[string]struct {
		file, old, new, says string
		wrong                bool // the program says so
	}{
		"a writer that does not write": {"states.h", "			WRITE_ONCE(*modes[i], now);", "			barrier();", "the other processor did not write a vCPU's mode", true},
		"a writer that writes half": {"states.h", "		for (i = 0; i < c->nr_vcpus; i++)\n			WRITE_ONCE", "		for (i = 0; i < c->nr_vcpus; i += 2)\n			WRITE_ONCE",
			"the other processor did not write a vCPU's mode", true},
		// What was written is right, but it was not another processor's.
		"a writer that is the reader": {"states.h", "	u32 done;\n\n	__atomic_store_n", "	u32 done, i;\n\n	for (i = 0; i < c->nr_vcpus; i++)\n		WRITE_ONCE(c->vcpus[i]->mode, c->generation + 1);\n	c->generation++;\n	return;\n	__atomic_store_n",
			"expected 10 more", false},
		"no flush of vCPUs":               {"states.h", "		_mm_clflush(c->lines[i]);", "		touch(c->lines[i]);", "a vCPU's line that was flushed", false},
		"no flush of the container":       {"states.h", "			_mm_clflush(c->container[i].begin + n);", "			barrier();", "a line of the container that was flushed", false},
		"a list in order in memory":       {"place.h", "	shuffle(objects, needed * each);\n", inOrder, "252 of 252 steps", false},
		"a walk that misses a vCPU":       {"caches.h", "		sum += (value);	", "		sum += vcpu->vcpu_idx ? (value) : 0;	", "wrong checksum", true},
		"a request that is not made":      {"caches.h", "lock orb %1, %0", "", "did not set a vCPU's request bit", true},
		"a thread that moves":             {"states.h", moves[0], moves[1], "taken on another processor", false},
		"a clock that does not keep time": {"blocks.h", "		best.ticks = start + least / 2;", accelerates, "ticks a nanosecond", false},
		"another frequency":               {"blocks.h", "	return least;\n}\n\n/* The counter", "	return least + random_number(least);\n}\n\n/* The counter", "keep its frequency", false},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := buildWith(t, base, tt.file, tt.old, tt.new)
			if err != nil {
				t.Fatal(err)
			}
			p := inStates
			p.Caches = &measure.Caches{VMs: p.Caches.VMs[:1], States: measure.States, Blocks: 4}
			_, err = checked(t, program, p)
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrWrong) != tt.wrong || errors.Is(err, results.ErrInvalid) == tt.wrong {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}

// TestCachesRefuses speaks to programs that answer otherwise than they should.
func TestCachesRefuses(t *testing.T) {
	p := inStates
	p.Caches = &measure.Caches{VMs: p.Caches.VMs[:1], States: []measure.State{measure.Hot}, Blocks: 1}
	for name, tt := range map[string]struct {
		answer, says string
		wrong        bool
	}{
		"no JSON":       {"17", "expected what was measured of caches", false},
		"too few":       {`{"visits":[{"ns":[1]}]}`, "expected times of 6 walks and lookups, found 1", false},
		"wrong":         {"!wrong checksum", "wrong checksum", true},
		"wrong midways": {`{"visits":[!no thread`, "no thread", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Measure(t.Context(), script(t, "read a; echo ok; read a; echo '"+tt.answer+"'"), p)
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, ErrWrong) != tt.wrong {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}
