// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"io"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// picture is one SVG, which needs nothing else.
type picture struct {
	Quantity string
	Width    int
	Panels   []panel
}

// panel is one plot of the picture.
type panel struct {
	plot
	Left int // where it begins
}

// Picture writes one SVG, which needs nothing else: what lookups cost against
// the number of vCPUs, with and without the series. All panels have the same
// axes, which are logarithmic. It returns the error of w.
func Picture(w io.Writer, r *results.Results) error {
	s, m, err := newQuoted(r)
	if err != nil {
		return err
	}
	out := picture{Quantity: m.Quantity()}
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
			p.Text = p.describe()
			out.Panels = append(out.Panels, panel{p, len(out.Panels) * (plotWidth + pictureGap)})
			all = append(all, p.Series...)
		}
	}
	if len(out.Panels) == 0 {
		return errNothingToQuote
	}

	lo, hi := span(all)
	for i := range out.Panels {
		p := &out.Panels[i].plot
		p.X, p.Y = sizesAxis("vCPUs of the VM (log)", s.largest), decades(m.Quantity()+" (log)", lo, hi)
		*p = p.placed()
	}
	out.Width = len(out.Panels)*(plotWidth+pictureGap) - pictureGap/2
	return drawings.ExecuteTemplate(w, "picture", out)
}

// pictureGap lies between two panels.
const pictureGap = 20
