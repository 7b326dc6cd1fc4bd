// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// armName is how an arm is headed.
func armName(arm results.Method) string {
	switch arm {
	case results.ICount:
		return "TCG icount"
	case results.KVM:
		return "KVM"
	case results.Native:
		return "user space"
	case results.Running:
		return "running kernel"
	}
	return string(arm)
}

// unitName is what the arm's figures count.
func unitName(arm results.Method) string {
	if arm == results.ICount {
		return "instructions"
	}
	return "ns"
}

// armSentence says what the arm's unit means.
func armSentence(arm results.Method) string {
	switch arm {
	case results.ICount:
		return "Instructions, counted by QEMU's TCG with -icount; they are no time. Exact, but for creations."
	case results.Native:
		return "ns, user space: the lookups alone on this processor, compiled for user space; medians over processes."
	case results.KVM:
		return "ns: on a real processor, QEMU with KVM; medians over boots."
	case results.Running:
		return "ns: the running kernel; medians over runs of one boot, each with the module loaded anew."
	}
	return ""
}

// subject says which kernels are compared.
func (s *sheet) subject() string {
	if len(s.r.Kernels) == 0 {
		return "No kernel was measured."
	}
	base := s.r.Kernels[0]
	text, more := "Linux "+base.Release, []string(nil)
	first := true
	for _, k := range s.r.Kernels[1:] {
		switch {
		case !slices.Contains(s.against, k.Name):
			more = append(more, k.Name)
			continue
		case first:
			text += ": " + base.Name + " against " + k.Name
			first = false
		default:
			text += ", " + k.Name
		}
		var facts []string
		if k.Release != base.Release {
			facts = append(facts, k.Release)
		}
		if n := len(k.Patches); n == 1 {
			facts = append(facts, "1 patch")
		} else if n > 0 {
			facts = append(facts, fmt.Sprintf("%d patches", n))
		}
		if k.Series != "" {
			facts = append(facts, "series "+short(k.Series))
		}
		if len(facts) > 0 {
			text += " (" + strings.Join(facts, ", ") + ")"
		}
	}
	if len(more) > 0 {
		text += ", beside " + strings.Join(more, ", ")
	}
	return text
}

// repeated says how often was measured.
func (s *sheet) repeated() string {
	counts := make(map[string]int)
	var order []string
	for _, b := range s.r.Boots {
		if counts[b.Column()] == 0 {
			order = append(order, b.Column())
		}
		counts[b.Column()]++
	}
	slices.SortFunc(order, func(a, b string) int { return s.rank(a) - s.rank(b) })
	var parts []string
	for _, c := range order {
		parts = append(parts, fmt.Sprintf("%d of %s", counts[c], c))
	}
	thing := "boot"
	switch {
	case slices.Equal(s.arms, []results.Method{results.Native}):
		thing = "process"
	case slices.Contains(s.arms, results.Native) || slices.Contains(s.arms, results.Running):
		thing = "run"
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
		text += fmt.Sprintf(" Not measured (%s): %s: %s.", armName(o.Method), o.What, o.Why)
	}
	return text
}

// mostReasons is how many different reasons to throw boots away are told.
const mostReasons = 3

// discarded says which boots were thrown away, the reasons once each.
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
		boots[d.Why] = append(boots[d.Why], fmt.Sprintf("%s in round %d (%s)", d.Column(), d.Round+1, armName(d.Method)))
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

// rank orders columns as the kernels are listed.
func (s *sheet) rank(column string) int {
	for i, k := range s.r.Kernels {
		if column == k.Name {
			return 2 * i
		}
		if column == again(k.Name) {
			return 2*i + 1
		}
	}
	return 2 * len(s.r.Kernels)
}

// where says where and with what was measured, one fact an element.
func (s *sheet) where() []string {
	var out []string
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
	add("%s", s.each(func(k results.Kernel) string { return k.Compiler }))
	add("%s preemption", s.each(func(k results.Kernel) string { return k.Preemption }))
	add("%s RCU", s.each(func(k results.Kernel) string { return k.RCU }))
	add("HZ=%s", s.each(func(k results.Kernel) string { return fmt.Sprint(k.HZ) }))
	add("config %s", s.each(func(k results.Kernel) string { return short(k.Config) }))
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

// each returns what all kernels have in common, or what each has.
func (s *sheet) each(of func(results.Kernel) string) string {
	var values, named []string
	for _, k := range s.r.Kernels {
		v := of(k)
		if !slices.Contains(values, v) {
			values = append(values, v)
		}
		named = append(named, k.Name+": "+v)
	}
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(named, ", ")
}

// measuredAt lists the sizes of VMs that were measured.
func (s *sheet) measuredAt() []int {
	var out []int
	for _, b := range s.r.Boots {
		for _, c := range b.Creates {
			out = append(out, c.VM.VCPUs)
		}
		for _, l := range b.Loops {
			out = append(out, l.VM.VCPUs)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
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

// hasParts says that creations were split into their parts.
func (s *sheet) hasParts() bool {
	return slices.ContainsFunc(s.groups, func(g group) bool {
		return g.kind == kindBuild && slices.ContainsFunc(g.rows, func(r row) bool { return strings.Contains(r.label, ", ") })
	})
}

// explanations say what the words in the sheet mean.
func (s *sheet) explanations() []string {
	var out []string
	if at := s.measuredAt(); len(at) > 0 {
		out = append(out, "Measured with "+enumerate(at)+" vCPUs.")
	}
	has := func(k kind, ids measure.IDs) bool {
		return slices.ContainsFunc(s.groups, func(g group) bool {
			return g.kind == k && slices.ContainsFunc(g.rows, func(r row) bool {
				return ids == "" || strings.Contains(r.label, string(ids))
			})
		})
	}
	if has(kindByID, measure.Sparse) {
		text := "Dense IDs: the ID is the index. Sparse IDs: 3, 7, 11, ..."
		if has(kindByID, measure.Shuffled) {
			text += " Shuffled IDs: as many as vCPUs, none its index."
		}
		out = append(out, text)
	}
	if slices.Contains(s.arms, results.Native) {
		out = append(out, "In user space: what a lookup consists of is taken out of each kernel's source and compiled with its own lib/xarray.c."+
			" Readers of RCU cost what they do where RCU is preemptible. What else a kernel does meanwhile is not in it.")
	}
	if slices.Contains(s.arms, results.Running) {
		out = append(out, "The running kernel was not booted for this: what differs from one boot to the next is not in A/A.")
	}
	if has(kindWalk, "") {
		out = append(out, "The walk's cost includes the addition that its body makes.")
	}
	if has(kindCreate, "") {
		out = append(out, fmt.Sprintf(
			"One KVM_CREATE_VCPU: median of eight, from the ordinal on, in a VM of %d vCPUs.", s.largest))
	}
	if s.hasParts() {
		out = append(out, "Of all KVM_CREATE_VCPU of a VM, arch is what kvm_arch_vcpu_create() takes, waiting is for grace periods, and rest is what remains.")
	}
	if has(kindGrowth, "") {
		out = append(out, "The last over the first: the median over the last eighth of a VM's vCPUs, by that over the second eighth;"+
			" the first one pays for what is done once.")
	}
	out = append(out, s.usageExplanations()...)
	out = append(out, s.stallExplanations()...)
	out = append(out, s.raceExplanations()...)
	if has(kindMemory, "") {
		out = append(out, "Memory is what the allocators set aside, padding included: what holds vCPUs is all"+
			" beyond struct kvm and struct kvm_vcpu, which are counted with the architecture's part.")
	}
	return out
}
