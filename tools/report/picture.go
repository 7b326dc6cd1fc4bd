// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"errors"
	"fmt"
	"html"
	"io"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// pictureStyle is that of a picture that stands alone, for light and dark.
const pictureStyle = `<style>
.k0{--of:#8a6d00}.k1{--of:#0a5fc2}.t{fill:#15181d}.tick text,.axis{fill:#5a6270}.grid path{stroke:#d9dde3}
@media (prefers-color-scheme: dark){.k0{--of:#e0b83f}.k1{--of:#6db1ff}.t{fill:#e8eaee}.tick text,.axis{fill:#a0a8b4}.grid path{stroke:#343a44}}
text{font:15px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
.t{font-weight:600;font-size:17px}.y{text-anchor:end}.x{text-anchor:middle}.key{fill:var(--of);font-weight:600;font-size:13px}
.grid path,.line{fill:none}.line{stroke:var(--of);stroke-width:2;stroke-linejoin:round}.mark{fill:var(--of)}
</style>
`

// panel is one plot of the picture.
type panel struct {
	title string
	of    figure.Key // without size
}

// panels are what the picture shows.
var panels = []panel{
	{"kvm_get_vcpu()", figure.Key{Op: figure.Get, IDs: measure.Dense}},
	{"kvm_get_vcpu_by_id(), sparse IDs", figure.Key{Op: figure.ByID, IDs: measure.Sparse}},
	{"kvm_for_each_vcpu(), per vCPU", figure.Key{Op: figure.Walk, IDs: measure.Dense}},
}

// Picture writes one SVG, which needs nothing else: what lookups cost against
// the number of vCPUs, with and without the series. All panels have the same
// axes, which are logarithmic. It returns the error of w.
func Picture(w io.Writer, r *results.Results) error {
	if len(r.Kernels) < 2 {
		return fmt.Errorf("report: expected two kernels, found %d", len(r.Kernels))
	}
	s := newSheet(r)
	m, _ := s.quotedMethod()

	var plots []plot
	var all plot
	for _, of := range panels {
		rows := s.rowsOf(of.of)
		p := plot{title: of.title}
		for k, kernel := range []string{s.base, s.mainKernel()} {
			line := series{name: kernel, kernel: k, line: true, marks: true, points: points(rows, cell{m, kernel})}
			if len(line.points) > 0 {
				p.series = append(p.series, line)
			}
		}
		if len(p.series) > 0 {
			plots = append(plots, p)
			all.series = append(all.series, p.series...)
		}
	}
	if len(plots) == 0 {
		return errors.New("report: found neither counted instructions nor times of user space, which are what the picture shows")
	}

	const gap = 20
	width := len(plots)*(plotWidth+gap) - gap/2
	var b strings.Builder
	var said []string
	for _, p := range plots {
		said = append(said, p.title+": "+p.describe())
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n<!-- SPDX-License-Identifier: GPL-2.0-only -->\n", width, plotHeight+gap)
	fmt.Fprintf(&b, "<title id=\"title\">What lookups of vCPUs cost, in %s</title>\n<desc id=\"desc\">%s</desc>\n%s",
		m.Quantity(), html.EscapeString(strings.Join(said, " ")), pictureStyle)

	lo, hi := all.span()
	for i, p := range plots {
		p.x, p.y = sizesAxis("vCPUs of the VM (log)", s.largest), decades(m.Quantity()+" (log)", lo, hi)
		fmt.Fprintf(&b, `<g transform="translate(%d %d)"><text class="t" x="4" y="0">%s</text>`+"\n",
			i*(plotWidth+gap), gap, html.EscapeString(p.title))
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}
