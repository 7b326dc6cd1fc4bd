// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// compared are results of four designs, the last of which is a limit. A figure of
// all columns is 100 of the baseline, 20 of the main series, 10 of the rival and 5
// of the limit.
func compared(t testing.TB) *results.Results {
	t.Helper()
	r := &results.Results{}
	values := map[string]float64{"base": 100, "patched": 20, "kept": 10, "array": 5}
	for _, name := range []string{"base", "patched", "kept", "array"} {
		d := &results.Design{About: "what " + name + " is", Lookups: "anywhere", Added: int(values[name])}
		if name == "patched" {
			d.Architectures = []string{"arm64", "x86"}
		}
		r.Kernels = append(r.Kernels, results.Kernel{Name: name, Limit: name == "array", Design: d})
		for _, m := range []figure.Method{figure.ICount, figure.Native} {
			r.Boots = append(r.Boots, results.Boot{Which: results.Which{Kernel: name, Method: m}})
		}
	}
	for _, c := range figure.Columns {
		for _, k := range r.Kernels {
			key := c.Of
			if key.VCPUs == 0 {
				key.VCPUs = 1024
			}
			set(t, r, key, k.Name, c.Method, values[k.Name])
			if c.Beyond.Op != "" {
				set(t, r, c.Beyond, k.Name, c.Method, 8192)
			}
		}
	}
	return r
}

// set sets a figure, which it adds if there is none.
func set(t testing.TB, r *results.Results, key figure.Key, column string, m figure.Method, value float64) {
	t.Helper()
	p := results.Place{Key: key, Column: column, Method: m}
	boot := slices.IndexFunc(r.Boots, func(b results.Boot) bool { return b.Kernel == column && b.Method == m })
	f := results.Figure{Place: p, Value: value, Low: value, High: value, Boots: []int{boot}, Values: []float64{value}}
	if i := slices.IndexFunc(r.Figures, func(f results.Figure) bool { return f.Place == p }); i >= 0 {
		r.Figures[i] = f
	} else {
		r.Figures = append(r.Figures, f)
	}
}

func designs(t testing.TB, r *results.Results) *Designs {
	t.Helper()
	d, err := NewDesigns(r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDesigns shows the same at the terminal and in Markdown.
func TestDesigns(t *testing.T) {
	r := compared(t)
	var text, markdown bytes.Buffer
	if err := designs(t, r).WriteText(&text, Files{JSON: "results.json"}, false); err != nil {
		t.Fatal(err)
	}
	if err := DesignsMarkdown(&markdown, r); err != nil {
		t.Fatal(err)
	}
	var mail bytes.Buffer
	if err := Mail(&mail, r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(mail.String()) {
		if len([]rune(line)) > mailWidth+1 {
			t.Errorf("expected at most %d columns, found %q", mailWidth, line)
		}
	}
	golden(t, "designs-mail.txt", mail.Bytes())
	golden(t, "designs.txt", text.Bytes())
	golden(t, "designs.md", markdown.Bytes())
	for line := range strings.Lines(text.String()) {
		if len([]rune(line)) > lineWidth+1 {
			t.Errorf("expected at most %d columns, found %q", lineWidth, line)
		}
	}
	page := string(render(t, "html", r))
	for _, want := range []string{`<h2 id="designs">`, `colspan="4">instructions, 1024 vCPUs</th>`, `<td class="n better"><a href="#f`, "<p>" + designs(t, r).Sentence + "</p>"} {
		if !strings.Contains(page, want) {
			t.Errorf("expected %s in the page, found none", want)
		}
	}
}

// TestDesignsSentence changes each figure: the sentence and the answer follow.
func TestDesignsSentence(t *testing.T) {
	was := designs(t, compared(t))
	for _, c := range was.Columns {
		if c.Key == nil || c.Wins == "" {
			continue
		}
		r := compared(t)
		set(t, r, *c.Key, "patched", c.Method, 2)
		is := designs(t, r)
		first := "patched is first at " + c.with("2")
		if is.Sentence == was.Sentence || !strings.Contains(is.Sentence, first) {
			t.Errorf("expected a sentence that says %q, found %q", first, is.Sentence)
		}
		if want := c.Wins + " (2, not 10)"; !strings.Contains(is.Answer, "What speaks for patched instead of kept: "+want) {
			t.Errorf("expected an answer that has %q, found %q", want, is.Answer)
		}
	}
}

// TestDesignsAlike: what repetition does not tell apart is no win.
func TestDesignsAlike(t *testing.T) {
	hot := figure.Key{Op: figure.Cached, VCPUs: 1024, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.ReadID, State: measure.Hot}
	create := figure.Key{Op: figure.CreateAll, VCPUs: 1024, IDs: measure.Dense}
	r := compared(t)
	set(t, r, hot, "patched", figure.Native, 10.5)
	i := slices.IndexFunc(r.Figures, func(f results.Figure) bool { return f.Key == hot && f.Column == "kept" })
	r.Figures[i].High = 10.5
	set(t, r, create, "patched", figure.ICount, 10.5) // less than runs differ by
	for _, want := range []string{"patched and kept are first at creating all vCPUs (10 instructions) and walks that read vcpu_id in the caches (10 ns a vCPU)"} {
		if s := designs(t, r).Sentence; !strings.Contains(s, want) {
			t.Errorf("expected %q, found %q", want, s)
		}
	}
	set(t, r, create, "patched", figure.ICount, 10.7)
	r.Figures[i].High = 10.4
	if s := designs(t, r).Sentence; strings.Contains(s, "are first at") {
		t.Errorf("expected no design to share anything, found %q", s)
	}
}

// TestDesignsLevel: what most designs share is said once, without a list of them.
func TestDesignsLevel(t *testing.T) {
	r := compared(t)
	create := figure.Key{Op: figure.CreateAll, VCPUs: 1024, IDs: measure.Dense}
	for i := range r.Kernels {
		r.Kernels[i].Limit = false
	}
	for _, name := range []string{"patched", "kept", "array"} {
		set(t, r, create, name, figure.ICount, 10)
	}
	s := designs(t, r).Sentence
	if !strings.Contains(s, "; most are level at creating all vCPUs.") || strings.Contains(s, "creating all vCPUs (") {
		t.Errorf("expected most to be level at creating all vCPUs, found %q", s)
	}
}

// TestDesignsMissing: a cell without a number says so, and a note why.
func TestDesignsMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*results.Results)
		why    string
	}{
		"not built": {func(r *results.Results) {
			r.Omitted = []results.Omitted{{Method: figure.Native, Kernel: "kept", Why: "gcc: no"}}
		}, "gcc: no"},
		"discarded": {func(r *results.Results) {
			r.Discarded = []results.Discarded{{Which: results.Which{Kernel: "kept", Method: figure.Native}, Why: "it was loud"}}
		}, "it was discarded each time, first because it was loud"},
		"interrupted": {func(r *results.Results) { r.Interrupted = true }, "the run was ended before"},
		"not asked":   {func(*results.Results) {}, "it was not part of the run"},
	} {
		t.Run(name, func(t *testing.T) {
			r := compared(t)
			tt.change(r)
			r.Figures = slices.DeleteFunc(r.Figures, func(f results.Figure) bool { return f.Method == figure.Native && f.Column == "kept" })
			d := designs(t, r)
			cells := d.Rows[2].Cells
			n := 0
			for i, c := range cells {
				if d.Columns[i].Method != figure.Native {
					continue
				}
				n++
				if c.Value != nil || c.Text != notMeasured || c.Why != tt.why {
					t.Errorf("expected %q, because of %q, found %+v", notMeasured, tt.why, c)
				}
			}
			if notes := strings.Join(d.Notes, " "); n != 5 || !strings.Contains(notes, "kept (walk that reads vcpu_id, ns a vCPU of 1024, hot)") || !strings.Contains(notes, tt.why) {
				t.Errorf("expected the reason in the notes, found %q", notes)
			}
			if !strings.Contains(d.Sentence, "patched is first at walks that read vcpu_id in the caches (20 ns a vCPU)") {
				t.Errorf("expected the others to be compared, found %q", d.Sentence)
			}
		})
	}
}

// TestDesignsMemory: what struct kvm takes more is the design's.
func TestDesignsMemory(t *testing.T) {
	r := compared(t)
	set(t, r, figure.Key{Op: figure.MemoryObject, Object: "kvm"}, "kept", figure.ICount, 8192+500)
	set(t, r, figure.Key{Op: figure.MemoryObject, Object: "kvm_vcpu"}, "base", figure.ICount, 7400)
	set(t, r, figure.Key{Op: figure.MemoryObject, Object: "kvm_vcpu"}, "patched", figure.ICount, 7424)
	d := designs(t, r)
	if !strings.Contains(d.Answer, "memory with 1024 vCPUs (20, not 510)") {
		t.Errorf("expected what struct kvm takes more to count, found %q", d.Answer)
	}
	if notes := strings.Join(d.Notes, " "); !strings.Contains(notes, "the object of a vCPU is 24 bytes larger in patched.") {
		t.Errorf("expected a note on larger vCPUs, found %q", notes)
	}
}

// TestDesignsJSON has all that the table has.
func TestDesignsJSON(t *testing.T) {
	data, err := json.Marshal(designs(t, compared(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"sentence":"Of base`, `"architectures":["arm64","x86"]`, `"text":"+20 -0","value":20`, `"key":{"op":"get","vcpus":1024,"ids":"dense"},"method":"tcg-icount"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("expected %s, found %s", want, data)
		}
	}
}

// TestAnswersOfMethod: what only another method gave has no line in a method's table.
func TestAnswersOfMethod(t *testing.T) {
	s := newSheet(compared(t))
	if len(s.methods) != 2 {
		t.Fatalf("expected counts and times, found %v", s.methods)
	}
	for _, m := range s.methods {
		all := s.answers(m)
		if len(all) == 0 {
			t.Errorf("%s: expected lines, found none", m)
		}
		for _, a := range all {
			if len(a.Base) == 0 {
				t.Errorf("%s: %s %s: expected a figure, found none", m, a.Code, a.What)
			}
		}
	}
}

// TestNoDesigns: there is nothing to compare with one.
func TestNoDesigns(t *testing.T) {
	r := compared(t)
	r.Kernels[0].Design = nil
	if _, err := NewDesigns(r); !errors.Is(err, ErrNoDesigns) {
		t.Errorf("expected ErrNoDesigns, found %v", err)
	}
	if page := string(render(t, "html", r)); strings.Contains(page, `id="designs"`) {
		t.Error("expected no comparison in the page")
	}
}

// TestDesignsPicture: a line a design in two panels, and a bar a design and state.
func TestDesignsPicture(t *testing.T) {
	r := compared(t)
	for _, k := range r.Kernels {
		for _, op := range []figure.Op{figure.Get, figure.Walk} {
			set(t, r, figure.Key{Op: op, VCPUs: 1, IDs: measure.Dense}, k.Name, figure.ICount, 70)
		}
	}
	set(t, r, figure.Key{Op: figure.Cached, VCPUs: 1024, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.ReadID, State: measure.Hot}, "kept", figure.Native, 0.4)
	var b bytes.Buffer
	if err := Picture(&b, r); err != nil {
		t.Fatal(err)
	}
	golden(t, "designs.svg", b.Bytes())
	picture := b.String()
	for _, want := range []string{
		"kvm_get_vcpu(): base: 70.0 at 1, 100.0 at 1024.", "kept, hot: 0.4.", "kept, flushed: 10.0.", ".k3{--of:#a1337f}", ".k3{--of:#f08fd0}",
	} {
		if !strings.Contains(picture, want) {
			t.Errorf("expected %q, found %s", want, picture)
		}
	}
	if n := strings.Count(picture, "<rect "); n != 3*len(r.Kernels) {
		t.Errorf("expected a bar of each design in each state, found %d", n)
	}
}
