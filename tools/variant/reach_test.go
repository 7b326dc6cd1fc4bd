// SPDX-License-Identifier: GPL-2.0-only

package variant

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

func readCompared(t *testing.T, name string) *results.Results {
	t.Helper()
	r, err := results.Read("../../ci/verify/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func value(t *testing.T, r *results.Results, key figure.Key, column string, m results.Method) float64 {
	t.Helper()
	f, ok := r.Find(key, column, m)
	if !ok {
		t.Fatalf("%s of %s, by %s: expected a figure, found none", key.Name(), column, m)
	}
	return f.Value
}

// TestDesignsReach: what rivals are meant to reach, of the base or in instructions. One that is
// missed is so for a reason that its cover letter has; it has to be taken from here once it is
// reached.
func TestDesignsReach(t *testing.T) {
	r := readCompared(t, "figures-rivals.json")
	of := func(op figure.Op, vcpus int) figure.Key {
		return figure.VM(op, measure.VM{VCPUs: vcpus, IDs: measure.Dense})
	}
	written := of(figure.Cached, 1024)
	written.Lookup, written.Body, written.State = measure.Walk, measure.ReadID, measure.Written
	const (
		largerThanBase = 1.25
		lines          = "for each vCPU:" // of the loop, as gcc makes it
	)
	for name, tt := range map[string]struct {
		key    figure.Key
		column string
		method results.Method
		most   float64 // of it
		ofBase bool    // as a part of the base's
		missed string  // what the cover letter says, "" if it is reached
	}{
		"kept, get":                 {of(figure.Get, 1024), "kept", results.ICount, 9, false, ""},
		"kept, walk":                {of(figure.Walk, 1024), "kept", results.ICount, 4, false, lines},
		"kept, written elsewhere":   {written, "kept", results.Native, 0.25, true, ""},
		"kept, bytes of 64":         {of(figure.Memory, 64), "kept", results.ICount, largerThanBase, true, ""},
		"kept, bytes of 1024":       {of(figure.Memory, 1024), "kept", results.ICount, largerThanBase, true, ""},
		"kept, bytes of 4096":       {of(figure.Memory, 4096), "kept", results.ICount, largerThanBase, true, ""},
		"segments, get":             {of(figure.Get, 1024), "segments", results.ICount, 13, false, ""},
		"segments, walk":            {of(figure.Walk, 1024), "segments", results.ICount, 5, false, "is 5.11 instructions"},
		"segments, bytes of 64":     {of(figure.Memory, 64), "segments", results.ICount, largerThanBase, true, ""},
		"segments, bytes of 1024":   {of(figure.Memory, 1024), "segments", results.ICount, largerThanBase, true, ""},
		"segments, bytes of 4096":   {of(figure.Memory, 4096), "segments", results.ICount, largerThanBase, true, ""},
		"patched, get":              {of(figure.Get, 1024), "patched", results.ICount, 12, false, ""},
		"patched, walk":             {of(figure.Walk, 1024), "patched", results.ICount, 4.01, false, ""},
		"patched, written":          {written, "patched", results.Native, 1, true, ""},
		"fixed-array, get":          {of(figure.Get, 1024), "fixed-array", results.ICount, 6, false, ""},
		"vcpu-move, get":            {of(figure.Get, 1024), "vcpu-move", results.ICount, 12, false, ""},
		"chunks, get":               {of(figure.Get, 1024), "chunks", results.ICount, 10, false, ""},
		"patched, bytes of 1024":    {of(figure.Memory, 1024), "patched", results.ICount, 1, true, ""},
		"patched, bytes of 4096":    {of(figure.Memory, 4096), "patched", results.ICount, 1, true, ""},
		"chunks, written elsewhere": {written, "chunks", results.Native, 0.25, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := value(t, r, tt.key, tt.column, tt.method)
			if tt.ofBase {
				found /= value(t, r, tt.key, "base", tt.method)
			}
			if reached := found <= tt.most; reached != (tt.missed == "") {
				t.Errorf("expected %g at most: %v, found %g", tt.most, tt.missed == "", found)
			}
			if tt.missed == "" {
				return
			}
			cover, err := os.ReadFile("../../patches/rivals/" + tt.column + "/0000-cover-letter.patch")
			if err != nil || !strings.Contains(string(cover), tt.missed) {
				t.Errorf("%s's cover letter: expected %q, which explains it, found none, error %v", tt.column, tt.missed, err)
			}
		})
	}
}

// TestDesignsWait: beside a vCPU that runs, is halted or is stuck KVM_CREATE_VCPU waits for nothing,
// whatever holds vCPUs, and none but vcpu-move kicks it, as often as it replaces its table.
func TestDesignsWait(t *testing.T) {
	for _, file := range []string{"figures-rivals.json", "figures-rivals-near.json"} {
		r := readCompared(t, file)
		for _, k := range r.Kernels {
			for _, phase := range []measure.Phase{measure.During, measure.Halted, measure.Stuck} {
				key := figure.Key{VCPUs: 520, Phase: phase}
				for _, key.Op = range []figure.Op{figure.GrowWaits, figure.GrowBlocked, figure.GrowContended} {
					if n := value(t, r, key, k.Name, results.ICount); n != 0 {
						t.Errorf("%s: %s of %s: expected none, found %g", file, key.Name(), k.Name, n)
					}
				}
				want := 0.0
				if k.Name == "vcpu-move" {
					want = 7
				}
				key.Op = figure.GrowKicks
				if n := value(t, r, key, k.Name, results.ICount); n != want {
					t.Errorf("%s: %s of %s: expected %g, found %g", file, key.Name(), k.Name, want, n)
				}
			}
		}
	}
}

// TestFirstCalls: what is said of the first calls of a VM, over all designs.
func TestFirstCalls(t *testing.T) {
	span := func(slot figure.Slot, files ...string) (least, most float64) {
		for _, file := range files {
			r := readCompared(t, file)
			for _, k := range r.Kernels {
				waited := value(t, r, figure.Key{Op: figure.SetupSlotBlocked, Slot: slot}, k.Name, results.ICount)
				least, most = min(cmp.Or(least, waited), waited), max(most, waited)
				if n := value(t, r, figure.Key{Op: figure.SetupVCPUBlocked, Slot: slot}, k.Name, results.ICount); n != 0 {
					t.Errorf("%s: first vCPU of %s, %s: expected no wait, found %g ns", file, k.Name, slot, n)
				}
			}
		}
		return least, most
	}
	const fast, slow = "figures-rivals.json", "figures-rivals-hz100.json"
	fastLeast, fastMost := span(figure.AfterDevices, fast)
	slowLeast, slowMost := span(figure.AfterDevices, slow)
	least, most := span(figure.WithoutDevices, fast, slow)
	want := fmt.Sprintf("took %.1f to %.1f ms with HZ=1000 and %.1f to %.1f ms with HZ=100,", fastLeast/1e6, fastMost/1e6, slowLeast/1e6, slowMost/1e6)
	without := fmt.Sprintf("a VM without a device waits for %.0f to %.0f µs, and the creation of a first vCPU for nothing.", least/1e3, most/1e3)
	text, err := os.ReadFile("../../ebpf/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{want, without} {
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), said) {
			t.Errorf("ebpf/README.md: expected %q", said)
		}
	}
}

// TestNearMachine: what is said of the machine whose processors are close to each other.
func TestNearMachine(t *testing.T) {
	r, far := readCompared(t, "figures-rivals-near.json"), readCompared(t, "figures-rivals.json")
	key := func(lookup measure.Op, body measure.Body, state measure.State) figure.Key {
		k := figure.VM(figure.Cached, measure.VM{VCPUs: 1024, IDs: measure.Dense})
		k.Lookup, k.Body, k.State = lookup, body, state
		return k
	}
	byID, request := key(measure.ByID, "", measure.Written), key(measure.Walk, measure.Request, measure.Written)
	of := func(k figure.Key, column string) float64 { return value(t, r, k, column, results.Native) }
	want := fmt.Sprintf("base takes %.1f ns to look up such a vCPU of 1024 by its ID, patched %.1f and kept %.1f, and walks with a request are %.1f ns a vCPU with patched and %.1f with kept",
		of(byID, "base"), of(byID, "patched"), of(byID, "kept"), of(request, "patched"), of(request, "kept"))
	for name, said := range map[string]string{
		"README.md":                     want,
		"index/0000-cover-letter.patch": strings.Replace(want, " of 1024", "", 1),
	} {
		text, err := os.ReadFile("../../patches/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if flat := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "`", "")), " "); !strings.Contains(flat, said) {
			t.Errorf("%s: expected %q", name, said)
		}
	}

	// What the other machine tells apart in the caches and in none is in the same order here.
	for _, state := range []measure.State{measure.Hot, measure.Flushed} {
		walk := key(measure.Walk, measure.ReadID, state)
		for a := range slices.Values(far.Kernels) {
			for b := range slices.Values(far.Kernels) {
				one, _ := far.Find(walk, a.Name, results.Native)
				other, _ := far.Find(walk, b.Name, results.Native)
				if one.High < other.Low && one.Value*1.1 < other.Value && of(walk, a.Name) >= of(walk, b.Name) {
					t.Errorf("%s: expected %s before %s", walk.Name(), a.Name, b.Name)
				}
			}
		}
	}
	// Lookups are counted the same on both, i.e. the patches are the same to them.
	for _, k := range r.Kernels {
		for _, op := range []figure.Op{figure.Get, figure.ByID, figure.Walk} {
			lookup := figure.VM(op, measure.VM{VCPUs: 1024, IDs: measure.Dense})
			if here, there := value(t, r, lookup, k.Name, results.ICount), value(t, far, lookup, k.Name, results.ICount); here != there {
				t.Errorf("%s of %s: expected the same of both, found %g and %g", lookup.Name(), k.Name, here, there)
			}
		}
	}
}
