// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"maps"
	"math"
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

const headroom = 1.2 // of a plot that stays free above the highest line

// part is which part of a creation is drawn.
type part struct {
	title, caption string
	ids            measure.IDs
	of             func(measure.Create) []int64 // the part of each creation, by ordinal, nil if it was not measured
	sum            bool                         // of all so far
}

// creationParts are what is drawn by ordinal.
var creationParts = []part{
	{"KVM_CREATE_VCPU by ordinal, dense IDs", "The whole ioctl", measure.Dense, wholeIoctl, false},
	{"KVM_CREATE_VCPU by ordinal, sparse IDs", "The whole ioctl", measure.Sparse, wholeIoctl, false},
	{"KVM_CREATE_VCPU less kvm_arch_vcpu_create()", "What is not the architecture's", measure.Dense, func(c measure.Create) []int64 {
		var out []int64
		for i, arch := range c.ArchNanos {
			out = append(out, c.Nanos[i]-arch)
		}
		return out
	}, false},
	{"kvm_arch_vcpu_create() by ordinal", "The architecture's part", measure.Dense, func(c measure.Create) []int64 { return c.ArchNanos }, false},
	{"Building a VM: all its KVM_CREATE_VCPU", "", measure.Dense, func(c measure.Create) []int64 {
		sum := slices.Clone(c.Nanos)
		for i := 1; i < len(sum); i++ {
			sum[i] += sum[i-1]
		}
		return sum
	}, true},
}

func wholeIoctl(c measure.Create) []int64 { return c.Nanos }

// Creations draw the raw samples of KVM_CREATE_VCPU of the largest VM: each one
// by ordinal, and their sum.
func (p methodPart) Creations() []plot {
	var out []plot
	for _, of := range creationParts {
		draw := p.ordinalPlot
		if of.sum {
			draw = p.buildPlot
		}
		if drawn := p.creations(p.M, of); len(drawn) > 0 {
			out = append(out, draw(p.M, of, drawn, len(out)))
		}
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
		byOrdinal := make([][]float64, s.Largest)
		for _, b := range s.boots(m, column) {
			for _, c := range b.Creates {
				if c.VM.VCPUs != s.Largest || c.VM.IDs != want.ids || len(c.ArchNanos) > len(c.Nanos) {
					continue
				}
				if samples := want.of(c); len(samples) == s.Largest {
					of.boots++
					for i, n := range samples {
						byOrdinal[i] = append(byOrdinal[i], float64(n))
					}
				}
			}
		}
		if of.boots > 0 {
			of.costs = each(byOrdinal, results.Median)
			out = append(out, of)
		}
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
	p := plot{Title: want.title, X: countAxis("vCPUs there already", s.Largest)}
	dot := "one ioctl"
	var lines []series
	var costs []float64
	for _, c := range drawn {
		if c.boots > 1 {
			dot = "the median over boots"
		}
		costs = append(costs, c.costs...)
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

	p.Caption = fmt.Sprintf("%s, for each vCPU of a VM of %d with %s IDs: a dot is %s, the line a running median. ",
		want.caption, s.Largest, want.ids, dot)
	higher := slices.DeleteFunc(slices.Clone(costs), func(cost float64) bool { return cost <= p.Y.max })
	if len(higher) > 0 {
		p.Caption += fmt.Sprintf("%d of %d dots lie higher, at up to %s, and are drawn at the upper edge. ",
			len(higher), len(costs), number(slices.Max(higher), 0))
	}
	// Lines last, above the dots.
	p.Series = append(p.Series, lines...)
	return s.finish(p, m, n)
}

// buildPlot draws what all creations of a VM cost together, against their number.
func (s *sheet) buildPlot(m figure.Method, want part, drawn []created, n int) plot {
	p := plot{Title: want.title, X: countAxis("vCPUs of the VM", s.Largest)}
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
		if f, ok := s.Find(figure.VM(figure.CreateGrowth, measure.VM{VCPUs: s.Largest, IDs: measure.Dense}), c.column, m); ok {
			growth = append(growth, fmt.Sprintf("%s of %s", number(f.Value, 2), c.column))
		}
	}
	p.Y = linear(m.Quantity(), top)
	p.Caption = fmt.Sprintf("The sum over all vCPUs so far, in a VM of %d with dense IDs. "+
		"Marks are VMs that were built to that size only; a dashed line goes on as the first eighth began. ", s.Largest)
	if len(growth) > 0 {
		p.Caption += fmt.Sprintf("How steep it is at the end over at the beginning: %s; 1 is a straight line. ", strings.Join(growth, ", "))
	}
	return s.finish(p, m, n)
}

// straight goes on from the first eighth of a line as if it were straight.
func (s *sheet) straight(of series) series {
	out := series{Kernel: of.Kernel, Dashed: true, Line: true}
	for _, at := range of.Points {
		if at.X >= float64(s.Largest)/8 {
			out.Points = []point{{0, 0}, {float64(s.Largest), at.Y / at.X * float64(s.Largest)}}
			break
		}
	}
	return out
}

// Waiting lists the longest wait of each kernel and phase, and where in the
// kernel it was.
func (p methodPart) Waiting() []string {
	var out []string
	unit := "ns"
	if p.M.Exact() {
		unit = "ns of the virtual clock"
	}
	add := func(b results.Boot, what string, c measure.Call) {
		out = append(out, fmt.Sprintf("%s: %s, for %s %s, in %s.", b.Column(), what,
			number(float64(c.LongestNanos), 0), unit, strings.Join(c.Stack, " < ")))
	}
	for _, b := range p.Boots {
		if b.Method != p.M {
			continue
		}
		for _, g := range b.Gaps {
			if g.Longest != nil {
				add(b, fmt.Sprintf("a running vCPU waited %d times %s, longest", g.Blocked.Count, figure.PhaseText(g.Phase)), *g.Longest)
			}
		}
		for _, g := range b.Growths {
			longest, times := measure.Call{}, uint64(0)
			for _, c := range g.Create {
				times += c.Blocked
				if c.LongestNanos > longest.LongestNanos {
					longest = c
				}
			}
			if times > 0 {
				what := "with no vCPU running"
				if g.Phase.Runs() {
					what = "with a vCPU running, " + strings.TrimPrefix(figure.PhaseText(g.Phase), "while ")
				} else if g.Phase != "" {
					what = figure.PhaseText(g.Phase)
				}
				add(b, fmt.Sprintf("KVM_CREATE_VCPU waited %d times %s, longest", times, what), longest)
			}
		}
	}
	return out
}

// Gaps draw how gaps are distributed in each phase, a kernel a line.
func (p methodPart) Gaps() []plot {
	var out []plot
	for _, phase := range []measure.Phase{measure.Before, measure.During, measure.After, measure.Other} {
		drawn := plot{Title: "Exit to entry, " + figure.PhaseText(phase)}
		vcpus, shortest, longest := 0, math.Inf(1), 0.0
		for k, column := range p.Compared() {
			line, g := p.gapLine(p.M, column, phase)
			if len(line) == 0 {
				continue
			}
			vcpus = g.VM.VCPUs
			shortest, longest = min(shortest, line[0].X), max(longest, line[len(line)-1].X)
			drawn.Series = append(drawn.Series, series{Name: column, Kernel: k, Line: true, Points: line})
		}
		if len(drawn.Series) == 0 {
			continue
		}

		drawn.X = decades(p.M.Quantity()+" from exit to entry (log)", shortest, longest)
		// As parts of a million: an axis has no values below 1.
		drawn.Y = decades("longer, of a million (log)", 1, 1e6)
		drawn.Caption = fmt.Sprintf("How many of the gaps without a task switch are longer, in a VM that grows to %d vCPUs. ", vcpus)
		out = append(out, p.finish(drawn, p.M, len(out)))
	}
	return out
}

// gapLine is, for each length, how many gaps in a million are longer. All boots
// of a kernel are taken together.
func (s *sheet) gapLine(m figure.Method, column string, phase measure.Phase) (line []point, of measure.Gaps) {
	counts := make(map[int]uint64)
	all := uint64(0)
	for _, b := range s.boots(m, column) {
		for _, g := range b.Gaps {
			if g.Phase != phase {
				continue
			}
			of = g
			for _, c := range g.Ran {
				if c.Bucket >= 0 && c.Bucket < measure.NumBuckets && c.Count > 0 {
					counts[c.Bucket] += c.Count
					all += c.Count
				}
			}
		}
	}

	left := all
	for _, bucket := range slices.Sorted(maps.Keys(counts)) {
		low, high := measure.Bounds(bucket)
		if line == nil {
			line = append(line, point{max(float64(low), 1), 1e6})
		}
		if left -= counts[bucket]; left > 0 {
			line = append(line, point{float64(high), float64(left) / float64(all) * 1e6})
		}
	}
	return line, of
}
