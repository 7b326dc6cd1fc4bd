// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/progress"
	"vcpulab/tools/results"
)

// curvePlots draw lookups against the number of vCPUs, or those of paths: curves of
// the same title in one plot.
func (s *sheet) curvePlots(m figure.Method, paths bool) []plot {
	var out []plot
	// With many kernels there is room for one line of each.
	onlySparse := s.HasVariants() && s.HasIDs(measure.Sparse)
	for _, g := range s.groups {
		var plots ordered[*curve] // by title
		for _, c := range g.curves {
			op, key := c.rows[0].op(), c.rows[0].key
			if op.Plot == nil || paths != (op.Op == figure.PathCall) || !op.Plot.Of.Or(true, key) ||
				onlySparse && key.Op == figure.ByID && key.IDs != measure.Sparse {
				continue
			}
			plots.add(op.Plot.Title(key), c)
		}
		for _, title := range plots.keys {
			if d, ok := s.curvePlot(m, title, plots.of[title], len(out)); ok {
				out = append(out, d)
			}
		}
	}
	return out
}

// curvePlot draws curves, a line for each kernel.
func (s *sheet) curvePlot(m figure.Method, title string, curves []*curve, n int) (plot, bool) {
	p := plot{Title: title}
	for i, c := range curves {
		for _, line := range curveLines(c.rows, m, s.kernels...) {
			line.Dashed = i > 0
			if len(curves) > 1 {
				line.Name += ", " + string(c.rows[0].key.IDs)
			}
			p.Series = append(p.Series, line)
		}
	}
	if len(p.Series) == 0 {
		return p, false
	}

	var sizes []int
	for _, line := range p.Series {
		for _, at := range line.Points {
			sizes = append(sizes, int(at.X))
		}
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	p.X = sizesAxis("vCPUs of the VM, logarithmic", sizes[len(sizes)-1])
	first := curves[0].rows[0]
	p.Caption = first.op().Plot.Caption(first.key) + " in VMs of " + enumerate(sizes) + " vCPUs. "
	switch lo, hi := span(p.Series); {
	case first.key.Op == figure.PathCall:
		p.Y = decades(m.Quantity()+" (log)", lo, hi)
		p.Caption += "Both axes are logarithmic. "
	case lo > 0 && hi/lo > 20:
		p.Y = decades(m.Quantity()+" (log)", lo, hi)
		p.Caption += "Both axes are logarithmic: what rises tenfold from 10 to 100 vCPUs is a linear search. "
	default:
		p.Y = linear(m.Quantity(), hi)
	}
	return s.finish(p, m, n), true
}

// curveLines are what these kernels gave of a curve.
func curveLines(rows []row, m figure.Method, kernels ...string) []series {
	var out []series
	for k, kernel := range kernels {
		line := series{Name: kernel, Kernel: k, Line: true, Marks: true}
		for _, r := range rows {
			if f, ok := r.cells[cell{m, kernel}]; ok {
				line.Points = append(line.Points, point{float64(r.sizes[0]), f.Value})
			}
		}
		if len(line.Points) > 0 {
			out = append(out, line)
		}
	}
	return out
}

// span returns the smallest and the largest value.
func span(all []series) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, s := range all {
		for _, at := range s.Points {
			lo, hi = min(lo, at.Y), max(hi, at.Y)
		}
	}
	return lo, hi
}

var notInIDs = regexp.MustCompile("[^a-z0-9-]")

// finish completes what is said about the plot.
func (s *sheet) finish(p plot, m figure.Method, n int) plot {
	p.ID = notInIDs.ReplaceAllString(strings.ToLower(fmt.Sprintf("%s-%s-%d", m, strings.Fields(p.Title)[0], n)), "")
	p.Text = p.describe()
	p.Caption += fmt.Sprintf("%s; %s of each kernel.", m.Caption(), progress.Count(len(s.boots(m, s.base)), m.Repeated()))
	return p
}

// describe lists the marked points in words.
func (p plot) describe() string {
	out := each(p.Bars, func(b bar) string {
		return fmt.Sprintf("%s, %s: %s.", b.Name, p.X.Tick(math.Round(b.At)), number(b.Value, 1))
	})
	for _, s := range p.Series {
		if !s.Marks || s.Name == "" {
			continue
		}
		parts := each(s.Points, func(at point) string { return fmt.Sprintf("%s at %.0f", number(at.Y, 1), at.X) })
		out = append(out, s.Name+": "+strings.Join(parts, ", ")+".")
	}
	return strings.Join(out, " ")
}

// picture is one SVG, which needs nothing else.
type picture struct {
	Title  string
	Width  int
	Panels []panel
	// Light and Dark are the colours of kernels, on a light page and on a dark one.
	Light, Dark []string
}

// The colours are those of page.css.
var (
	light = []string{"#8a6d00", "#0a5fc2", "#0c7f5e", "#a1337f", "#6b4fc8", "#b4501e", "#476578", "#8f2d3f"}
	dark  = []string{"#e0b83f", "#6db1ff", "#4fcf9f", "#f08fd0", "#b7a4ff", "#ffa36b", "#a4c3d4", "#f2959f"}
)

type panel struct {
	plot
	Left int // where it begins
}

const pictureGap = 20 // between two panels

// write writes a picture of plots with colours for so many kernels.
func (p picture) write(w io.Writer, plots []plot, kernels int) error {
	if len(plots) == 0 {
		return errNothingToQuote
	}
	for i, drawn := range plots {
		drawn.Text = drawn.describe()
		p.Panels = append(p.Panels, panel{drawn.placed(), i * (plotWidth + pictureGap)})
	}
	n := min(kernels, colours)
	p.Width = len(p.Panels)*(plotWidth+pictureGap) - pictureGap/2
	p.Light, p.Dark = light[:n], dark[:n]
	return drawings.ExecuteTemplate(w, "picture", p)
}

// Picture writes one SVG, which needs nothing else: what lookups cost against the number of
// vCPUs, with and without the series. If r compares designs it is a line a design, and a walk
// in each state of the caches as bars. It returns the error of w.
func Picture(w io.Writer, r *results.Results) error {
	s, m, err := newQuoted(r)
	if err != nil {
		return err
	}
	out, kernels := picture{Title: "What lookups of vCPUs cost, in " + m.Quantity()}, []string{s.base, s.mainKernel()}
	if r.HasDesigns() {
		out, kernels, m = picture{Title: "What looking up and walking vCPUs costs, by what holds them"}, s.kernels, figure.ICount
	}
	var plots []plot
	var all []series
	for _, of := range []struct {
		title string
		key   figure.Key // without size
	}{
		{"kvm_get_vcpu()", figure.Key{Op: figure.Get, IDs: measure.Dense}},
		{"kvm_get_vcpu_by_id(), sparse IDs", figure.Key{Op: figure.ByID, IDs: measure.Sparse}},
		{"kvm_for_each_vcpu(), per vCPU", figure.Key{Op: figure.Walk, IDs: measure.Dense}},
	} {
		p := plot{Title: of.title, Series: curveLines(s.rowsOf(of.key), m, kernels...)}
		if len(p.Series) > 0 && !(r.HasDesigns() && of.key.Op == figure.ByID) {
			plots, all = append(plots, p), append(all, p.Series...)
		}
	}
	for i := range plots {
		p := &plots[i]
		if r.HasDesigns() {
			all = p.Series
		}
		lo, hi := span(all)
		p.X, p.Y = sizesAxis("vCPUs of the VM (log)", s.Largest), decades(m.Quantity()+" (log)", lo, hi)
	}
	if p, ok := s.walkBars(); ok && r.HasDesigns() {
		plots = append(plots, p)
	}
	return out.write(w, plots, len(kernels))
}

// walkBars are a walk in each state of the caches, ok unless none was timed.
func (s *sheet) walkBars() (plot, bool) {
	p := plot{Title: "kvm_for_each_vcpu(), per vCPU, timed"}
	var names []string
	width := 0.8 / float64(len(s.kernels))
	largest, lo, hi := 0, math.Inf(1), 0.0
	for _, state := range measure.States {
		rows := s.rowsOf(figure.Key{Op: figure.Cached, IDs: measure.Dense, Lookup: measure.Walk, Body: measure.ReadID, State: state})
		if len(rows) == 0 {
			continue
		}
		r := rows[len(rows)-1]
		largest = r.key.VCPUs
		for k, kernel := range s.kernels {
			if f, ok := r.cells[cell{figure.Native, kernel}]; ok {
				at := float64(len(names)) + (float64(k)-float64(len(s.kernels)-1)/2)*width
				p.Bars = append(p.Bars, bar{series{Name: kernel, Kernel: k}, at, width * 0.9, f.Value})
				lo, hi = min(lo, f.Value), max(hi, f.Value)
			}
		}
		names = append(names, string(state))
	}
	if len(p.Bars) == 0 {
		return p, false
	}
	// The legend has a line of each kernel that has bars.
	for k, kernel := range s.kernels {
		if slices.ContainsFunc(p.Bars, func(b bar) bool { return b.Kernel == k }) {
			p.Series = append(p.Series, series{Name: kernel, Kernel: k, Line: true})
		}
	}
	p.X, p.Y = named(fmt.Sprintf("cache lines of %d vCPUs", largest), names), decades("ns (log)", lo, hi)
	return p, true
}
