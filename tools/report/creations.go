// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Of the lines through raw samples: how many neighbours on either side a
// running median takes, and how many points a line has at most.
const (
	neighbours = 8
	maxPoints  = 256
)

// headroom is how much of a plot stays free above the highest line.
const headroom = 1.2

// part is which part of a creation is drawn.
type part struct {
	title, caption string
	ids            measure.IDs
	// of is the part of each creation, nil if it was not measured.
	of func(measure.Create) []int64
}

// creationParts are what is drawn by ordinal.
var creationParts = []part{
	{"KVM_CREATE_VCPU by ordinal, dense IDs", "The whole ioctl", measure.Dense, wholeIoctl},
	{"KVM_CREATE_VCPU by ordinal, sparse IDs", "The whole ioctl", measure.Sparse, wholeIoctl},
	{"KVM_CREATE_VCPU less kvm_arch_vcpu_create()", "What is not the architecture's", measure.Dense, func(c measure.Create) []int64 {
		var out []int64
		for i, arch := range c.ArchNanos {
			out = append(out, c.Nanos[i]-arch)
		}
		return out
	}},
	{"kvm_arch_vcpu_create() by ordinal", "The architecture's part", measure.Dense, func(c measure.Create) []int64 { return c.ArchNanos }},
}

func wholeIoctl(c measure.Create) []int64 { return c.Nanos }

// creationPlots draw the raw samples of KVM_CREATE_VCPU of the largest VM:
// each one by ordinal, and their sum.
func (s *sheet) creationPlots(m figure.Method) []drawing {
	var out []drawing
	for _, p := range creationParts {
		if f, ok := s.ordinalPlot(m, p, len(out)); ok {
			out = append(out, f)
		}
	}
	if f, ok := s.buildPlot(m, len(out)); ok {
		out = append(out, f)
	}
	return out
}

// samplesOf returns the raw creations of the largest VM with such IDs, of one
// kernel, a slice a boot.
func (s *sheet) samplesOf(m figure.Method, column string, want part) [][]int64 {
	var out [][]int64
	for _, b := range s.r.Boots {
		if b.Method != m || b.Column() != column {
			continue
		}
		for _, c := range b.Creates {
			if c.VM.VCPUs != s.largest || c.VM.IDs != want.ids {
				continue
			}
			if len(c.ArchNanos) > len(c.Nanos) {
				continue
			}
			if samples := want.of(c); len(samples) == s.largest {
				out = append(out, samples)
			}
		}
	}
	return out
}

// ordinalPlot draws what each creation cost.
func (s *sheet) ordinalPlot(m figure.Method, want part, n int) (drawing, bool) {
	p := plot{title: want.title}
	top, boots, dots := 0.0, 0, []float64(nil)
	var lines []series
	for _, column := range append([]string{s.base}, s.against...) {
		k := slices.Index(s.kernels, column)
		samples := s.samplesOf(m, column, want)
		if len(samples) == 0 {
			continue
		}
		boots = max(boots, len(samples))
		costs := medians(samples)
		dots = append(dots, costs...)
		cloud := series{kernel: k}
		for i, c := range costs {
			cloud.points = append(cloud.points, point{float64(i), c})
		}
		p.series = append(p.series, cloud)
		line := series{name: column, kernel: k, line: true}
		for i := range costs {
			if keep(i, len(costs)) {
				running := results.Median(costs[max(i-neighbours, 0):min(i+neighbours+1, len(costs))])
				line.points = append(line.points, point{float64(i), running})
				top = max(top, running)
			}
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return drawing{}, false
	}
	// Lines last, above the dots.
	p.series = append(p.series, lines...)
	p.x = countAxis("vCPUs there already", s.largest)
	p.y = linear(m.Quantity(), top*headroom)
	dot := "one ioctl"
	if boots > 1 {
		dot = "the median over boots"
	}
	caption := fmt.Sprintf("%s, for each vCPU of a VM of %d with %s IDs: a dot is %s, the line a running median. ",
		want.caption, s.largest, want.ids, dot)
	above, largest := 0, 0.0
	for _, d := range dots {
		if d > p.y.max {
			above++
		}
		largest = max(largest, d)
	}
	if above > 0 {
		caption += fmt.Sprintf("%d of %d dots lie higher, at up to %s, and are drawn at the upper edge. ",
			above, len(dots), number(largest, 0))
	}
	return s.finish(p, m, caption, n), true
}

// buildPlot draws what all creations of a VM cost together, against their
// number.
func (s *sheet) buildPlot(m figure.Method, n int) (drawing, bool) {
	p := plot{title: "Building a VM: all its KVM_CREATE_VCPU"}
	top, growth := 0.0, []string(nil)
	for _, column := range append([]string{s.base}, s.against...) {
		k := slices.Index(s.kernels, column)
		samples := s.samplesOf(m, column, part{ids: measure.Dense, of: wholeIoctl})
		if len(samples) == 0 {
			continue
		}
		line := series{name: column, kernel: k, line: true}
		for i, sum := range medians(sums(samples)) {
			if keep(i, s.largest) {
				line.points = append(line.points, point{float64(i + 1), sum})
				top = max(top, sum)
			}
		}
		p.series = append(p.series, line)
		if whole := s.builds(m, column, k); len(whole.points) > 0 {
			p.series = append(p.series, whole)
		}
		p.series = append(p.series, s.straight(line))
		if f, ok := s.r.Find(figure.VM(figure.CreateGrowth, measure.VM{VCPUs: s.largest, IDs: measure.Dense}), column, m); ok {
			growth = append(growth, fmt.Sprintf("%s of %s", number(f.Value, 2), column))
		}
	}
	if len(p.series) == 0 {
		return drawing{}, false
	}
	p.x = countAxis("vCPUs of the VM", s.largest)
	p.y = linear(m.Quantity(), top)
	caption := fmt.Sprintf("The sum over all vCPUs so far, in a VM of %d with dense IDs. "+
		"Marks are VMs that were built to that size only; a dashed line goes on as the first eighth began. ", s.largest)
	if len(growth) > 0 {
		caption += fmt.Sprintf("How steep it is at the end over at the beginning: %s; 1 is a straight line. ", strings.Join(growth, ", "))
	}
	return s.finish(p, m, caption, n), true
}

// straight goes on from the first eighth of a line as if it were straight.
func (s *sheet) straight(of series) series {
	out := series{kernel: of.kernel, dashed: true, line: true}
	for _, at := range of.points {
		if at.x >= float64(s.largest)/8 {
			out.points = []point{{0, 0}, {float64(s.largest), at.y / at.x * float64(s.largest)}}
			break
		}
	}
	return out
}

// builds returns the totals of VMs of every size as marks.
func (s *sheet) builds(m figure.Method, column string, kernel int) series {
	out := series{kernel: kernel, marks: true}
	for _, f := range s.r.Figures {
		if f.Method == m && f.Column == column && f.Key.Op == figure.CreateAll && f.Key.IDs == measure.Dense {
			out.points = append(out.points, point{float64(f.Key.VCPUs), f.Value})
		}
	}
	return out
}

// medians returns the median over boots of each ordinal.
func medians(samples [][]int64) []float64 {
	out := make([]float64, len(samples[0]))
	for i := range out {
		var column []float64
		for _, s := range samples {
			column = append(column, float64(s[i]))
		}
		out[i] = results.Median(column)
	}
	return out
}

// sums returns the running sums of each boot.
func sums(samples [][]int64) [][]int64 {
	var out [][]int64
	for _, s := range samples {
		all := slices.Clone(s)
		for i := range all[1:] {
			all[i+1] += all[i]
		}
		out = append(out, all)
	}
	return out
}

// keep says which of n points a line is drawn through: the first, the last
// and so many between them as can be seen.
func keep(i, n int) bool {
	return i%max(n/maxPoints, 1) == 0 || i == n-1
}
