// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

var update = flag.Bool("update", false, "write the golden files")

// fixture is a real run, as bench wrote it but for the directories in QEMU's command
// line and the indentation.
const fixture = "testdata/results.json"

func readFixture(t testing.TB) *Results {
	t.Helper()
	r, err := Read(fixture)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// find returns the figure of this name, as benchstat has it.
func find(r *Results, name, column string, method Method) (Figure, bool) {
	for _, f := range r.Figures {
		if f.Name() == name && f.Column == column && f.Method == method {
			return f, true
		}
	}
	return Figure{}, false
}

// named are values by the names that benchstat has for them.
func named(t *testing.T, values []value) map[string]value {
	t.Helper()
	out := make(map[string]value)
	for _, v := range values {
		if err := v.key.Check(); err != nil {
			t.Error(err)
		}
		name := v.key.Name()
		if _, ok := out[name]; ok || v.from == "" && name != "probe/loop" {
			t.Errorf("%s: expected it once, with where it is from, found %+v", name, v)
		}
		out[name] = v
	}
	return out
}

// golden compares with a file under testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); run the test with -update if that is right\n%s", name, diff)
	}
}

func TestWriteAndRead(t *testing.T) {
	want := readFixture(t)
	name := filepath.Join(t.TempDir(), "results.json")
	// What was there is replaced.
	for range 2 {
		want.Format = 0
		if err := want.Write(name); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	want.Format = Format
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read other than written (-want +got)\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("expected the results alone, found %v, %v", left, err)
	}
}

func TestWriteFails(t *testing.T) {
	for name, file := range map[string]string{
		"no directory": filepath.Join(t.TempDir(), "none", "results.json"),
		"a directory":  t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			if err := (&Results{}).Write(file); err == nil {
				t.Error("expected an error")
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".results-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestReadNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(name, []byte(`{"format": 119}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Read(name)
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "other.json") {
		t.Errorf("expected ErrFormat and the file's name, found %v", err)
	}
	if _, err = Read(name + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expected that there is no such file, found %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	changed := func(change func(*Results)) string {
		r := small(ICount)
		change(r)
		r.Format = Format
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, test := range map[string]struct {
		input string
		says  string
	}{
		"nothing":         {"", "unexpected end"},
		"no JSON":         {"goos: linux\n", "invalid character"},
		"cut off":         {`{"format": 11, "boots": [`, "unexpected end"},
		"two values":      {`{"format": 11} {}`, "after top-level value"},
		"no version":      {`{}`, fmt.Sprintf("expected format %d, found 0", Format)},
		"other version":   {fmt.Sprintf(`{"format": %d}`, Format+1), fmt.Sprintf("expected format %d, found %d", Format, Format+1)},
		"discarded of no": {changed(func(r *Results) { r.Discarded = []Discarded{{Which: Which{Kernel: "new"}}} }), "discarded boot 0: kernel \"new\""},
		"other type":      {`{"format": 11, "boots": {}}`, "cannot unmarshal"},
		"number too big":  {`{"format": 11, "figures": [{"value": 1e999}]}`, "cannot unmarshal"},
		"kernel twice":    {changed(func(r *Results) { r.Kernels[1].Name = "base" }), "a name of its own"},
		"kernel nameless": {changed(func(r *Results) { r.Kernels[0].Name = "" }), "a name of its own"},
		"boot of another": {changed(func(r *Results) { r.Boots[0].Kernel = "new" }), `boot 0: kernel "new" is not listed`},
		"unknown method":  {changed(func(r *Results) { r.Boots[1].Method = "abacus" }), `boot 1: unknown method "abacus"`},
		"figure's method": {changed(func(r *Results) { r.Figures[0].Method = "" }), `unknown method ""`},
		"figure's column": {changed(func(r *Results) { r.Figures[0].Column = "new" }), `column "new" is of no kernel`},
		"no operation":    {changed(func(r *Results) { r.Figures[0].Key = figure.Key{} }), `unknown operation ""`},
		"other operation": {changed(func(r *Results) { r.Figures[0].Key.Op = "destroy" }), `unknown operation "destroy"`},
		"no vCPUs":        {changed(func(r *Results) { r.Figures[1].Key.VCPUs = 0 }), `{vcpus}: expected a known value for figures of "by_id", found "vcpus=0"`},
		"other IDs":       {changed(func(r *Results) { r.Figures[1].Key.IDs = "a\nb" }), `{ids}: expected a known value`},
		"not its member":  {changed(func(r *Results) { r.Figures[1].Key.Object = "kvm" }), `{object}: not a member of figures`},
		"no values":       {changed(func(r *Results) { r.Figures[0].Values = nil }), "found 0 for 2"},
		"value too many":  {changed(func(r *Results) { r.Figures[0].Values = []float64{1, 2, 3} }), "found 3 for 2"},
		"no such boot":    {changed(func(r *Results) { r.Figures[0].Boots[1] = 99 }), "no boot 99"},
		"boot below 0":    {changed(func(r *Results) { r.Figures[0].Boots[1] = -1 }), "no boot -1"},
		"figure twice":    {changed(func(r *Results) { r.Figures[1] = r.Figures[0] }), "a second one"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(test.input))
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("expected ErrFormat, found %v", err)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("expected an error that says %q, found: %v", test.says, err)
			}
		})
	}
}

// failing is a reader whose medium fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestParseKeepsTheReadersError(t *testing.T) {
	if _, err := Parse(failing{}); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrFormat) {
		t.Errorf("expected the reader's own error, found %v", err)
	}
}

func TestFind(t *testing.T) {
	r := small(ICount)
	get := figure.VM(figure.Get, measure.VM{VCPUs: 8, IDs: measure.Dense})
	if f, ok := r.Find(get, "patched", ICount); !ok || f.Value != 18 {
		t.Errorf("expected 18, found %v, %v", f.Value, ok)
	}
	other := get
	other.VCPUs = 9
	for name, p := range map[string]Place{
		"key": {other, "base", ICount}, "column": {get, "new", ICount}, "method": {get, "base", KVM},
	} {
		if f, ok := r.Find(p.Key, p.Column, p.Method); ok {
			t.Errorf("another %s: expected none, found %+v", name, f)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, method := range Methods {
		r := small(method)
		r.Format = Format
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format": 11}`))
	f.Add([]byte(`{"format": 11, "kernels": [{"name": "k"}], "boots": [{"kernel": "k", "method": "kvm", "creates": [{"vm": {"vcpus": 1}, "ns": [1]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("expected ErrFormat, found %v", err)
			}
			return
		}
		// Whatever is accepted can be shown, drawn and kept.
		if err := r.WriteBench(io.Discard); err != nil {
			t.Fatalf("write benchmarks: %v", err)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("write: %v", err)
		}
		if _, err := Parse(bytes.NewReader(again)); err != nil {
			t.Fatalf("read what was written: %v", err)
		}
		if err := r.Draw(); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatalf("draw: expected ErrInvalid, found %v", err)
		}
	})
}

// small returns results of three boots, one of the baseline twice: a VM of 8
// vCPUs, lookups that cost 75 and 18 on the baseline and the patched kernel, 5
// of them the loop's own, and creations that cost 45,000 and the ordinal.
func small(method Method) *Results {
	r := &Results{
		Host:    Host{CPU: "Test Processor", Cores: 2, QEMU: "QEMU emulator version 7.2.22"},
		Kernels: []Kernel{{Name: "base", Release: "7.3.4", HZ: 250}, {Name: "patched", Release: "7.3.4", Series: "abc", HZ: 250}},
	}
	// The baseline does not come first in time.
	for round := range 2 {
		r.Boots = append(r.Boots, smallBoot("patched", false, method, round), smallBoot("base", true, method, round),
			smallBoot("base", false, method, round))
	}
	if err := r.Draw(); err != nil {
		panic(err)
	}
	return r
}

func smallBoot(kernel string, again bool, method Method, round int) Boot {
	b := Boot{Which: Which{kernel, again, round, method}, Sizes: measure.Sizes{KVM: 10240, VCPU: 9216}}
	cost := int64(75)
	if kernel == "patched" {
		cost = 18
	}
	vm := measure.VM{VCPUs: 8, IDs: measure.Dense}
	for _, op := range []measure.Op{measure.Nop, measure.ByID, measure.Get, measure.Walk} {
		c := cost + 5
		switch op {
		case measure.Nop:
			c = 5
		case measure.Walk:
			c = cost
		}
		b.Loops = append(b.Loops, loopOf(vm, op, c))
	}
	create := measure.Create{VM: vm}
	for i := range vm.VCPUs {
		create.Nanos = append(create.Nanos, 45000+int64(i))
		create.ArchNanos = append(create.ArchNanos, 40000)
	}
	b.Creates = []measure.Create{create}
	b.Memory = []measure.Memory{{VM: vm, Container: 584, Objects: 1, KVM: 16384, VCPU: 9232}}
	return b
}

// loopOf is a loop of 100 passes over 8 numbers that cost so much each.
func loopOf(vm measure.VM, op measure.Op, cost int64) measure.Loop {
	const around, passes, numbers = 90, 100, 8
	once, twice := around+passes*numbers*cost, around+2*passes*numbers*cost
	return measure.Loop{
		VM: vm, Shape: measure.Shape{Op: op}, Numbers: numbers, Passes: passes,
		Once: []int64{once, once}, Twice: []int64{twice, twice},
	}
}
