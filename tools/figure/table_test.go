// SPDX-License-Identifier: GPL-2.0-only

package figure

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
)

// example is a valid key of an operation.
func example(op *Operation) Key {
	k := Key{Op: op.Op}
	for mark, set := range map[string]func(){
		"{vcpus}":  func() { k.VCPUs = 8 },
		"{ids}":    func() { k.IDs = measure.Sparse },
		"{at}":     func() { k.At = 16 },
		"{phase}":  func() { k.Phase = measure.During },
		"{slot}":   func() { k.Slot = Control },
		"{lookup}": func() { k.Lookup = measure.ByID },
		"{state}":  func() { k.State = measure.Written },
		"{body}":   func() { k.Body = measure.ReadID },
		"{path}":   func() { k.Path = measure.PathIPI },
		"{object}": func() { k.Object = "kvm" },
	} {
		if strings.Contains(op.Name, mark) {
			set()
		}
	}
	return k
}

// TestColumns: each column of the comparison of designs is of an operation that
// there is, and says what heads it.
func TestColumns(t *testing.T) {
	for _, c := range Columns {
		k := c.Of
		if k.VCPUs == 0 {
			k.VCPUs = 8
		}
		if err := k.Check(); err != nil || !slices.Contains(Methods, c.Method) || c.Group(k) == "" || c.Title(k) == "" {
			t.Errorf("%+v: expected a figure, a method and a head: %v", c, err)
		}
		if !c.Has(k, c.Method) || c.Has(k, KVM) || c.Has(Key{Op: SizeOf, Object: "kvm"}, c.Method) {
			t.Errorf("%s: expected the column to have its own figures alone", k.Name())
		}
		if c.Beyond.Op != "" && (c.Beyond.Check() != nil || !c.Has(c.Beyond, c.Method)) {
			t.Errorf("%s: expected a figure that is added, found %+v", k.Name(), c.Beyond)
		}
	}
}

// TestTable: every operation has a name of its own, of which each member of the
// key is a part, and whatever the reports need.
func TestTable(t *testing.T) {
	names := make(map[string]Op)
	titles := make(map[string]bool)
	for _, g := range Groups {
		if titles[g.Title] {
			t.Errorf("%s: two groups have this title", g.Title)
		}
		titles[g.Title] = true
		for i, op := range g.Operations {
			k := example(&op)
			if err := k.Check(); err != nil {
				t.Errorf("%s: %v", op.Op, err)
			}
			if operations[op.Op] == nil || operations[op.Op] != k.Operation() || k.Operation().Group.Title != g.Title {
				t.Errorf("%s: expected to find it in its group", op.Op)
			}
			if other, ok := names[k.Name()]; ok || strings.ContainsAny(k.Name(), "{} ") {
				t.Errorf("%s: expected a name of its own, found %q, which is that of %q", op.Op, k.Name(), other)
			}
			names[k.Name()] = op.Op
			executeAll(op, k)
			if op.Unit.On(ICount) == "" || op.Unit.On(Native) == "" {
				t.Errorf("%s: expected a unit by each method", op.Op)
			}
			// A number may not be read as time that is none.
			if strings.HasPrefix(op.Unit.On(ICount), "ns") || op.Unit.Cost != strings.HasPrefix(op.Unit.On(KVM), "ns/") {
				t.Errorf("%s: %s and %s", op.Op, op.Unit.On(ICount), op.Unit.On(KVM))
			}
			if len(g.Operations) > 1 && !g.Programs && op.Label.Of(k) == "" {
				t.Errorf("%s: expected a label that tells it from the others of its group", op.Op)
			}
			if op.Unit.Cost != g.Operations[0].Unit.Cost && !g.Programs {
				t.Errorf("%s: operation %d of its group is in another unit", op.Op, i)
			}
			for _, line := range op.Lines {
				line.Of.Op, line.Of.VCPUs = op.Op, 64
				if err := line.Of.Check(); err != nil || len(line.Sizes) == 0 {
					t.Errorf("%s, %q: no such figure, or no sizes: %v", op.Op, line.Label, err)
				}
			}
			data, err := json.Marshal(k)
			if err != nil {
				t.Fatal(err)
			}
			var back Key
			if err := json.Unmarshal(data, &back); err != nil || back != k {
				t.Errorf("%s: expected %+v back from JSON, found %+v, %v", op.Op, k, back, err)
			}
		}
	}
}

// executeAll executes what the table says of an operation. What cannot be executed
// panics.
func executeAll(op Operation, k Key) {
	texts, conditions := []Text{op.Label}, []Condition{op.Hidden, op.ByIndex}
	if s := op.Summary; s != nil {
		texts, conditions = append(texts, s.Code, s.What), append(conditions, s.Of, s.First)
	}
	if p := op.Plot; p != nil {
		texts, conditions = append(texts, p.Title, p.Caption), append(conditions, p.Of)
	}
	for _, text := range texts {
		if text != nil {
			text(k)
		}
	}
	for _, holds := range conditions {
		if holds != nil {
			holds(k)
		}
	}
	for _, r := range op.Goal {
		if r.When != nil {
			r.When(Case{Key: k})
		}
	}
}

// meanings are what figures mean, by their keys. Nothing of it depends on a
// label.
var meanings = []struct {
	key     Key
	name    string
	unit    string // where instructions are counted
	compare Comparison
	goal    float64 // where instructions are counted and the baseline has 1000; -1 if there is none
	byIndex bool
}{
	{Key{Op: Get, VCPUs: 8, IDs: measure.Dense}, "get/vcpus=8/ids=dense", "insns/op", Exact, 18, true},
	{Key{Op: Get, VCPUs: 8, IDs: measure.Dense, Order: measure.Random}, "get/vcpus=8/ids=dense/order=random", "insns/op", Exact, 18, true},
	{Key{Op: ByID, VCPUs: 8, IDs: measure.Dense}, "by_id/vcpus=8/ids=dense", "insns/op", Exact, 30, true},
	{Key{Op: ByID, VCPUs: 8, IDs: measure.Dense, Order: measure.Same}, "by_id/vcpus=8/ids=dense/order=same", "insns/op", Exact, 30, true},
	{Key{Op: ByID, VCPUs: 8, IDs: measure.Dense, Missing: true}, "by_id/vcpus=8/ids=dense/missing", "insns/op", Exact, 60, false},
	{Key{Op: ByID, VCPUs: 8, IDs: measure.Sparse}, "by_id/vcpus=8/ids=sparse", "insns/op", Exact, 60, false},
	{Key{Op: Walk, VCPUs: 8, IDs: measure.Dense}, "walk/vcpus=8/ids=dense", "insns/op", Exact, 6, false},
	{Key{Op: Create, VCPUs: 1024, IDs: measure.Dense}, "create/vcpus=1024/ids=dense/at=0", "insns/ioctl", Noise, 46_000, false},
	{Key{Op: CreateAll, VCPUs: 1024, IDs: measure.Sparse}, "create/vcpus=1024/ids=sparse/all", "insns/vm", Noise, 48_000_000, false},
	{Key{Op: CreateAll, VCPUs: 512, IDs: measure.Sparse}, "create/vcpus=512/ids=sparse/all", "insns/vm", Noise, -1, false},
	// The parts of a creation are not held to what the whole is.
	{Key{Op: CreateArch, VCPUs: 1024, IDs: measure.Dense}, "create/vcpus=1024/ids=dense/arch", "insns/vm", Noise, -1, false},
	{Key{Op: CreateWaiting, VCPUs: 1024, IDs: measure.Dense}, "create/vcpus=1024/ids=dense/waiting", "insns/vm", Noise, -1, false},
	{Key{Op: CreateRest, VCPUs: 1024, IDs: measure.Dense}, "create/vcpus=1024/ids=dense/rest", "insns/vm", Noise, -1, false},
	{Key{Op: CreateGrowth, VCPUs: 64, IDs: measure.Dense}, "create/vcpus=64/ids=dense/growth", "ratio", Noise, 1.1, false},
	{Key{Op: CreateWaits, VCPUs: 8, IDs: measure.Dense}, "create/vcpus=8/ids=dense/waits", "grace-periods", Exact, 0, false},
	{Key{Op: Cycles, VCPUs: 8, IDs: measure.Dense, Lookup: measure.Get}, "get/vcpus=8/ids=dense/cycles", "cycles/op", Noise, -1, false},
	{Key{Op: PathCall, VCPUs: 8, IDs: measure.Sparse, Path: measure.PathIPI}, "path/vcpus=8/ids=sparse/do=ipi-broadcast/call", "insns/op", Exact, -1, false},
	{Key{Op: PathRate, VCPUs: 8, IDs: measure.Sparse, Path: measure.PathIPI}, "path/vcpus=8/ids=sparse/do=ipi-broadcast/rate", "calls/Ginsn", Rate, -1, false},
	{Key{Op: StartRan, VCPUs: 8, IDs: measure.Sparse}, "start/vcpus=8/ids=sparse/ran", "insns/vm", Noise, -1, false},
	{Key{Op: GapMax, VCPUs: 520, Phase: measure.During}, "gaps/vcpus=520/phase=during/max", "insns/gap", Chance, -1, false},
	{Key{Op: GapBlocked, VCPUs: 520, Phase: measure.During}, "gaps/vcpus=520/phase=during/blocked", "gaps", Noise, 0, false},
	{Key{Op: GrowWaits, VCPUs: 520, Phase: Idle}, "grow/vcpus=520/while=idle/create-waits", "grace-periods", Exact, 0, false},
	{Key{Op: GrowSlotWaits, VCPUs: 520, Phase: measure.Slots, Slot: AfterGrowth},
		"grow/vcpus=520/while=slots/slot=after-growth/slot-waits", "grace-periods", Exact, 1000, false},
	{Key{Op: GrowSlotBlocked, VCPUs: 520, Phase: Idle, Slot: Control},
		"grow/vcpus=520/while=idle/slot=control/slot-blocked", "virtual-ns", Chance, -1, false},
	{Key{Op: RaceSlower, VCPUs: 8, IDs: measure.Dense, Lookup: measure.Walk}, "race/vcpus=8/ids=dense/of=walk/slower", "slowdown", Noise, -1, false},
	{Key{Op: Cached, VCPUs: 8, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.Request, State: measure.Written},
		"caches/vcpus=8/ids=dense/of=walk/body=request/state=written", "insns/op", Noise, 1050, false},
	{Key{Op: Cached, VCPUs: 1, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.ReadID, State: measure.Hot},
		"caches/vcpus=1/ids=dense/of=walk/body=id/state=hot", "insns/op", Noise, -1, false},
	{Key{Op: Cached, VCPUs: 8, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.ReadID, State: measure.Flushed},
		"caches/vcpus=8/ids=dense/of=walk/body=id/state=flushed", "insns/op", Noise, -1, false},
	{Key{Op: Cached, VCPUs: 8, IDs: measure.Sparse, Lookup: measure.ByID, State: measure.Flushed},
		"caches/vcpus=8/ids=sparse/of=by_id/state=flushed", "insns/op", Noise, -1, false},
	{Key{Op: Memory, VCPUs: 1, IDs: measure.Dense}, "memory/vcpus=1/ids=dense", "B/vm", Exact, 1000, false},
	{Key{Op: Memory, VCPUs: 8, IDs: measure.Dense}, "memory/vcpus=8/ids=dense", "B/vm", Exact, 1250, false},
	{Key{Op: MemoryObject, Object: "kvm"}, "memory/struct=kvm", "B", Exact, -1, false},
	{Key{Op: SizeOf, Object: "kvm"}, "sizeof/struct=kvm", "B", Exact, 1000, false},
	{Key{Op: SizeOf, Object: "kvm_vcpu"}, "sizeof/struct=kvm_vcpu", "B", Exact, -1, false},
}

// TestMeanings: each figure has its goal and is compared as it should.
func TestMeanings(t *testing.T) {
	for _, want := range meanings {
		if err := want.key.Check(); err != nil || want.key.Name() != want.name {
			t.Errorf("%s: found %q, %v", want.name, want.key.Name(), err)
		}
		op := want.key.Operation()
		goal := Judge(Case{Key: want.key, Method: ICount, Base: 1000, Measured: true}, 0)
		if goal.Outcome == NoGoal {
			goal.Value = -1
		}
		if goal.Value != want.goal || op.Unit.On(ICount) != want.unit || op.Compare != want.compare ||
			(op.ByIndex != nil && op.ByIndex(want.key)) != want.byIndex {
			t.Errorf("%s: expected %+v, found goal %v, unit %s, comparison %q", want.name, want, goal.Value, op.Unit.On(ICount), op.Compare)
		}
	}
	if goal := Judge(Case{Key: meanings[0].key, Method: ICount, CheapRCU: true}, 0); goal.Value != 12 {
		t.Errorf("without preemptible RCU: expected 12, found %v", goal.Value)
	}
	if goal := Judge(Case{Key: meanings[0].key, Method: KVM}, 0); goal.Outcome != NoGoal {
		t.Error("expected no goal in nanoseconds")
	}
}

// TestJudge holds figures to their goals.
func TestJudge(t *testing.T) {
	walk := Case{Key: Key{Op: Walk, VCPUs: 64, IDs: measure.Dense}, Method: ICount}
	single := walk
	single.VCPUs = 1
	growth := Case{Key: Key{Op: CreateGrowth, VCPUs: 64, IDs: measure.Dense}, Method: ICount}
	parts := Case{Key: Key{Op: CreateArch, VCPUs: 1024, IDs: measure.Dense}, Method: ICount}
	for name, tt := range map[string]struct {
		of      Case
		patched float64
		want    Goal
	}{
		"met":            {walk, 6, Goal{Outcome: Met, Value: 6}},
		"a part of one":  {walk, 6.4, Goal{Outcome: Met, Value: 6}},
		"missed":         {walk, 6.5, Goal{Outcome: Missed, Value: 6}},
		"known":          {single, 10, Goal{Missed, 6, "it is the beginning and the end of a walk"}},
		"more than that": {single, 11, Goal{Outcome: Missed, Value: 6}},
		"a ratio":        {growth, 1.1001, Goal{Outcome: Missed, Value: 1.1}},
		"no goal":        {parts, 1e12, Goal{}},
	} {
		if got := Judge(tt.of, tt.patched); got != tt.want {
			t.Errorf("%s: expected %+v, found %+v", name, tt.want, got)
		}
	}
}
