// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// The operations of figures about what lookups are worth where KVM uses them.
const (
	opPath  = "path"
	opStart = "start"
)

// pathNames say what a guest, or user space, has KVM do.
var pathNames = map[measure.Path]string{
	measure.PathRequest:   "request to all vCPUs",
	measure.PathYield:     "yield, to nobody",
	measure.PathIPI:       "IPI to all others",
	measure.PathHyperVIPI: "Hyper-V IPI to one",
	measure.PathSynIC:     "Hyper-V SynIC, to one",
	measure.PathXenSend:   "Xen event, from the guest",
	measure.PathXenIoctl:  "Xen event, from outside",
	measure.PathDirtyRing: "reset of dirty rings",
}

// usage says that the figure is about what lookups are worth where KVM uses
// them.
func (s shape) usage() bool { return s.op == opPath || s.op == opStart }

// placeUsage says where a figure about that stands.
func (s shape) placeUsage() (kind kind, label string, size int, ok bool) {
	ids := ""
	if s.ids != measure.Sparse {
		ids = ", " + s.numbered()
	}
	name := pathNames[measure.Path(s.path)]
	switch {
	case s.op == opPath && name != "" && s.part == "call":
		return kindPath, name + ids, s.vcpus, true
	case s.op == opPath && name != "" && s.part == "rate":
		return kindRate, name + ids, s.vcpus, true
	case s.op == opStart && s.part == "created":
		return kindStart, "all vCPUs created" + ids, s.vcpus, true
	case s.op == opStart && s.part == "ran":
		return kindStart, "each has run once" + ids, s.vcpus, true
	}
	return kindOther, "", 0, true
}

// aboutUsage says what the kinds about what lookups are worth are.
func (k kind) aboutUsage() (title, per, sizes string) {
	switch k {
	case kindPath:
		return "Functions that look vCPUs up, in a running guest", "a call", "vCPUs"
	case kindRate:
		return "How often they are called there", "", "vCPUs"
	}
	return "Start of a VM, from KVM_CREATE_VM on", "a VM", "vCPUs"
}

// ratePer says what a rate is in on an arm.
func ratePer(arm results.Method) string {
	if arm == results.ICount {
		return "calls in 10^9 instructions of all that is run, not in a second"
	}
	return "calls in a second"
}

// usageExplanations say what the figures about what lookups are worth mean.
func (s *sheet) usageExplanations() []string {
	for _, g := range s.groups {
		if g.kind == kindPath {
			text := "Functions that look vCPUs up: a small guest has its first vCPU do the same thing again and again, and each call of KVM's function for it is bracketed;" +
				" it is the median of them, less what an empty bracket takes. vCPU IDs are sparse unless said otherwise."
			if slices.Contains(s.arms, results.ICount) {
				text += " Calls in 10^9 instructions of guest, exits and user space together say how much of it all the function is."
			}
			return []string{text + " What the start of a VM takes hangs on what the allocators have at hand: less than ten per cent are not told apart."}
		}
	}
	return nil
}

// pathPlots draw what a call costs against the number of vCPUs, a path a plot.
func (s *sheet) pathPlots(arm results.Method) []figureOf {
	var labels []string
	largest := 0
	for _, g := range s.groups {
		if g.kind != kindPath {
			continue
		}
		for _, r := range g.rows {
			largest = max(largest, r.sizes[0])
			if !slices.Contains(labels, r.label) {
				labels = append(labels, r.label)
			}
		}
	}
	var out []figureOf
	for _, label := range labels {
		p := plot{title: strings.ToUpper(label[:1]) + label[1:]}
		s.addSeries(&p, kindPath, func(l string) bool { return l == label }, arm)
		if len(p.series) == 0 {
			continue
		}
		lo, hi := p.span()
		p.x, p.y = sizesAxis("vCPUs of the VM, logarithmic", largest), decades(unitName(arm)+" (log)", lo, hi)
		caption := "A call of KVM's function for it, in VMs of " + measuredSizes(p.series) + " vCPUs. Both axes are logarithmic. "
		out = append(out, s.finish(p, arm, caption, len(out)))
	}
	return out
}
