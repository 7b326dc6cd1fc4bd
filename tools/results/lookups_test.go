// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// countedBoot is a process that counted cycles: 3 a number for the loop, 10 for a lookup with
// it, and 8 for each vCPU of a walk.
func countedBoot() Boot {
	vm := measure.VM{VCPUs: 4, IDs: measure.Dense}
	loop := func(op measure.Op, cycles int64) measure.Loop {
		const passes, around = 100, 500
		return measure.Loop{VM: vm, Shape: measure.Shape{Op: op}, Numbers: 4, Passes: passes, Once: []int64{1000}, Twice: []int64{2000},
			OnceCycles: []int64{around + passes*4*cycles}, TwiceCycles: []int64{around + 2*passes*4*cycles}}
	}
	return Boot{Which: Which{Method: Native}, Loops: []measure.Loop{loop(measure.Nop, 3), loop(measure.Get, 10), loop(measure.Walk, 8)}}
}

// TestCycles draws them beside the nanoseconds.
func TestCycles(t *testing.T) {
	values, err := countedBoot().values()
	if err != nil {
		t.Fatal(err)
	}
	got := named(t, values)
	for name, want := range map[string]float64{"get/vcpus=4/ids=dense/cycles": 7, "walk/vcpus=4/ids=dense/cycles": 8} {
		if v := got[name]; v.value != want || v.key.Operation().Unit.On(Native) != "cycles/op" {
			t.Errorf("%s: expected %v, found %+v", name, want, v)
		}
	}
	for name, spoil := range map[string]func(*measure.Loop){
		"a count is missing": func(l *measure.Loop) { l.TwiceCycles = nil },
		"no more for 2N":     func(l *measure.Loop) { l.TwiceCycles = l.OnceCycles },
		"none":               func(l *measure.Loop) { l.OnceCycles = []int64{0} },
	} {
		for i := range 3 {
			b := countedBoot()
			spoil(&b.Loops[i])
			if err := b.Check(); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: expected ErrInvalid, found %v", name, err)
			}
		}
	}
}

// race is lookups in a VM of five vCPUs, in three growths.
func race(op measure.Op) measure.Race {
	return measure.Race{
		VM: measure.VM{VCPUs: 5, IDs: measure.Dense}, Op: op, Creator: 1,
		Alone: []float64{10, 3, 4}, AloneOwn: []float64{1, 1, 1},
		Beside: []float64{7, 5, 90}, BesideOwn: []float64{1, 1, 2},
		Create: 400, CreateBeside: 1000,
	}
}

// TestRaceValues draws figures: medians of the growths, less the loop's own cost.
func TestRaceValues(t *testing.T) {
	for name, tt := range map[string]struct {
		op   measure.Op
		want map[string]float64
	}{
		"a lookup": {measure.Get, map[string]float64{
			"alone ns/read": 3, "beside ns/read": 6, "slower slowdown": 2,
			"insert ns/insert": 100, "insert-beside ns/insert": 250, "insert-slower slowdown": 2.5}},
		"a walk": {measure.Walk, map[string]float64{
			"alone ns/read": 4, "beside ns/read": 7, "slower slowdown": 1.75,
			"insert ns/insert": 100, "insert-beside ns/insert": 250, "insert-slower slowdown": 2.5}},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := Boot{Which: Which{Method: Native}, Races: []measure.Race{race(tt.op)}}.values()
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]float64)
			for _, v := range values {
				part, ok := strings.CutPrefix(v.key.Name(), "race/vcpus=5/ids=dense/of="+string(tt.op)+"/")
				if !ok || v.from != "/races/0" {
					t.Errorf("expected a figure of the race, found %+v", v)
				}
				got[part+" "+v.key.Operation().Unit.On(Native)] = v.value
			}
			if !maps.Equal(got, tt.want) {
				t.Error(cmp.Diff(tt.want, got))
			}
		})
	}
}

func TestRaceValuesRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*measure.Race){
		"no growth":              func(r *measure.Race) { r.Alone = nil },
		"a growth is missing":    func(r *measure.Race) { r.Beside = r.Beside[1:] },
		"the loop is missing":    func(r *measure.Race) { r.BesideOwn = nil },
		"the loop costs more":    func(r *measure.Race) { r.AloneOwn = []float64{99, 99, 99} },
		"creations cost nothing": func(r *measure.Race) { r.Create = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r := race(measure.ByID)
			spoil(&r)
			checkInvalid(t, Boot{Which: Which{Method: Native}, Races: []measure.Race{r}}.Check(), "by_id in vcpus=5/ids=dense while it grows")
		})
	}
}

// addPaths gives a boot what these parameters ask for. A call takes 100 a vCPU,
// and what is around it 5000.
func addPaths(b *Boot, p measure.Paths) {
	for _, vm := range p.VMs {
		start := measure.Start{VM: vm, Created: 50_000 * int64(vm.VCPUs), Ran: 90_000 * int64(vm.VCPUs)}
		if p.Restore {
			start.Restored = 70_000 * int64(vm.VCPUs)
		}
		b.Starts = append(b.Starts, start)
		for _, path := range vm.Paths() {
			call := 100 * int64(vm.VCPUs)
			once := 7000 + int64(p.Ops)*(call+5000)
			s := measure.PathSample{VM: vm, Path: path, Function: measure.PathFunctions[path], Ops: p.Ops, Bracket: 154}
			for i := range p.Repeat {
				s.Once = append(s.Once, once+3000*int64(i))
				s.Twice = append(s.Twice, 2*once-7000+4000*int64(p.Repeat-i-1))
			}
			for i := range p.Ops * p.Repeat {
				s.Calls = append(s.Calls, call+154+int64(i%p.Ops))
			}
			s.Calls[0] += 4000 // an interrupt
			b.Paths = append(b.Paths, s)
		}
	}
}

var pathParams = measure.Paths{VMs: []measure.VM{{VCPUs: 8, IDs: measure.Sparse}, {VCPUs: 64, IDs: measure.Sparse}}, Restore: true, Ops: 4, Repeat: 3}

// TestPool: of a VM with more vCPUs than can have VP indices two paths are measured, and
// not when each vCPU had run.
func TestPool(t *testing.T) {
	pool := measure.Paths{VMs: []measure.VM{{VCPUs: 4096, IDs: measure.Sparse}}, Restore: true, Ops: 4, Repeat: 3}
	b := Boot{Which: Which{Method: ICount}}
	addPaths(&b, pool)
	if err := b.completePaths(pool); err != nil {
		t.Fatal(err)
	}

	values, err := b.usageValues()
	if err != nil {
		t.Fatal(err)
	}
	var ops []figure.Op
	for _, v := range values {
		ops = append(ops, v.key.Op)
	}
	want := []figure.Op{
		figure.PathCall, figure.PathRate, figure.PathCall, figure.PathRate, figure.StartCreated, figure.StartRestored,
	}
	if diff := cmp.Diff(want, ops); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

// TestCompletePaths spoils what was measured in every way that must not be taken
// for a result.
func TestCompletePaths(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*Boot)
		says  string // "" if the boot is good
	}{
		"complete":           {func(*Boot) {}, ""},
		"nothing":            {func(b *Boot) { b.Starts, b.Paths = nil, nil }, "ids=sparse], found []"},
		"a path is missing":  {func(b *Boot) { b.Paths = b.Paths[1:] }, "expected 16 of 2 VMs, found 15"},
		"a start is missing": {func(b *Boot) { b.Starts = b.Starts[1:] }, "expected the starts of [vcpus=8/ids=sparse"},
		"another VM started": {func(b *Boot) { b.Starts[1].VM.VCPUs++ }, "vcpus=64/ids=sparse], found [{vcpus=8/ids=sparse 400000 720000 560000} {vcpus=65"},
		"another VM":         {func(b *Boot) { b.Paths[0].VM.IDs = measure.Dense }, "of vcpus=8/ids=dense"},
		"another function":   {func(b *Boot) { b.Paths[0].Function = "kvm_vcpu_kick" }, "by kvm_vcpu_kick"},
		"too little done":    {func(b *Boot) { b.Paths[0].Ops = 3 }, "expected 3 times 4 operations, found 3 times 3"},
		"not repeated":       {func(b *Boot) { b.Paths[0].Once = b.Paths[0].Once[1:] }, "found 2 times 4"},
		"a run is missing":   {func(b *Boot) { b.Paths[0].Twice = b.Paths[0].Twice[1:] }, "found 3 and 2"},
		"call missed":        {func(b *Boot) { b.Paths[0].Calls = b.Paths[0].Calls[1:] }, "12 operations called kvm_make_all_cpus_request 11 times"},
		"called twice":       {func(b *Boot) { b.Paths[0].Calls = append(b.Paths[0].Calls, 7000) }, "13 times"},
		"empty bracket":      {func(b *Boot) { b.Paths[0].Calls[2] = 154 }, "call 2: expected it to take more than the 154 ns"},
		"no empty bracket":   {func(b *Boot) { b.Paths[0].Bracket = 0 }, "call 0"},
		"clock stands still": {func(b *Boot) { b.Paths[0].Twice = b.Paths[0].Once }, "an operation takes 0 ns in all"},
		"more than all": {func(b *Boot) {
			for i := range b.Paths[0].Calls {
				b.Paths[0].Calls[i] += 10_000
			}
		}, "and the call in it 10802 ns"},
		"a tick more": {func(b *Boot) {
			for i := range b.Paths[0].Twice {
				b.Paths[0].Twice[i] -= 4*5000 + 4*30 // 770 an operation, of which a call takes 801
			}
		}, ""},
		"ticks more": {func(b *Boot) {
			for i := range b.Paths[0].Twice {
				b.Paths[0].Twice[i] -= 4*5000 + 4*60
			}
		}, "an operation takes 740 ns in all, and the call in it 802 ns"},
		"no start":     {func(b *Boot) { b.Starts[0].Created = 0 }, "start of vcpus=8/ids=sparse: expected time to pass, found 0, 720000 and 560000 ns"},
		"not restored": {func(b *Boot) { b.Starts[0].Restored = 0 }, "expected the starts of"},
		// The first VM of its kind pays for what is patched once.
		"restored sooner": {func(b *Boot) { b.Starts[0].Restored = b.Starts[0].Created - 1 }, ""},
		"restored before": {func(b *Boot) { b.Starts[0].Restored = -1 }, "expected the starts of"},
		"no vCPU ran":     {func(b *Boot) { b.Starts[0].Ran = b.Starts[0].Created }, "expected time to pass"},
	} {
		t.Run(name, func(t *testing.T) {
			b := Boot{Which: Which{Method: ICount}}
			addPaths(&b, pathParams)
			tt.spoil(&b)
			err := b.completePaths(pathParams)
			if err == nil {
				_, err = b.usageValues()
			}
			checkInvalid(t, err, tt.says)
		})
	}
}

// usageValues draws the figures of paths and starts.
func (b Boot) usageValues() ([]value, error) {
	var d drawing
	drawEach(&d, "paths", b.Paths, b.pathValues)
	drawEach(&d, "starts", b.Starts, startValues)
	return d.values, d.err
}

// inUnit is a number with its unit.
type inUnit struct {
	unit  string
	value float64
}

// TestPathValues draws the figures: neither the interrupt in a bracket nor that
// in a run is in them where instructions are counted.
func TestPathValues(t *testing.T) {
	for method, want := range map[Method]map[string]inUnit{
		ICount: {
			"path/vcpus=8/ids=sparse/do=ipi-broadcast/call":  {unit: "insns/op", value: 801.5},
			"path/vcpus=64/ids=sparse/do=ipi-broadcast/call": {unit: "insns/op", value: 6401.5},
			"path/vcpus=64/ids=sparse/do=ipi-broadcast/rate": {unit: "calls/Ginsn", value: 1e9 / 11400.0},
			"start/vcpus=64/ids=sparse/created":              {unit: "insns/vm", value: 3_200_000},
			"start/vcpus=64/ids=sparse/ran":                  {unit: "insns/vm", value: 5_760_000},
		},
		KVM: {
			"path/vcpus=8/ids=sparse/do=ipi-broadcast/call": {unit: "ns/op", value: 801.5},
			// The medians are 3000 and 4000 more.
			"path/vcpus=8/ids=sparse/do=ipi-broadcast/rate": {unit: "calls/s", value: 1e9 / 6050.0},
		},
	} {
		b := Boot{Which: Which{Method: method}}
		addPaths(&b, pathParams)
		all, err := b.usageValues()
		if err != nil {
			t.Fatal(err)
		}
		got := named(t, all)
		if len(got) != len(all) || len(all) != 2*(2*len(measure.AllPaths)+3) {
			t.Errorf("%s: expected a call and a rate of each path, found %d figures with %d names", method, len(all), len(got))
		}
		for name, v := range want {
			is := got[name]
			if unit := is.key.Operation().Unit.On(method); unit != v.unit || is.value != v.value || is.low != v.value || is.high != v.value {
				t.Errorf("%s, %s: expected %+v, found %+v in %s", method, name, v, is, unit)
			}
		}
	}
}

// TestPathBench: benchstat is told that more calls are better.
func TestPathBench(t *testing.T) {
	r := small(ICount)
	for i := range r.Boots {
		addPaths(&r.Boots[i], pathParams)
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteBench(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Unit insns/op assume=exact\n", "Unit calls/Ginsn better=higher\n",
		"BenchmarkPath/vcpus=64/ids=sparse/do=ipi-broadcast/what=call 1 6401.5 insns/op\n",
		"BenchmarkStart/vcpus=8/ids=sparse/what=ran 1 720000 insns/vm\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("expected %q, found\n%s", want, b.String())
		}
	}
}
