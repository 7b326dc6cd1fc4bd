// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// figureOf is a plot with what is said about it.
type figureOf struct {
	Title   string
	Caption string
	SVG     template.HTML
}

// lookupPlots draw what a lookup costs against the number of vCPUs.
func (s *sheet) lookupPlots(arm results.Method) []figureOf {
	var out []figureOf
	which := ""
	if s.hasVariants() && s.numbers(measure.Sparse) {
		which = string(measure.Sparse) + " " // there is room for one line of each kernel
	}
	found := func(l string) bool { return usual(l) && strings.HasPrefix(l, which) }
	lost := func(l string) bool {
		rest, ok := strings.CutPrefix(l, missing)
		return ok && found(rest)
	}
	for _, want := range []struct {
		kind  kind
		title string
		label func(string) bool
		what  string
	}{
		{kindGet, "kvm_get_vcpu()", usual, "Lookup of indices"},
		{kindWalk, "kvm_for_each_vcpu(), per vCPU", usual, "Cost of a walk over all vCPUs, divided by their number,"},
		{kindByID, "kvm_get_vcpu_by_id(), found", found,
			"Lookup of " + which + "IDs that vCPUs have"},
		{kindByID, "kvm_get_vcpu_by_id(), not found", lost,
			"Lookup of " + which + "IDs that no vCPU has"},
	} {
		p := plot{title: want.title}
		s.addSeries(&p, want.kind, want.label, arm)
		if len(p.series) == 0 {
			continue
		}
		p.x = sizesAxis("vCPUs of the VM, logarithmic", s.largest)
		caption := want.what + " in VMs of " + measuredSizes(p.series) + " vCPUs. "
		lo, hi := p.span()
		if lo > 0 && hi/lo > 20 {
			p.y = decades(unitName(arm)+" (log)", lo, hi)
			caption += "Both axes are logarithmic: what rises tenfold from 10 to 100 vCPUs is a linear search. "
		} else {
			p.y = linear(unitName(arm), hi)
		}
		out = append(out, s.finish(p, arm, caption, len(out)))
	}
	return out
}

// usual says that a label is of lookups in the usual order, of IDs that are not
// shuffled: others are in the tables.
func usual(label string) bool {
	_, order, _ := strings.Cut(label, ", ")
	return label == "" || strings.HasSuffix(label, " IDs") && order == "" && !strings.HasPrefix(label, string(measure.Shuffled))
}

// numbers says that lookups of such IDs were measured.
func (s *sheet) numbers(ids measure.IDs) bool {
	return slices.ContainsFunc(s.r.Figures, func(f results.Figure) bool {
		return strings.HasPrefix(f.Name, "by_id/") && parseShape(f.Name).ids == ids
	})
}

// addSeries adds a line for every label and kernel of a kind.
func (s *sheet) addSeries(p *plot, k kind, label func(string) bool, arm results.Method) {
	for _, g := range s.groups {
		if g.kind != k {
			continue
		}
		var labels []string
		for _, r := range g.rows {
			if label(r.label) && !slices.Contains(labels, r.label) {
				labels = append(labels, r.label)
			}
		}
		for i, l := range labels {
			for n, kernel := range s.kernels {
				line := series{kernel: n, dashed: i > 0, line: true, marks: true, name: kernel}
				if len(labels) > 1 {
					ids, _, _ := strings.Cut(strings.TrimPrefix(l, missing), " ")
					line.name += ", " + ids
				}
				for _, r := range g.rows {
					if f, ok := r.cells[cell{arm, kernel}]; ok && r.label == l {
						line.points = append(line.points, point{float64(r.sizes[0]), f.Value})
					}
				}
				if len(line.points) > 0 {
					p.series = append(p.series, line)
				}
			}
		}
	}
}

// span returns the smallest and the largest value.
func (p plot) span() (lo, hi float64) {
	for i, s := range p.series {
		for j, at := range s.points {
			if i == 0 && j == 0 {
				lo, hi = at.y, at.y
			}
			lo, hi = min(lo, at.y), max(hi, at.y)
		}
	}
	return lo, hi
}

// finish draws the plot and completes its caption.
func (s *sheet) finish(p plot, arm results.Method, caption string, n int) figureOf {
	p.id = fmt.Sprintf("%s-%s-%d", arm, strings.ToLower(strings.Fields(p.title)[0]), n)
	p.id = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return -1
	}, p.id)
	var said []string
	for _, line := range p.series {
		if line.marks && line.name != "" {
			said = append(said, line.describe())
		}
	}
	p.text = strings.Join(said, " ")
	return figureOf{p.title, caption + s.howOften(arm), template.HTML(p.svg())}
}

// describe lists a line's points in words.
func (s series) describe() string {
	var parts []string
	for _, at := range s.points {
		parts = append(parts, fmt.Sprintf("%s at %.0f", number(at.y, 1), at.x))
	}
	return s.name + ": " + strings.Join(parts, ", ") + "."
}

// howOften says where a plot's figures are from.
func (s *sheet) howOften(arm results.Method) string {
	boots := 0
	for _, b := range s.r.Boots {
		if b.Method == arm && b.Column() == s.base {
			boots++
		}
	}
	unit := "instructions, counted by QEMU's TCG"
	thing := "boot"
	switch arm {
	case results.KVM:
		unit = "nanoseconds under QEMU with KVM, medians"
	case results.Native:
		unit, thing = "nanoseconds in user space, medians", "process"
	case results.Running:
		unit, thing = "nanoseconds of the running kernel, medians", "run"
	}
	return fmt.Sprintf("%s%s; %s of each kernel.", strings.ToUpper(unit[:1]), unit[1:], count(boots, thing))
}

func measuredSizes(all []series) string {
	var sizes []int
	for _, s := range all {
		for _, at := range s.points {
			sizes = append(sizes, int(at.x))
		}
	}
	slices.Sort(sizes)
	return enumerate(slices.Compact(sizes))
}
