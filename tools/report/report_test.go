// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

var update = flag.Bool("update", false, "write the golden files")

// fixture is a real run, as bench wrote it but for the directories in QEMU's command
// line and the indentation.
const fixture = "../results/testdata/results.json"

func readFixture(t testing.TB) *results.Results {
	t.Helper()
	r, err := results.Read(fixture)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// withTimes adds a method of nanoseconds to a real run: made up, because
// machines on which KVM nests are rare. Every boot has its own speed.
func withTimes(t testing.TB, r *results.Results) *results.Results {
	t.Helper()
	for i, b := range slices.Clone(r.Boots) {
		b.Method = results.KVM
		scale := func(in []int64) []int64 {
			var out []int64
			for _, v := range in {
				out = append(out, v*int64(100+i)/300)
			}
			return out
		}
		b.Loops = slices.Clone(b.Loops)
		for j, l := range b.Loops {
			b.Loops[j].Once, b.Loops[j].Twice = scale(l.Once), scale(l.Twice)
		}
		b.Creates = slices.Clone(b.Creates)
		for j, c := range b.Creates {
			b.Creates[j].Nanos, b.Creates[j].ArchNanos = scale(c.Nanos), scale(c.ArchNanos)
		}
		r.Boots = append(r.Boots, b)
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// upTo leaves the VMs of at most so many vCPUs.
func upTo(t testing.TB, r *results.Results, vcpus int) *results.Results {
	t.Helper()
	for i := range r.Boots {
		b := &r.Boots[i]
		b.Loops = slices.DeleteFunc(b.Loops, func(l measure.Loop) bool { return l.VM.VCPUs > vcpus })
		b.Memory = slices.DeleteFunc(b.Memory, func(m measure.Memory) bool { return m.VM.VCPUs > vcpus })
		b.Creates = slices.DeleteFunc(b.Creates, func(c measure.Create) bool { return c.VM.VCPUs > vcpus })
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
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

// writers are all that show results.
var writers = map[string]func(io.Writer, *results.Results) error{
	"table":    func(w io.Writer, r *results.Results) error { return Table(w, r, false) },
	"colours":  func(w io.Writer, r *results.Results) error { return Table(w, r, true) },
	"markdown": Markdown,
	"html":     HTML,
	"brief":    func(w io.Writer, r *results.Results) error { return Brief(w, r, Files{"a.json", "b", "c"}, false) },
}

// longWriters are those that show everything.
func longWriters() map[string]func(io.Writer, *results.Results) error {
	out := maps.Clone(writers)
	delete(out, "brief")
	return out
}

func render(t testing.TB, name string, r *results.Results) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writers[name](&b, r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b.Bytes()
}

// broken is a disk that is full.
type broken struct{}

var errFull = errors.New("disk full")

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestWritersReturnTheError(t *testing.T) {
	r := readFixture(t)
	for name, write := range writers {
		if err := write(broken{}, r); !errors.Is(err, errFull) {
			t.Errorf("%s: expected the writer's error, found %v", name, err)
		}
	}
}

// Results with holes are shown as far as they go.
func TestWritersTakeAnything(t *testing.T) {
	for name, spoil := range map[string]func(*results.Results){
		"empty":            func(r *results.Results) { *r = results.Results{} },
		"no figures":       func(r *results.Results) { r.Figures = nil },
		"no boots":         func(r *results.Results) { r.Boots, r.Figures = nil, nil },
		"baseline alone":   func(r *results.Results) { only(r, "base", "base-again") },
		"no A/A":           func(r *results.Results) { only(r, "base", "patched") },
		"patched alone":    func(r *results.Results) { only(r, "patched") },
		"no raw samples":   func(r *results.Results) { r.Boots = nil },
		"no architecture":  func(r *results.Results) { r.Boots[0].Creates[0].ArchNanos = nil },
		"a figure missing": func(r *results.Results) { r.Figures = slices.Delete(r.Figures, 3, 4) },
		"zero": func(r *results.Results) {
			for i := range r.Figures {
				r.Figures[i].Value = 0
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := readFixture(t)
			spoil(r)
			for writer := range writers {
				if len(render(t, writer, r)) == 0 {
					t.Errorf("%s: wrote nothing", writer)
				}
			}
		})
	}
}

// only leaves the figures of these columns.
func only(r *results.Results, columns ...string) {
	r.Figures = slices.DeleteFunc(r.Figures, func(f results.Figure) bool { return !slices.Contains(columns, f.Column) })
}

// Every figure that the table of operations shows is in what is written.
func TestWritersShowEverything(t *testing.T) {
	r := withStalls(t, withPaths(t, readFixture(t)), "")
	shown := make(map[figure.Key]bool)
	for _, g := range newSheet(r).groups {
		for _, row := range g.rows() {
			shown[row.key] = true
		}
	}
	for _, f := range r.Figures {
		op := f.Key.Operation()
		ordinal := f.Key.Op == figure.Create && f.Key.VCPUs != 1024
		if want := op.Shown(f.Key) && !ordinal; shown[f.Key] != want {
			t.Errorf("%s: expected a row: %v, found one: %v", f.Name(), want, shown[f.Key])
		}
	}
}

func TestWritersSayWhatIsWrong(t *testing.T) {
	r := readFixture(t)
	r.Interrupted = true
	i := slices.IndexFunc(r.Figures, func(f results.Figure) bool { return f.Name() == "get/vcpus=64/ids=dense" })
	r.Figures[i].High++
	for writer := range longWriters() {
		got := bytes.ToLower(render(t, writer, r))
		for _, want := range []string{"interrupted", "not the same in every boot", "get/vcpus=64/ids=dense"} {
			if !bytes.Contains(got, []byte(want)) {
				t.Errorf("%s does not say %q", writer, want)
			}
		}
	}
}

// Boots that were thrown away are said to be.
func TestWritersSayWhatWasThrownAway(t *testing.T) {
	r := readFixture(t)
	r.Discarded = []results.Discarded{
		{Which: r.Boots[0].Which, Why: "probe missed calls: no event"},
		{Which: results.Which{Kernel: "patched", Method: results.Native, Round: 4}, Why: "2N passes cost 2.2 times what N cost"},
	}
	for writer := range longWriters() {
		got := strings.Join(strings.Fields(string(render(t, writer, r))), " ")
		want := "2 boots thrown away and done again: " + r.Boots[0].Column() + " in round 1 (TCG icount): probe missed calls: no event;" +
			" patched in round 5 (user space): 2N passes cost 2.2 times what N cost."
		if !strings.Contains(strings.ReplaceAll(got, `\`, ""), want) {
			t.Errorf("%s does not say %q", writer, want)
		}
	}
}

// FuzzWriters shows whatever results.Parse accepts.
func FuzzWriters(f *testing.F) {
	f.Add([]byte(`{"format": 11}`))
	f.Add([]byte(`{"format": 11, "kernels": [{"name": "base"}, {"name": "new"}], "boots": [{"kernel": "base", "method": "kvm",
		"creates": [{"vm": {"vcpus": 2, "ids": "dense"}, "ns": [5, 7], "arch_ns": [1, 2]}]}], "figures": [
		{"key": {"op": "get", "vcpus": 2, "ids": "dense"}, "column": "base", "method": "kvm", "value": 1.5, "boots": [0], "values": [1.5]},
		{"key": {"op": "create", "vcpus": 2, "ids": "dense"}, "column": "new", "method": "tcg-icount", "value": -1e300, "boots": [0], "values": [1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := results.Parse(bytes.NewReader(data))
		if err != nil {
			return
		}
		for name := range writers {
			render(t, name, r)
		}
	})
}
