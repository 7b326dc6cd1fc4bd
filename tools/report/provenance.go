// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

// subject says which kernels are compared.
func (s *sheet) subject() string {
	if len(s.r.Kernels) == 0 {
		return "No kernel was measured."
	}
	base := s.r.Kernels[0]
	var compared, more []string
	for _, k := range s.r.Kernels[1:] {
		if !slices.Contains(s.against, k.Name) {
			more = append(more, k.Name)
			continue
		}
		var facts []string
		if k.Release != base.Release {
			facts = append(facts, k.Release)
		}
		if n := len(k.Patches); n > 0 {
			facts = append(facts, plural(n, "patch", "patches"))
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

// repeated says how often it was measured.
func (s *sheet) repeated() string {
	counts := make(map[string]int)
	for _, b := range s.r.Boots {
		counts[b.Column()]++
	}
	var parts []string
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return s.rank(a) - s.rank(b) }) {
		parts = append(parts, fmt.Sprintf("%d of %s", counts[c], c))
	}

	thing := "boot"
	for i, m := range s.methods {
		if repeated := m.Repeated(); i == 0 {
			thing = repeated
		} else if repeated != thing {
			thing = "run"
		}
	}
	text := count(len(s.r.Boots), thing)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if s.r.Interrupted {
		text += ". The run was INTERRUPTED before its last boot"
	}
	return text + "." + s.discarded(thing) + s.omitted()
}

// omitted says what could not be measured, and why.
func (s *sheet) omitted() string {
	text := ""
	for _, o := range s.r.Omitted {
		text += fmt.Sprintf(" Not measured (%s): %s: %s.", o.Method.Title(), o.What, o.Why)
	}
	return text
}

// mostReasons is how many reasons for discarding boots are listed.
const mostReasons = 3

// discarded lists the boots that were thrown away, by reason.
func (s *sheet) discarded(thing string) string {
	if len(s.r.Discarded) == 0 {
		return ""
	}
	boots := make(map[string][]string)
	var reasons []string
	for _, d := range s.r.Discarded {
		if boots[d.Why] == nil {
			reasons = append(reasons, d.Why)
		}
		boots[d.Why] = append(boots[d.Why], fmt.Sprintf("%s in round %d (%s)", d.Column(), d.Round+1, d.Method.Title()))
	}
	text := fmt.Sprintf(" %s thrown away and done again:", count(len(s.r.Discarded), thing))
	for i, why := range reasons {
		if i == mostReasons {
			text += fmt.Sprintf("; %d more, see %q in the JSON", len(reasons)-i, "discarded")
			break
		}
		if i > 0 {
			text += ";"
		}
		text += " " + strings.Join(boots[why], ", ") + ": " + why
	}
	return text + "."
}

// rank orders columns as the kernels are listed, each with its repetition.
func (s *sheet) rank(column string) int {
	if i := slices.Index(s.kernels, column); i >= 0 {
		return 2 * i
	}
	return 2*slices.IndexFunc(s.kernels, func(k string) bool { return again(k) == column }) + 1
}

// where lists the machine and the tools of the measurement, one fact each.
func (s *sheet) where() []string {
	var out []string
	each := func(of func(results.Kernel) string) string { return s.r.OfKernels(": ", of) }
	add := func(format string, value string) {
		if value != "" {
			out = append(out, fmt.Sprintf(format, value))
		}
	}
	add("%s", shortQEMU(s.r.Host.QEMU))
	if s.r.Host.CPU != "" {
		out = append(out, fmt.Sprintf("%s (%s)", s.r.Host.CPU, count(s.r.Host.Cores, "core")))
	}
	add("%s", s.r.Host.OS)
	add("%s", each(func(k results.Kernel) string { return k.Compiler }))
	add("%s preemption", each(func(k results.Kernel) string { return k.Preemption }))
	add("%s RCU", each(func(k results.Kernel) string { return k.RCU }))
	add("HZ=%s", each(func(k results.Kernel) string { return fmt.Sprint(k.HZ) }))
	add("config %s", each(func(k results.Kernel) string { return short(k.Config) }))
	return append(out, s.surroundings()...)
}

// surroundings is what the running kernel was measured in.
func (s *sheet) surroundings() []string {
	r := s.r.Host.Running
	if r == nil {
		return nil
	}
	out := []string{
		r.Version, fmt.Sprintf("on CPU %d of %s", r.CPU, r.Online), "governor " + r.Governor, "turbo " + r.Turbo,
		"virtualized: " + r.Virtualized, fmt.Sprintf("load %s before, %s after", r.Load[0], r.Load[1]),
	}
	if r.NoMemory != "" {
		out = append(out, "memory not counted: "+r.NoMemory)
	}
	return out
}

// measuredAt lists the sizes of VMs that were measured.
func (s *sheet) measuredAt() []int {
	sizes := make(map[int]bool)
	for _, b := range s.r.Boots {
		for _, c := range b.Creates {
			sizes[c.VM.VCPUs] = true
		}
		for _, l := range b.Loops {
			sizes[l.VM.VCPUs] = true
		}
	}
	return slices.Sorted(maps.Keys(sizes))
}

// short is the beginning of a hash.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

// shortQEMU leaves the package's version out of QEMU's line.
func shortQEMU(line string) string {
	line, _, _ = strings.Cut(line, "(")
	return strings.TrimSpace(strings.Replace(line, "QEMU emulator version", "QEMU", 1))
}
