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
		var titles []string
		plots := make(map[string][]*curve)
		for _, c := range g.curves {
			op, key := c.rows[0].op(), c.rows[0].key
			if op.Plot == nil || paths != (op.Op == figure.PathCall) || op.Plot.Of != nil && !op.Plot.Of(key) ||
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
			if d, ok := s.curvePlot(m, title, plots[title], len(out)); ok {
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

	sizes := measuredSizes(p.Series)
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
	var out []string
	for _, b := range p.Bars {
		out = append(out, fmt.Sprintf("%s, %s: %s.", b.Name, p.X.Tick(math.Round(b.At)), number(b.Value, 1)))
	}
	for _, s := range p.Series {
		if !s.Marks || s.Name == "" {
			continue
		}
		var parts []string
		for _, at := range s.Points {
			parts = append(parts, fmt.Sprintf("%s at %.0f", number(at.Y, 1), at.X))
		}
		out = append(out, s.Name+": "+strings.Join(parts, ", ")+".")
	}
	return strings.Join(out, " ")
}

func measuredSizes(all []series) []int {
	var sizes []int
	for _, s := range all {
		for _, at := range s.Points {
			sizes = append(sizes, int(at.X))
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
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

// write writes a picture with colours for so many kernels.
func (p picture) write(w io.Writer, kernels int) error {
	n := min(kernels, colours)
	p.Width = len(p.Panels)*(plotWidth+pictureGap) - pictureGap/2
	p.Light, p.Dark = light[:n], dark[:n]
	return drawings.ExecuteTemplate(w, "picture", p)
}

// add adds a panel.
func (p *picture) add(drawn plot) {
	drawn.Text = drawn.describe()
	p.Panels = append(p.Panels, panel{drawn, len(p.Panels) * (plotWidth + pictureGap)})
}

// panel is one plot of the picture.
type panel struct {
	plot
	Left int // where it begins
}

// Picture writes one SVG, which needs nothing else: what lookups cost against
// the number of vCPUs, with and without the series, or with each design and by the
// state of the caches if r compares designs. All panels have the same
// axes, which are logarithmic. It returns the error of w.
func Picture(w io.Writer, r *results.Results) error {
	s, m, err := newQuoted(r)
	if err != nil {
		return err
	}
	if r.HasDesigns() {
		return s.designsPicture(w)
	}
	out := picture{Title: "What lookups of vCPUs cost, in " + m.Quantity()}
	var all []series
	for _, of := range []struct {
		title string
		key   figure.Key // without size
	}{
		{"kvm_get_vcpu()", figure.Key{Op: figure.Get, IDs: measure.Dense}},
		{"kvm_get_vcpu_by_id(), sparse IDs", figure.Key{Op: figure.ByID, IDs: measure.Sparse}},
		{"kvm_for_each_vcpu(), per vCPU", figure.Key{Op: figure.Walk, IDs: measure.Dense}},
	} {
		p := plot{Title: of.title, Series: curveLines(s.rowsOf(of.key), m, s.base, s.mainKernel())}
		if len(p.Series) > 0 {
			out.add(p)
			all = append(all, p.Series...)
		}
	}
	if len(out.Panels) == 0 {
		return errNothingToQuote
	}

	lo, hi := span(all)
	for i := range out.Panels {
		p := &out.Panels[i].plot
		p.X, p.Y = sizesAxis("vCPUs of the VM (log)", s.Largest), decades(m.Quantity()+" (log)", lo, hi)
		*p = p.placed()
	}
	return out.write(w, 2)
}

// pictureGap lies between two panels.
const pictureGap = 20
