// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"
	"strconv"

	"vcpulab/tools/figure"
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

// The ways in which a figure can differ.
const (
	Same         = "same"           // the same number
	WithinNoise  = "within noise"   // another number, but not by more than repetition gives
	Better       = "better"         // less, by more than that
	Worse        = "worse"          // more, by more than that
	Incomparable = "not comparable" // see Why
	OnlyOld      = "only old"       // the new measurement does not have it
	OnlyNew      = "only new"       // the old measurement does not have it
)

// Verdicts lists them.
var Verdicts = []string{Worse, Better, WithinNoise, Same, Incomparable, OnlyOld, OnlyNew}

// Compared is one figure of both measurements.
type Compared struct {
	Key     figure.Key     `json:"key"`
	Name    string         `json:"name"`
	Kernel  string         `json:"kernel"`
	Method  results.Method `json:"method"`
	Unit    string         `json:"unit"`
	Old     *float64       `json:"old"` // nil if it was not measured
	New     *float64       `json:"new"`
	Verdict string         `json:"verdict"` // one of Verdicts
	Change  string         `json:"change,omitempty"`
	// Why is the reason why the two are not comparable.
	Why string `json:"why,omitempty"`

	decimals int
}

// Compare tells two measurements apart. Noise is what the repetition of the
// baseline in either of them gave, whichever is more.
func Compare(old, new *results.Results) *Comparison {
	c := &Comparison{Old: measured(old), New: measured(new), Obstacles: obstacles(old, new)}
	noises := []noise{noiseOf(old), noiseOf(new)}
	before, after := old.Index(), new.Index()
	for _, f := range new.Figures {
		if isRepetition(new, f.Column) {
			continue
		}
		i, ok := before[f.Place()]
		if !ok {
			c.Figures = append(c.Figures, compared(f, OnlyNew, nil, &f.Value))
			continue
		}

		was := old.Figures[i]
		d := compared(f, "", &was.Value, &f.Value)
		if d.Why = c.why(d); d.Why != "" {
			d.Verdict = Incomparable
			c.Figures = append(c.Figures, d)
			continue
		}
		repeated := was
		if i, ok := before[results.Place{Key: f.Key, Column: again(f.Column), Method: f.Method}]; ok {
			repeated = old.Figures[i]
		}
		floor := f.Key.Operation().ApartRuns
		for _, n := range noises {
			floor = max(floor, n.floor(f))
		}
		how := compare(was, repeated, f, floor)
		d.Verdict, d.Change = how.trend.name(), how.String()
		c.Figures = append(c.Figures, d)
	}
	for _, f := range old.Figures {
		if _, ok := after[f.Place()]; !ok && !isRepetition(old, f.Column) {
			c.Figures = append(c.Figures, compared(f, OnlyOld, &f.Value, nil))
		}
	}
	return c
}

// isRepetition says that a column is the second one of the baseline.
func isRepetition(r *results.Results, column string) bool {
	return len(r.Kernels) > 0 && column == again(r.Kernels[0].Name)
}

func compared(f results.Figure, verdict string, old, new *float64) Compared {
	return Compared{
		Key: f.Key, Name: f.Name(), Kernel: f.Column, Method: f.Method, Unit: f.Unit(),
		Old: old, New: new, Verdict: verdict, decimals: decimalsOf(f),
	}
}

// name is the trend as a comparison has it.
func (t trend) name() string {
	return map[trend]string{same: Same, within: WithinNoise, better: Better, worse: Worse}[t]
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
	differ := func(o Obstacle) {
		if o.Old != o.New {
			out = append(out, o)
		}
	}
	for _, k := range new.Kernels {
		for _, was := range old.Kernels {
			if was.Name != k.Name {
				continue
			}
			differ(Obstacle{Kernel: k.Name, What: "configuration", Old: short(was.Config), New: short(k.Config)})
			differ(Obstacle{Kernel: k.Name, What: "compiler", Old: was.Compiler, New: k.Compiler})
			differ(Obstacle{Kernel: k.Name, What: "HZ", Old: fmt.Sprint(was.HZ), New: fmt.Sprint(k.HZ)})
			differ(Obstacle{Kernel: k.Name, What: "preemption", Old: was.Preemption, New: k.Preemption})
			differ(Obstacle{Kernel: k.Name, What: "RCU", Old: was.RCU, New: k.RCU})
		}
	}
	for _, m := range results.Methods {
		was, is := firstBoot(old, m), firstBoot(new, m)
		if was == nil || is == nil {
			continue
		}
		if m != results.Native {
			differ(Obstacle{Method: m, What: "QEMU", Old: old.Host.QEMU, New: new.Host.QEMU})
		}
		differ(Obstacle{Method: m, What: "command line of QEMU", Old: was.Command, New: is.Command})
		differ(Obstacle{Method: m, What: "command line of the kernel", Old: was.Cmdline, New: is.Cmdline})
		if !m.Exact() {
			differ(Obstacle{Method: m, What: "processor", Old: old.Host.CPU, New: new.Host.CPU})
		}
		if m == results.Running {
			out = append(out, surroundings(old, new)...)
		}
	}
	return out
}

// surroundings lists how the machines of two running kernels differ. What could
// not be found out may differ, too.
func surroundings(old, new *results.Results) []Obstacle {
	was, is := hostOf(old), hostOf(new)
	var out []Obstacle
	differ := func(what, old, new string, mustBeKnown bool) {
		unknown := old == "" || old == results.Unknown
		if old != new || unknown && mustBeKnown {
			out = append(out, Obstacle{Method: results.Running, What: what, Old: old, New: new})
		}
	}

	differ("processors", was.Online, is.Online, true)
	differ("processor that was measured on", strconv.Itoa(was.CPU), strconv.Itoa(is.CPU), true)
	// VMs and some firmware do not tell.
	differ("governor", was.Governor, is.Governor, false)
	differ("turbo", was.Turbo, is.Turbo, false)
	differ("virtualization", was.Virtualized, is.Virtualized, true)
	isUnknown := func(k results.Kernel) bool { return k.Config == results.Unknown }
	if slices.ContainsFunc(old.Kernels, isUnknown) && slices.ContainsFunc(new.Kernels, isUnknown) {
		differ("configuration", results.Unknown, results.Unknown, true)
	}
	return out
}

func hostOf(r *results.Results) results.HostKernel {
	if r.Host.Running == nil {
		return results.HostKernel{}
	}
	return *r.Host.Running
}

// firstBoot returns the first boot of a method, nil if there is none.
func firstBoot(r *results.Results, m results.Method) *results.Boot {
	i := slices.IndexFunc(r.Boots, func(b results.Boot) bool { return b.Method == m })
	if i < 0 {
		return nil
	}
	return &r.Boots[i]
}

// why returns the reason why a figure cannot be compared, "" if it can.
func (c *Comparison) why(d Compared) string {
	if d.Key.Operation().Compare == figure.Chance {
		return "chance"
	}
	why := ""
	for _, o := range c.Obstacles {
		if o.Kernel == d.Kernel || o.Method == d.Method {
			if why != "" {
				why += ", "
			}
			why += o.What
		}
	}
	return why
}

// Count returns how many figures there are of a verdict.
func (c *Comparison) Count(verdict string) int {
	n := 0
	for _, f := range c.Figures {
		if f.Verdict == verdict {
			n++
		}
	}
	return n
}

// Good reports whether all figures that both measurements have were compared,
// and none got worse.
func (c *Comparison) Good() bool {
	compared := c.Count(Same) + c.Count(WithinNoise) + c.Count(Better)
	return compared > 0 && c.Count(Worse) == 0 && c.Count(Incomparable) == 0
}
