// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// drawing is a plot with what is said about it.
type drawing struct {
	Title   string
	Caption string
	SVG     template.HTML
}

// curvePlots draw operations against the number of vCPUs, those for which
// want says so: curves of the same title in one plot.
func (s *sheet) curvePlots(m figure.Method, want func(*figure.Operation) bool, log bool) []drawing {
	var out []drawing
	// With many kernels there is room for one line of each.
	onlySparse := s.HasVariants() && s.HasIDs(measure.Sparse)
	for _, g := range s.groups {
		var titles []string
		plots := make(map[string][]*curve)
		for _, c := range g.curves {
			op, key := c.rows[0].op(), c.rows[0].key
			if op.Plot == nil || !want(op) || op.Plot.Of != nil && !op.Plot.Of(key) ||
				onlySparse && key.Op == figure.ByID && key.IDs != measure.Sparse {
				continue
			}
			title := op.Plot.Title(key)
			if !slices.Contains(titles, title) {
				titles = append(titles, title)
			}
			plots[title] = append(plots[title], c)
		}
		for _, title := range titles {
			if d, ok := s.curvePlot(m, title, plots[title], log, len(out)); ok {
				out = append(out, d)
			}
		}
	}
	return out
}

// curvePlot draws curves, a line for each kernel.
func (s *sheet) curvePlot(m figure.Method, title string, curves []*curve, log bool, n int) (drawing, bool) {
	p := plot{title: title}
	largest := 0
	for i, c := range curves {
		for k, kernel := range s.kernels {
			line := series{kernel: k, dashed: i > 0, line: true, marks: true, name: kernel, points: points(c.rows, cell{m, kernel})}
			if len(curves) > 1 {
				line.name += ", " + string(c.rows[0].key.IDs)
			}
			if len(line.points) > 0 {
				p.series = append(p.series, line)
				largest = max(largest, int(line.points[len(line.points)-1].x))
			}
		}
	}
	if len(p.series) == 0 {
		return drawing{}, false
	}

	p.x = sizesAxis("vCPUs of the VM, logarithmic", largest)
	first := curves[0].rows[0]
	caption := first.op().Plot.Caption(first.key) + " in VMs of " + measuredSizes(p.series) + " vCPUs. "
	switch lo, hi := p.span(); {
	case log:
		p.y = decades(m.Quantity()+" (log)", lo, hi)
		caption += "Both axes are logarithmic. "
	case lo > 0 && hi/lo > 20:
		p.y = decades(m.Quantity()+" (log)", lo, hi)
		caption += "Both axes are logarithmic: what rises tenfold from 10 to 100 vCPUs is a linear search. "
	default:
		p.y = linear(m.Quantity(), hi)
	}
	return s.finish(p, m, caption, n), true
}

// points are a kernel's figures of a curve.
func points(rows []row, c cell) []point {
	var out []point
	for _, r := range rows {
		if f, ok := r.cells[c]; ok {
			out = append(out, point{float64(r.sizes[0]), f.Value})
		}
	}
	return out
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

var notInIDs = regexp.MustCompile("[^a-z0-9-]")

// finish draws the plot and completes its caption.
func (s *sheet) finish(p plot, m figure.Method, caption string, n int) drawing {
	p.id = notInIDs.ReplaceAllString(strings.ToLower(fmt.Sprintf("%s-%s-%d", m, strings.Fields(p.title)[0], n)), "")
	p.text = p.describe()

	boots := 0
	for _, b := range s.Boots {
		if b.Method == m && b.Column() == s.base {
			boots++
		}
	}
	caption += fmt.Sprintf("%s; %s of each kernel.", m.Caption(), count(boots, m.Repeated()))
	return drawing{p.title, caption, template.HTML(p.svg())}
}

// describe lists the marked points in words.
func (p plot) describe() string {
	var out []string
	for _, s := range p.series {
		if !s.marks || s.name == "" {
			continue
		}
		var parts []string
		for _, at := range s.points {
			parts = append(parts, fmt.Sprintf("%s at %.0f", number(at.y, 1), at.x))
		}
		out = append(out, s.name+": "+strings.Join(parts, ", ")+".")
	}
	return strings.Join(out, " ")
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
