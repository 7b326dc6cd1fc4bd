// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// Comparison tells two measurements apart, figure by figure.
type Comparison struct {
	Old Measured `json:"old"`
	New Measured `json:"new"`
	// Obstacles are the conditions that differ between the two. Figures that
	// depend on them are not compared.
	Obstacles []Obstacle `json:"obstacles,omitempty"`
	// Figures are those of either, in the order of the new measurement; those
	// that only the old one has come last.
	Figures []Compared `json:"figures"`
}

// Measured is one of the two measurements.
type Measured struct {
	Created     string            `json:"created"`           // date and time
	Tool        string            `json:"tool"`              // revision
	Series      map[string]string `json:"series"`            // id of the patches, by kernel
	Running     string            `json:"running,omitempty"` // the kernel, if it was the machine's own
	Interrupted bool              `json:"interrupted,omitempty"`
}

// Obstacle is a condition that differs and should not.
type Obstacle struct {
	// Kernel or Method say which figures it is about: those of a kernel, or
	// those of a method.
	Kernel string         `json:"kernel,omitempty"`
	Method results.Method `json:"method,omitempty"`
	What   string         `json:"what"` // "compiler"
	Old    string         `json:"old"`
	New    string         `json:"new"`
}

// Compared is one figure of both measurements.
type Compared struct {
	Key     figure.Key     `json:"key"`
	Name    string         `json:"name"`
	Kernel  string         `json:"kernel"`
	Method  results.Method `json:"method"`
	Unit    string         `json:"unit"`
	Old     *float64       `json:"old"` // nil if it was not measured
	New     *float64       `json:"new"`
	Verdict Verdict        `json:"verdict"`
	Change  string         `json:"change,omitempty"`
	Why     string         `json:"why,omitempty"` // the reason why the two are not comparable

	decimals int
}

// ExactlyWorse says that a count that is the same in every run got worse.
func (d Compared) ExactlyWorse() bool {
	return d.Verdict == Worse && d.Key.Operation().IsExact(d.Method)
}

// Compare tells two measurements apart. Noise is what the repetition of the
// baseline in either of them gave, or kernels that are the same in both, whichever is
// more.
func Compare(old, new *results.Results) *Comparison {
	c := &Comparison{Old: measured(old), New: measured(new), Obstacles: obstacles(old, new)}
	oldNoise, newNoise := noiseOf(old), noiseOf(new)
	before, after := old.Index(), new.Index()
	newNoise.apart = append(newNoise.apart, repeatedKernels(old, new)...)
	for _, f := range new.Figures {
		if isRepetition(new, f.Column) {
			continue
		}
		d := Compared{Key: f.Key, Name: f.Name(), Kernel: f.Column, Method: f.Method, Unit: f.Unit(), New: &f.Value, decimals: decimalsOf(f)}
		if i, ok := before[f.Place]; !ok {
			d.Verdict = OnlyNew
		} else {
			was := old.Figures[i]
			d.Old = &was.Value
			repeated := was
			if i, ok := before[results.Place{Key: f.Key, Column: again(f.Column), Method: f.Method}]; ok {
				repeated = old.Figures[i]
			}
			how := compare(was, repeated, f, max(f.Key.Operation().ApartRuns, oldNoise.floor(f), newNoise.floor(f)))
			d.Verdict, d.Change = how.Verdict, how.String()
			if d.Key.Operation().Compare == figure.Chance {
				d.Verdict, d.Change = Chance, ""
			} else if d.Why = c.why(d); d.Why != "" {
				d.Verdict, d.Change = Incomparable, ""
			}
		}
		c.Figures = append(c.Figures, d)
	}
	for _, f := range old.Figures {
		if _, ok := after[f.Place]; !ok && !isRepetition(old, f.Column) {
			c.Figures = append(c.Figures, Compared{Key: f.Key, Name: f.Name(), Kernel: f.Column, Method: f.Method, Unit: f.Unit(),
				Old: &f.Value, Verdict: OnlyOld, decimals: decimalsOf(f)})
		}
	}
	return c
}

// repeatedKernels returns how far figures of kernels are apart whose images are the
// same in both measurements.
func repeatedKernels(old, new *results.Results) []distance {
	images := make(map[string]string)
	for _, k := range old.Kernels {
		images[k.Name] = k.Image
	}
	same := make(map[string]bool)
	for _, k := range new.Kernels {
		same[k.Name] = k.Image != "" && k.Image == images[k.Name]
	}

	var found []distance
	before := old.Index()
	for _, f := range new.Figures {
		if i, ok := before[f.Place]; ok && same[f.Column] {
			found = append(found, distance{f, apart(old.Figures[i].Value, f.Value)})
		}
	}
	return found
}

// isRepetition says that a column is the second one of the baseline.
func isRepetition(r *results.Results, column string) bool {
	return len(r.Kernels) > 0 && column == again(r.Kernels[0].Name)
}

func measured(r *results.Results) Measured {
	m := Measured{Created: r.Created.UTC().Format("2006-01-02 15:04"), Tool: r.Host.Tool, Series: make(map[string]string), Interrupted: r.Interrupted}
	for _, k := range r.Kernels {
		m.Series[k.Name] = k.Series
		if r.Host.Running != nil {
			m.Running = fmt.Sprintf("%s %s, build ID %s", k.Release, r.Host.Running.Version, short(r.Host.Running.BuildID))
		}
	}
	return m
}

// obstacles lists the conditions that differ. The source of the kernels is not
// one of them: it is what is compared.
func obstacles(old, new *results.Results) []Obstacle {
	var out []Obstacle
	differ := func(kernel string, m results.Method, what, old, new string) {
		if old != new {
			out = append(out, Obstacle{kernel, m, what, old, new})
		}
	}
	for _, k := range new.Kernels {
		for _, was := range old.Kernels {
			if was.Name == k.Name {
				differ(k.Name, "", "configuration", short(was.Config), short(k.Config))
				differ(k.Name, "", "compiler", was.Compiler, k.Compiler)
				differ(k.Name, "", "HZ", strconv.Itoa(was.HZ), strconv.Itoa(k.HZ))
				differ(k.Name, "", "preemption", was.Preemption, k.Preemption)
				differ(k.Name, "", "RCU", was.RCU, k.RCU)
			}
		}
	}
	for _, m := range results.Methods {
		ofMethod := func(b results.Boot) bool { return b.Method == m }
		was, is := slices.IndexFunc(old.Boots, ofMethod), slices.IndexFunc(new.Boots, ofMethod)
		if was < 0 || is < 0 {
			continue
		}
		if m != results.Native {
			differ("", m, "QEMU", old.Host.QEMU, new.Host.QEMU)
		}
		differ("", m, "command line of QEMU", old.Boots[was].Command, new.Boots[is].Command)
		differ("", m, "command line of the kernel", old.Boots[was].Cmdline, new.Boots[is].Cmdline)
		if !m.Exact() {
			differ("", m, "processor", old.Host.CPU, new.Host.CPU)
		}
		if m == results.Running {
			out = append(out, surroundings(old, new)...)
		}
	}
	return out
}

// surroundings lists how the machines of two running kernels differ. What could
// not be found out may differ, too, unless VMs and some firmware do not tell.
func surroundings(old, new *results.Results) []Obstacle {
	var out []Obstacle
	differ := func(what, old, new string, sure bool) {
		if old != new || sure && (old == "" || old == results.Unknown) {
			out = append(out, Obstacle{Method: results.Running, What: what, Old: old, New: new})
		}
	}
	nothing := &results.HostKernel{}
	was, is := cmp.Or(old.Host.Running, nothing), cmp.Or(new.Host.Running, nothing)
	differ("processors", was.Online, is.Online, true)
	differ("processor that was measured on", strconv.Itoa(was.CPU), strconv.Itoa(is.CPU), true)
	differ("governor", was.Governor, is.Governor, false)
	differ("turbo", was.Turbo, is.Turbo, false)
	differ("virtualization", was.Virtualized, is.Virtualized, true)

	isUnknown := func(k results.Kernel) bool { return k.Config == results.Unknown }
	if slices.ContainsFunc(old.Kernels, isUnknown) && slices.ContainsFunc(new.Kernels, isUnknown) {
		differ("configuration", results.Unknown, results.Unknown, true)
	}
	return out
}

// why returns the reason why a figure cannot be compared, "" if it can.
func (c *Comparison) why(d Compared) string {
	var why []string
	for _, o := range c.Obstacles {
		if o.Kernel == d.Kernel || o.Method == d.Method {
			why = append(why, o.What)
		}
	}
	return strings.Join(why, ", ")
}

// Count returns how many figures there are of a verdict.
func (c *Comparison) Count(verdict Verdict) int {
	n := 0
	for _, f := range c.Figures {
		if f.Verdict == verdict {
			n++
		}
	}
	return n
}

// Good reports whether all figures that both measurements have were compared, but for
// those that are left to chance, and none got worse.
func (c *Comparison) Good() bool {
	compared := c.Count(Same) + c.Count(WithinNoise) + c.Count(Better)
	return compared > 0 && c.Count(Worse) == 0 && c.Count(Incomparable) == 0
}

// WriteText writes the comparison for people: what is different, or with all
// every figure. It returns the error of w.
func (c *Comparison) WriteText(w io.Writer, all, colour bool) error {
	p := &paper{colour: colour}
	p.line("", "old: "+sentence("measured", c.Old))
	p.line("", "new: "+sentence("measured", c.New))
	for _, name := range slices.Sorted(maps.Keys(c.Old.Series)) {
		was := c.Old.Series[name]
		if is, both := c.New.Series[name]; both && was != is {
			p.line("", fmt.Sprintf("%s: series %s and %s", name, cmp.Or(short(was), "none"), cmp.Or(short(is), "none")))
		}
	}
	for _, o := range c.Obstacles {
		p.wrapped(red, fmt.Sprintf("not comparable, %s: %s: %s and %s",
			cmp.Or(o.Kernel, o.Method.Title()), o.What, cmp.Or(o.Old, "none"), cmp.Or(o.New, "none")))
	}

	c.rows(p, all)
	p.line("", "")
	var parts []string
	for _, v := range Verdicts {
		if n := c.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	p.line("", progress.Count(len(c.Figures), "figure")+": "+cmp.Or(strings.Join(parts, ", "), "nothing measured in either")+".")
	return p.writeTo(w)
}

// rows writes a line for each figure that is different.
func (c *Comparison) rows(p *paper, all bool) {
	g := &grid{left: []bool{true, true, true, false, false, true, true}, gap: "  "}
	g.rows = append(g.rows, gridRow{style: faint, cells: []string{"figure", "kernel", "method", "old", "new", "unit", "what"}})
	for _, f := range c.Figures {
		what, style := string(f.Verdict), ""
		switch f.Verdict {
		case Better:
			what, style = f.Change, green
		case Worse:
			what, style = "WORSE: "+f.Change, red
		case WithinNoise:
			what = f.Change
		case Incomparable:
			what += ": " + f.Why
		}
		if style == "" && !all {
			continue
		}
		g.rows = append(g.rows, gridRow{
			cells:  []string{f.Name, f.Kernel, f.Method.Title(), f.text(f.Old), f.text(f.New), f.Unit, what},
			styles: map[int]string{6: style},
		})
	}
	if len(g.rows) > 1 {
		p.line("", "")
		g.write(p)
	}
}

// text is one of a figure's two values.
func (f Compared) text(v *float64) string {
	if v == nil {
		return "-"
	}
	return number(*v, f.decimals)
}
