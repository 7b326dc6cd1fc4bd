// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

// The figures in a file are those that its samples give.
func TestDrawAgain(t *testing.T) {
	r := readFixture(t)
	want := slices.Clone(r.Figures)
	for range 2 {
		if err := r.Draw(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, r.Figures); diff != "" {
			t.Errorf("drawn other figures (-want +got)\n%s", diff)
		}
	}
}

// TestEditedFigure: figures that the samples do not give are refused.
func TestEditedFigure(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*Results)
		want string
	}{
		"none":     {func(*Results) {}, ""},
		"a value":  {func(r *Results) { r.Figures[3].Value *= 2 }, "was it edited?"},
		"a bound":  {func(r *Results) { r.Figures[3].High++ }, "was it edited?"},
		"a column": {func(r *Results) { r.Figures[3].Method = "other" }, "no samples give this figure"},
	} {
		t.Run(name, func(t *testing.T) {
			r := readFixture(t)
			tc.edit(r)
			err := r.checkDrawn()
			if (err != nil) != (tc.want != "") || !strings.Contains(fmt.Sprint(err), tc.want) {
				t.Errorf("expected %q, found %v", tc.want, err)
			}
		})
	}
}

// Figures do not depend on the order of the boots.
func TestDrawInAnyOrder(t *testing.T) {
	r := readFixture(t)
	want := valuesOf(r)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(r.Boots), func(i, j int) { r.Boots[i], r.Boots[j] = r.Boots[j], r.Boots[i] })
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, valuesOf(r)); diff != "" {
		t.Errorf("another order gave other figures (-want +got)\n%s", diff)
	}
}

func valuesOf(r *Results) []Figure {
	out := slices.Clone(r.Figures)
	for i := range out {
		out[i].Boots, out[i].Values = nil, slices.Sorted(slices.Values(out[i].Values))
	}
	return out
}

func TestDraw(t *testing.T) {
	r := small(ICount)
	figure := func(name, column string) Figure {
		f, ok := find(r, name, column, ICount)
		if !ok {
			t.Fatalf("no figure %s of %s", name, column)
		}
		return f
	}
	for name, test := range map[string]struct {
		figure, column string
		value          float64
		unit           string
		spread         float64
	}{
		"get":          {"get/vcpus=8/ids=dense", "base", 75, "insns/op", 0},
		"get patched":  {"get/vcpus=8/ids=dense", "patched", 18, "insns/op", 0},
		"by ID":        {"by_id/vcpus=8/ids=dense", "base-again", 75, "insns/op", 0},
		"walk":         {"walk/vcpus=8/ids=dense", "base", 75, "insns/op", 0},
		"around":       {"probe/loop", "base", 90, "insns/run", 0},
		"create":       {"create/vcpus=8/ids=dense/at=0", "base", 45003.5, "insns/ioctl", 2.5},
		"all creation": {"create/vcpus=8/ids=dense/all", "base", 8*45000 + 28, "insns/vm", 0},
		"waits":        {"create/vcpus=8/ids=dense/waits", "base", 0, "grace-periods", 0},
		"container":    {"memory/vcpus=8/ids=dense", "base", 584, "B/vm", 0},
		"object":       {"memory/struct=kvm_vcpu", "patched", 9232, "B", 0},
		"sizeof":       {"sizeof/struct=kvm", "base", 10240, "B", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := figure(test.figure, test.column)
			if f.Value != test.value || f.Unit() != test.unit || f.Low != f.Value-test.spread || f.High != f.Value+test.spread {
				t.Errorf("expected %v %s, found %v %s (%v to %v)",
					test.value, test.unit, f.Value, f.Unit(), f.Low, f.High)
			}
			if len(f.Boots) != 2 || len(f.Values) != 2 {
				t.Errorf("expected a value of each of 2 boots, found %v of %v", f.Values, f.Boots)
			}
		})
	}
	// The baseline first, its repetition after it.
	var columns []string
	for _, f := range r.Figures {
		columns = append(columns, f.Column)
	}
	if diff := cmp.Diff([]string{"base", "base-again", "patched"}, slices.Compact(columns)); diff != "" {
		t.Errorf("order of columns (-want +got)\n%s", diff)
	}
}

func TestDrawTimes(t *testing.T) {
	r := small(KVM)
	// One boot of the two is slower throughout.
	for i := range r.Boots[5].Loops {
		l := &r.Boots[5].Loops[i]
		for j := range l.Once {
			l.Once[j], l.Twice[j] = l.Once[j]*2, l.Twice[j]*2
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	f, _ := find(r, "get/vcpus=8/ids=dense", "base", KVM)
	if f.Unit() != "ns/op" || f.Value != 112.5 || f.Low != 75 || f.High != 150 {
		t.Errorf("expected 112.5 ns/op, 75 to 150, found %v %s, %v to %v", f.Value, f.Unit(), f.Low, f.High)
	}
}

// Results of a version that did not count memory are drawn without it.
func TestDrawWithoutMemory(t *testing.T) {
	r := small(ICount)
	for i := range r.Boots {
		r.Boots[i].Memory = nil
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	if f, ok := find(r, "memory/vcpus=8/ids=dense", "base", ICount); ok {
		t.Errorf("expected no figure of memory, found %+v", f)
	}
}

func TestDrawWaits(t *testing.T) {
	r := small(ICount)
	for i := range r.Boots {
		r.Boots[i].Creates[0].Waits = map[string]uint64{"synchronize_srcu": 2, "synchronize_rcu": 1}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	if f, _ := find(r, "create/vcpus=8/ids=dense/waits", "base", ICount); f.Value != 3 {
		t.Errorf("expected 3 grace periods, found %v", f.Value)
	}
}

// An interrupt that hits one creation does not move the figure.
func TestDrawCreationHit(t *testing.T) {
	r := small(ICount)
	want, _ := find(r, "create/vcpus=8/ids=dense/at=0", "base", ICount)
	r.Boots[2].Creates[0].Nanos[7] += 9000
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	got, _ := find(r, "create/vcpus=8/ids=dense/at=0", "base", ICount)
	if got.Value != want.Value {
		t.Errorf("expected %v, found %v", want.Value, got.Value)
	}
}

func TestDrawRefuses(t *testing.T) {
	first := func(b *Boot, op measure.Op) *measure.Loop {
		i := slices.IndexFunc(b.Loops, func(l measure.Loop) bool { return l.Op == op })
		return &b.Loops[i]
	}
	for name, test := range map[string]struct {
		method Method
		spoil  func(b *Boot)
		says   string
	}{
		"2N is not twice N": {KVM, func(b *Boot) {
			l := first(b, measure.Get)
			l.Twice[1] = l.Once[1] * 22 / 10
		}, "2.200 times"},
		"the guest was paused": {KVM, func(b *Boot) { first(b, measure.Walk).Once[0] += 1e9 }, "walk of vcpus=8/ids=dense: 2N passes"},
		"count changes": {ICount, func(b *Boot) {
			l := first(b, measure.Get)
			l.Once[1]++
			l.Twice[1] += 2
		}, "the same count every time"},
		"clock went back":  {KVM, func(b *Boot) { first(b, measure.ByID).Once[0] = -5 }, "found -5 ns"},
		"runs are missing": {ICount, func(b *Boot) { first(b, measure.Get).Twice = nil }, "found 2 and 0"},
		"no pass":          {ICount, func(b *Boot) { first(b, measure.Get).Passes = 0 }, "get of"},
		"no nop loop":      {ICount, func(b *Boot) { b.Loops = b.Loops[1:] }, "the loop's own cost was not measured"},
		"nop of another VM": {ICount, func(b *Boot) { first(b, measure.Nop).VM.VCPUs = 9 },
			"the loop's own cost was not measured"},
		"creation is missing": {ICount, func(b *Boot) { b.Creates[0].Nanos = b.Creates[0].Nanos[1:] },
			"as many creations as vCPUs, found 7"},
		"parts are more than all": {ICount, func(b *Boot) { b.Creates[0].ArchNanos = []int64{1e9, 1, 1, 1, 1, 1, 1, 1} },
			"in kvm_arch_vcpu_create() and 0 ns of waiting"},
		"waited for longer than it took": {ICount, func(b *Boot) {
			b.Creates[0].ArchNanos = make([]int64, 8)
			b.Creates[0].WaitNanos = map[string]int64{"synchronize_srcu": 1e9}
		}, "1000000000 ns of waiting"},
		"creation in no time":      {ICount, func(b *Boot) { b.Creates[0].Nanos[3] = 0 }, "found 0 ns for vCPU 3"},
		"no sizes":                 {ICount, func(b *Boot) { b.Sizes = measure.Sizes{} }, "sizes are missing"},
		"no memory of a structure": {ICount, func(b *Boot) { b.Memory[0].KVM = 0 }, "expected bytes of every object"},
		"memory of no object":      {ICount, func(b *Boot) { b.Memory[0].Objects = 0 }, "expected bytes of every object"},
		"objects without memory":   {ICount, func(b *Boot) { b.Memory[0].Container = 0 }, "expected bytes of every object"},
		"a structure grows": {ICount, func(b *Boot) {
			b.Memory = append(b.Memory, b.Memory[0])
			b.Memory[1].VCPU++
		}, "found 16384 and 9233"},
		"kernel is not listed": {ICount, func(b *Boot) { b.Kernel = "new" },
			`kernel "new" is not listed`},
	} {
		t.Run(name, func(t *testing.T) {
			r := small(test.method)
			test.spoil(&r.Boots[1])
			err := r.Draw()
			checkInvalid(t, err, test.says)
			if err != nil && !strings.Contains(err.Error(), "boot 1") {
				t.Errorf("expected an error that names boot 1, found: %v", err)
			}
		})
	}
}

// TestGrowth is told a line from a parabola.
func TestGrowth(t *testing.T) {
	for name, tt := range map[string]struct {
		vcpus int
		cost  func(i int) int64
		want  float64 // 0 if there is none
	}{
		"too few":                  {63, func(int) int64 { return 1 }, 0},
		"flat":                     {64, func(int) int64 { return 44_000 }, 1},
		"flat, first ones dear":    {1024, func(i int) int64 { return 44_000 + int64(max(0, 100-i))*10_000 }, 1},
		"flat, interrupts":         {1024, func(i int) int64 { return 44_000 + int64(i%7/6)*9_000 }, 1},
		"a scan":                   {1024, func(i int) int64 { return int64(i) }, 959.5 / 191.5},
		"a scan of what is dearer": {1024, func(i int) int64 { return 44_000 + 164*int64(i) }, (44_000 + 164*959.5) / (44_000 + 164*191.5)},
		"getting cheaper":          {64, func(i int) int64 { return int64(1000 / (1 + i/32)) }, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			var nanos []int64
			for i := range tt.vcpus {
				nanos = append(nanos, tt.cost(i))
			}
			got, ok := growth(nanos)
			if ok != (tt.want != 0) || math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("expected %v, found %v (%v)", tt.want, got, ok)
			}
		})
	}
}

// TestSources follows each figure's pointers in the JSON of a real run to samples
// of the VM that the figure names.
func TestSources(t *testing.T) {
	data, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	r := readFixture(t)
	for i, b := range r.Boots {
		sources, err := b.Sources()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Figures {
			if f.Column != b.Column() || f.Name() == "probe/loop" {
				continue
			}
			found, ok := follow(all, fmt.Sprintf("/boots/%d%s", i, sources[f.Key])).(map[string]any)
			if !ok || sources[f.Key] == "" {
				t.Errorf("%s: %q leads to nothing", f.Name(), sources[f.Key])
				continue
			}
			op, rest, _ := strings.Cut(f.Name(), "/")
			if got := found["op"]; got != nil && got != op {
				t.Errorf("%s leads to a loop that does %v", f.Name(), got)
			}
			if vm, ok := found["vm"].(map[string]any); ok && strings.HasPrefix(rest, "vcpus=") && strings.Contains(rest, "/ids=") {
				if want := fmt.Sprintf("vcpus=%v/ids=%v", vm["vcpus"], vm["ids"]); !strings.HasPrefix(rest+"/", want+"/") {
					t.Errorf("%s leads to samples of %s", f.Name(), want)
				}
			}
		}
	}
	if _, err := (Boot{Which: Which{Method: ICount}}).Sources(); err == nil {
		t.Error("expected an error of a boot without samples, found none")
	}
}

// follow follows a JSON pointer, to nil if it leads nowhere.
func follow(v any, pointer string) any {
	for _, step := range strings.Split(pointer, "/")[1:] {
		switch of := v.(type) {
		case map[string]any:
			v = of[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(of) {
				return nil
			}
			v = of[n]
		default:
			return nil
		}
	}
	return v
}
