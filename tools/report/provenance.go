// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// Subject says which kernels are compared.
func (s *sheet) Subject() string {
	if len(s.Kernels) == 0 {
		return "No kernel was measured."
	}
	base := s.Kernels[0]
	var compared, more []string
	for _, k := range s.Kernels[1:] {
		if !slices.Contains(s.against, k.Name) {
			more = append(more, k.Name)
			continue
		}
		var facts []string
		if k.Release != base.Release {
			facts = append(facts, k.Release)
		}
		if n := len(k.Patches); n > 0 {
			facts = append(facts, progress.Count(n, "patch"))
		}
		if k.Series != "" {
			facts = append(facts, "series "+short(k.Series))
		}
		if len(facts) > 0 {
			k.Name += " (" + strings.Join(facts, ", ") + ")"
		}
		compared = append(compared, k.Name)
	}

	text := "Linux " + base.Release
	if len(compared) > 0 {
		text += ": " + base.Name + " against " + strings.Join(compared, ", ")
	}
	if len(more) > 0 {
		text += ", beside " + strings.Join(more, ", ")
	}
	return text
}

// Repeated says how often it was measured, and what is missing.
func (s *sheet) Repeated() string { return sentence("repeated", s) }

// Repetition is what was done again: a boot, or the like.
func (s *sheet) Repetition() string {
	thing := "boot"
	if len(s.methods) > 0 {
		thing = s.methods[0].Repeated()
	}
	if slices.ContainsFunc(s.methods, func(m figure.Method) bool { return m.Repeated() != thing }) {
		return "run"
	}
	return thing
}

// BootsOf says how many boots there are of each column.
func (s *sheet) BootsOf() []string {
	var out []string
	for _, c := range s.Results.Columns() {
		of := slices.DeleteFunc(slices.Clone(s.Boots), func(b results.Boot) bool { return b.Column() != c })
		if len(of) > 0 {
			out = append(out, fmt.Sprintf("%d of %s", len(of), c))
		}
	}
	return out
}

// WhyDiscarded lists the boots that were thrown away, by reason.
func (s *sheet) WhyDiscarded() []string {
	var boots ordered[string] // by reason
	for _, d := range s.Discarded {
		boots.add(d.Why, fmt.Sprintf("%s in round %d (%s)", d.Column(), d.Round+1, d.Method.Title()))
	}
	return each(boots.keys, func(why string) string { return strings.Join(boots.of[why], ", ") + ": " + why })
}

// where lists the machine and the tools of the measurement, one fact each.
func (s *sheet) where() []string {
	var out []string
	add := func(format, value string) {
		if value != "" {
			out = append(out, fmt.Sprintf(format, value))
		}
	}
	each := func(format string, of func(results.Kernel) string) { add(format, s.OfKernels(": ", of)) }
	add("%s", shortQEMU(s.Host.QEMU))
	add("%s ("+progress.Count(s.Host.Cores, "core")+")", s.Host.CPU)
	add("%s", s.Host.OS)
	each("%s", func(k results.Kernel) string { return k.Compiler })
	each("%s preemption", func(k results.Kernel) string { return k.Preemption })
	each("%s RCU", func(k results.Kernel) string { return k.RCU })
	each("HZ=%s", func(k results.Kernel) string { return fmt.Sprint(k.HZ) })
	each("config %s", func(k results.Kernel) string { return short(k.Config) })
	return append(out, s.Surroundings()...)
}

// Surroundings is what the running kernel was measured in.
func (s *sheet) Surroundings() []string { return sentences("surroundings", s) }

// short is the beginning of a hash.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// shortQEMU leaves the package's version out of QEMU's line.
func shortQEMU(line string) string {
	line, _, _ = strings.Cut(line, "(")
	return strings.TrimSpace(strings.Replace(line, "QEMU emulator version", "QEMU", 1))
}

//go:embed sentences.txt.tmpl
var sentenceSource string

var sentenceTemplates = template.Must(template.New("").Funcs(template.FuncMap{
	"list": list, "join": strings.Join, "first": firstOf, "count": progress.Count,
}).Parse(sentenceSource))

// sentences are the lines of a template. One that cannot be executed is a mistake in
// it, which tests find: they execute all.
func sentences(name string, of any) []string {
	var b strings.Builder
	if err := sentenceTemplates.ExecuteTemplate(&b, name, of); err != nil {
		panic(err)
	}
	return slices.DeleteFunc(strings.Split(b.String(), "\n"), func(line string) bool { return line == "" })
}

// sentence is sentences as one text.
func sentence(name string, of any) string { return strings.Join(sentences(name, of), " ") }

// Explanations say what the words in the sheet mean.
func (s *sheet) Explanations() []string { return sentences("explanations", s) }

// has says that such a figure is shown.
func (s *sheet) has(of func(figure.Key) bool) bool {
	return slices.ContainsFunc(s.curves(), func(c *curve) bool { return of(c.rows[0].key) })
}

// Has says that figures of an operation are shown.
func (s *sheet) Has(op figure.Op) bool {
	return s.has(func(k figure.Key) bool { return k.Op == op })
}

// HasIDs says that lookups of such IDs are shown.
func (s *sheet) HasIDs(ids measure.IDs) bool {
	return s.has(func(k figure.Key) bool { return k.Op == figure.ByID && k.IDs == ids })
}

// MeasuredBy says that there are figures by a method.
func (s *sheet) MeasuredBy(m figure.Method) bool { return slices.Contains(s.methods, m) }

// Siblings says that lookups raced with creations on one core.
func (s *sheet) Siblings() bool {
	return slices.ContainsFunc(s.Boots, func(b results.Boot) bool { return len(b.Races) > 0 && b.Races[0].Siblings })
}

// MeasuredAt lists the sizes of VMs that were measured, "" if none was.
func (s *sheet) MeasuredAt() string {
	var sizes []int
	for _, b := range s.Boots {
		for _, c := range b.Creates {
			sizes = append(sizes, c.VM.VCPUs)
		}
		for _, l := range b.Loops {
			sizes = append(sizes, l.VM.VCPUs)
		}
	}
	slices.Sort(sizes)
	return enumerate(slices.Compact(sizes))
}
