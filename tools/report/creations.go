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
	// of is the part of each creation, by ordinal, nil if it was not measured.
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

// building is the sum of all creations so far.
var building = part{"Building a VM: all its KVM_CREATE_VCPU", "", measure.Dense, func(c measure.Create) []int64 {
	sum := slices.Clone(c.Nanos)
	for i := 1; i < len(sum); i++ {
		sum[i] += sum[i-1]
	}
	return sum
}}

// Creations draw the raw samples of KVM_CREATE_VCPU of the largest VM: each one
// by ordinal, and their sum.
func (p methodPart) Creations() []plot {
	var out []plot
	for _, of := range creationParts {
		if drawn := p.creations(p.M, of); len(drawn) > 0 {
			out = append(out, p.ordinalPlot(p.M, of, drawn, len(out)))
		}
	}
	if drawn := p.creations(p.M, building); len(drawn) > 0 {
		out = append(out, p.buildPlot(p.M, drawn, len(out)))
	}
	return out
}

// created is what a kernel's creations cost, by ordinal: the median over boots.
type created struct {
	column string
	kernel int // its place among the kernels
	boots  int
	costs  []float64
}

// creations returns what the raw creations of the largest VM cost on the kernels
// that were measured.
func (s *sheet) creations(m figure.Method, want part) []created {
	var out []created
	for _, column := range s.Compared() {
		of := created{column: column, kernel: slices.Index(s.kernels, column)}
		byOrdinal := make([][]float64, s.largest)
		for _, b := range s.Boots {
			if b.Method != m || b.Column() != column {
				continue
			}
			for _, c := range b.Creates {
				if c.VM.VCPUs != s.largest || c.VM.IDs != want.ids || len(c.ArchNanos) > len(c.Nanos) {
					continue
				}
				if samples := want.of(c); len(samples) == s.largest {
					of.boots++
					for i, n := range samples {
						byOrdinal[i] = append(byOrdinal[i], float64(n))
					}
				}
			}
		}
		if of.boots == 0 {
			continue
		}
		for _, costs := range byOrdinal {
			of.costs = append(of.costs, results.Median(costs))
		}
		out = append(out, of)
	}
	return out
}

// line is a line through the costs, of the first, the last and so many between
// them as can be seen.
func (c created) line(cost func(ordinal int) point) series {
	out := series{Name: c.column, Kernel: c.kernel, Line: true}
	for i := range c.costs {
		if i%max(len(c.costs)/maxPoints, 1) == 0 || i == len(c.costs)-1 {
			out.Points = append(out.Points, cost(i))
		}
	}
	return out
}

// ordinalPlot draws what each creation cost.
func (s *sheet) ordinalPlot(m figure.Method, want part, drawn []created, n int) plot {
	p := plot{Title: want.title, X: countAxis("vCPUs there already", s.largest)}
	var lines []series
	for _, c := range drawn {
		cloud := series{Kernel: c.kernel}
		for i, cost := range c.costs {
			cloud.Points = append(cloud.Points, point{float64(i), cost})
		}
		p.Series = append(p.Series, cloud)
		lines = append(lines, c.line(func(i int) point {
			return point{float64(i), results.Median(c.costs[max(i-neighbours, 0):min(i+neighbours+1, len(c.costs))])}
		}))
	}
	_, top := span(lines)
	p.Y = linear(m.Quantity(), top*headroom)

	dot := "one ioctl"
	all, above, largest := 0, 0, 0.0
	for i, c := range drawn {
		if c.boots > 1 {
			dot = "the median over boots"
		}
		for _, at := range p.Series[i].Points {
			all++
			if at.Y > p.Y.max {
				above++
			}
			largest = max(largest, at.Y)
		}
	}
	p.Caption = fmt.Sprintf("%s, for each vCPU of a VM of %d with %s IDs: a dot is %s, the line a running median. ",
		want.caption, s.largest, want.ids, dot)
	if above > 0 {
		p.Caption += fmt.Sprintf("%d of %d dots lie higher, at up to %s, and are drawn at the upper edge. ", above, all, number(largest, 0))
	}
	// Lines last, above the dots.
	p.Series = append(p.Series, lines...)
	return s.finish(p, m, n)
}

// buildPlot draws what all creations of a VM cost together, against their
// number.
func (s *sheet) buildPlot(m figure.Method, drawn []created, n int) plot {
	p := plot{Title: building.title, X: countAxis("vCPUs of the VM", s.largest)}
	top, growth := 0.0, []string(nil)
	for _, c := range drawn {
		line := c.line(func(i int) point { return point{float64(i + 1), c.costs[i]} })
		_, last := span([]series{line})
		top = max(top, last)

		// VMs that were built to every size.
		whole := series{Kernel: c.kernel, Marks: true}
		for _, f := range s.Figures {
			if f.Method == m && f.Column == c.column && f.Key.Op == figure.CreateAll && f.Key.IDs == measure.Dense {
				whole.Points = append(whole.Points, point{float64(f.Key.VCPUs), f.Value})
			}
		}
		p.Series = append(p.Series, line)
		if len(whole.Points) > 0 {
			p.Series = append(p.Series, whole)
		}
		p.Series = append(p.Series, s.straight(line))
		if f, ok := s.Find(figure.VM(figure.CreateGrowth, measure.VM{VCPUs: s.largest, IDs: measure.Dense}), c.column, m); ok {
			growth = append(growth, fmt.Sprintf("%s of %s", number(f.Value, 2), c.column))
		}
	}
	p.Y = linear(m.Quantity(), top)
	p.Caption = fmt.Sprintf("The sum over all vCPUs so far, in a VM of %d with dense IDs. "+
		"Marks are VMs that were built to that size only; a dashed line goes on as the first eighth began. ", s.largest)
	if len(growth) > 0 {
		p.Caption += fmt.Sprintf("How steep it is at the end over at the beginning: %s; 1 is a straight line. ", strings.Join(growth, ", "))
	}
	return s.finish(p, m, n)
}

// straight goes on from the first eighth of a line as if it were straight.
func (s *sheet) straight(of series) series {
	out := series{Kernel: of.Kernel, Dashed: true, Line: true}
	for _, at := range of.Points {
		if at.X >= float64(s.largest)/8 {
			out.Points = []point{{0, 0}, {float64(s.largest), at.Y / at.X * float64(s.largest)}}
			break
		}
	}
	return out
}
