// SPDX-License-Identifier: GPL-2.0-only

// Package results is what a measurement leaves behind: the raw samples of
// every boot, what they were measured on, and the figures drawn from them. It
// writes and reads them as JSON and writes the Go benchmark format.
package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/jsonfile"
)

// Format is the version of the JSON. Files of other versions are refused.
const Format = 11

const maxFile = 256 << 20 // bounds a file of results, in bytes

// ErrFormat means that a file holds no results that this version can read.
var ErrFormat = errors.New("not results of this version")

// Method is how something was measured, see package figure.
type Method = figure.Method

// The ways to measure.
const (
	ICount  = figure.ICount
	KVM     = figure.KVM
	Running = figure.Running
	Native  = figure.Native
)

// Methods lists them in the order in which to show them.
var Methods = figure.Methods

// Results is one run of the measurement.
type Results struct {
	Format      int         `json:"format"`
	Created     time.Time   `json:"created"`
	Host        Host        `json:"host"`
	Kernels     []Kernel    `json:"kernels"`               // what was measured, the baseline first
	Boots       []Boot      `json:"boots"`                 // the raw samples, in the order in which they were taken
	Discarded   []Discarded `json:"discarded,omitempty"`   // the boots that were thrown away and done again
	Omitted     []Omitted   `json:"omitted,omitempty"`     // what was asked for and cannot be measured here
	Figures     []Figure    `json:"figures"`               // drawn from Boots by Draw
	Interrupted bool        `json:"interrupted,omitempty"` // the run was ended before its last boot
	Others      []Other     `json:"others,omitempty"`      // other runs on the same kernels, of which Beside has kept something
}

// Other is a run of which the boots and figures of some methods were kept.
type Other struct {
	Methods []Method  `json:"methods"`
	Created time.Time `json:"created"`
	Host    Host      `json:"host"`
}

// Host is the machine that measured, without its name: results are meant for
// others to read.
type Host struct {
	CPU     string      `json:"cpu"`               // model name
	Cores   int         `json:"cores"`             // that the measurement could use
	OS      string      `json:"os"`                // distribution and version
	QEMU    string      `json:"qemu"`              // version line
	Accel   string      `json:"accel"`             // what was found to work, and why
	Go      string      `json:"go"`                // version of the tool's compiler
	Tool    string      `json:"tool"`              // revision of the tool
	Pahole  string      `json:"pahole"`            // version of what made the kernel's BTF
	Running *HostKernel `json:"running,omitempty"` // nil unless the machine's own kernel was measured
}

// Unknown is the value of facts about the running kernel that could not be found out.
const Unknown = "unknown"

// HostKernel is the machine while its own kernel was measured: what times depend
// on besides the kernel. What could not be read is Unknown.
type HostKernel struct {
	Version    string `json:"version"`     // what uname -v prints
	BuildID    string `json:"build_id"`    // GNU's, of the kernel
	ConfigFrom string `json:"config_from"` // where the configuration was read
	// Online are the processors, "0-7", and CPU is the one that was measured
	// on. Governor and Turbo are as cpufreq says them.
	Online      string    `json:"online"`
	CPU         int       `json:"cpu"`
	Governor    string    `json:"governor"`
	Turbo       string    `json:"turbo"`               // on, off or Unknown
	Virtualized string    `json:"virtualized"`         // what hypervisor the machine itself runs under, "no" if none shows
	Load        [2]string `json:"load"`                // the average of one minute, before the first run and after the last one
	NoMemory    string    `json:"no_memory,omitempty"` // why the memory of VMs was not counted, "" if it was
}

// Kernel is one kernel that was measured.
type Kernel struct {
	Name string `json:"name"` // how figures refer to it: "base", "patched" or a variant's
	// About says in a few words what a variant is, Limit that nothing can be
	// faster than it where a vCPU is looked up by its index.
	About    string   `json:"about,omitempty"`
	Limit    bool     `json:"limit,omitempty"`
	Design   *Design  `json:"design,omitempty"`  // what is compared with others, nil of a milestone
	Release  string   `json:"release"`           // uname -r
	Series   string   `json:"series,omitempty"`  // identifies the patches, "" for the baseline
	Patches  []string `json:"patches,omitempty"` // their subjects
	Tree     string   `json:"tree"`              // id of the source tree
	Config   string   `json:"config"`            // sha256 of .config
	Compiler string   `json:"compiler"`          // version line
	Image    string   `json:"image"`             // sha256 of the kernel image
	HZ       int      `json:"hz"`
	// Preemption and RCU are the config symbols that decide what a lookup
	// under RCU costs.
	Preemption string `json:"preemption"`
	RCU        string `json:"rcu"`
}

// Design is a way to hold vCPUs, and what its own patches change.
type Design struct {
	About   string `json:"about"`   // what it is
	Lookups string `json:"lookups"` // where vCPUs may be looked up
	// Added and Removed are lines, without selftests and documentation, and
	// Architectures those whose code changes.
	Added         int      `json:"added"`
	Removed       int      `json:"removed"`
	Architectures []string `json:"architectures,omitempty"`
}

// Which says which boot something is of.
type Which struct {
	Kernel string `json:"kernel"` // Kernel.Name
	// Again marks the baseline's second boot of a round. Its difference from
	// the first is the noise floor.
	Again  bool   `json:"again,omitempty"`
	Round  int    `json:"round"`
	Method Method `json:"method"`
}

// Boot is one boot of one kernel: the unit of repetition.
type Boot struct {
	Which
	Command string        `json:"command"` // QEMU's
	BootID  string        `json:"boot_id"`
	Release string        `json:"release"`
	Cmdline string        `json:"cmdline"` // the kernel's
	Clock   measure.Clock `json:"clock"`
	Seconds float64       `json:"seconds"` // of wall time, QEMU's start to its end

	Sizes   measure.Sizes        `json:"sizes"`
	Loops   []measure.Loop       `json:"loops"`
	Creates []measure.Create     `json:"creates"`
	Memory  []measure.Memory     `json:"memory,omitempty"`
	Growths []measure.Growth     `json:"growths,omitempty"` // who waits while a VM grows
	Gaps    []measure.Gaps       `json:"gaps,omitempty"`
	Setups  []measure.Setup      `json:"setups,omitempty"`
	Starts  []measure.Start      `json:"starts,omitempty"` // lookups where KVM uses them
	Paths   []measure.PathSample `json:"paths,omitempty"`
	Races   []measure.Race       `json:"races,omitempty"`  // lookups while a VM grows
	Cached  []measure.Cached     `json:"cached,omitempty"` // walks and lookups by the state of the caches
}

// Discarded is a boot of which nothing was kept.
type Discarded struct {
	Which
	Why string `json:"why"`
}

// Omitted is something that could not be measured.
type Omitted struct {
	Method Method `json:"method"`
	Kernel string `json:"kernel,omitempty"` // the one that it is about, "" for all
	What   string `json:"what"`
	Why    string `json:"why"`
}

// Column names the column of a table that the boot belongs to.
func (w Which) Column() string {
	if w.Again {
		return w.Kernel + "-again"
	}
	return w.Kernel
}

// Place is what tells one figure from another.
type Place struct {
	Key    figure.Key `json:"key"`
	Column string     `json:"column"`
	Method Method     `json:"method"`
}

// Figure is one number of one kernel, drawn from all boots of a column.
type Figure struct {
	Place
	Value float64 `json:"value"`
	// Low and High are the interval that Value lies in. An instruction count of a lookup
	// has none: they are the smallest and the largest, and differ only if something is
	// wrong. The cost of a creation has the 90 % interval of the median over neighbouring
	// ones; a time the 95 % interval of the median over boots.
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Boots  []int     `json:"boots"` // indices of Results.Boots, one a value
	Values []float64 `json:"values"`
}

// Name is what JSON and benchstat call the figure.
func (f Figure) Name() string { return f.Key.Name() }

// Unit is what the figure is in.
func (f Figure) Unit() string { return f.Key.Operation().Unit.On(f.Method) }

// MarshalJSON adds the name and the unit, for those who read the JSON without
// the table of operations. They are not read back.
func (f Figure) MarshalJSON() ([]byte, error) {
	type plain Figure
	return json.Marshal(struct {
		Name string `json:"name"`
		Unit string `json:"unit"`
		plain
	}{f.Name(), f.Unit(), plain(f)})
}

// Find returns the figure of this key, column and method.
func (r *Results) Find(key figure.Key, column string, method Method) (Figure, bool) {
	i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Place == Place{key, column, method} })
	if i < 0 {
		return Figure{}, false
	}
	return r.Figures[i], true
}

// Index returns where each figure stands in Figures.
func (r *Results) Index() map[Place]int {
	out := make(map[Place]int, len(r.Figures))
	for i, f := range r.Figures {
		out[f.Place] = i
	}
	return out
}

// Write writes the results as JSON into a new file, whole or not at all. The
// file says Format, whatever r does.
func (r *Results) Write(name string) error {
	out := *r
	out.Format = Format
	if err := jsonfile.Save(name, &out); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return os.Chmod(name, 0o644)
}

// Read reads what Write has written.
func Read(name string) (*Results, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	defer f.Close()
	r, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("results: %s: %w", name, err)
	}
	return r, nil
}

// Parse reads results as JSON. The error is ErrFormat for anything that is
// not results of this version.
func Parse(rd io.Reader) (*Results, error) {
	data, err := io.ReadAll(io.LimitReader(rd, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrFormat, maxFile)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if version.Format != Format {
		return nil, fmt.Errorf("%w: expected format %d, found %d", ErrFormat, Format, version.Format)
	}
	r := &Results{}
	err = json.Unmarshal(data, r)
	if err == nil {
		err = r.check()
	}
	if err == nil {
		err = r.checkDrawn()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return r, nil
}

// checkDrawn draws the figures from the samples again. Results that are kept to be
// quoted lack some samples, from which nothing can be drawn.
func (r *Results) checkDrawn() error {
	again := *r
	again.Figures = nil
	if again.Draw() != nil {
		return nil
	}
	index := again.Index()
	for _, f := range r.Figures {
		i, ok := index[f.Place]
		if !ok {
			return fmt.Errorf("%s of %s, by %s: no samples give this figure", f.Name(), f.Column, f.Method)
		}
		if d := again.Figures[i]; d.Value != f.Value || d.Low != f.Low || d.High != f.High {
			return fmt.Errorf("%s of %s, by %s: the file says %v (%v to %v), its samples give %v (%v to %v): was it edited?",
				f.Name(), f.Column, f.Method, f.Value, f.Low, f.High, d.Value, d.Low, d.High)
		}
	}
	return nil
}

// Add adds what was measured of the same kernels with another method.
func (r *Results) Add(more *Results) error {
	r.Boots = append(r.Boots, more.Boots...)
	r.Discarded = append(r.Discarded, more.Discarded...)
	r.Omitted = append(r.Omitted, more.Omitted...)
	r.Interrupted = more.Interrupted
	return r.Draw()
}
