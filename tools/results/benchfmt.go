// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// WriteBench writes the figures in the Go benchmark format, a line for each
// boot, for benchstat to read: `benchstat -col kernel FILE`. Exact units are
// marked so.
func (r *Results) WriteBench(w io.Writer) error {
	units := make(map[string]bool)
	for _, f := range r.Figures {
		if f.exact() {
			units[f.Unit] = true
		}
	}
	for _, u := range []string{ICount.Unit(), UnitBytes, UnitWaits} {
		if units[u] {
			if _, err := fmt.Fprintf(w, "Unit %s assume=exact\n", u); err != nil {
				return err
			}
		}
	}
	out := benchfmt.NewWriter(w)
	for _, f := range r.Figures {
		for i, v := range f.Values {
			res := &benchfmt.Result{
				Name:   benchfmt.Name(benchName(f.Name)),
				Iters:  1,
				Values: []benchfmt.Value{{Value: v, Unit: f.Unit}},
			}
			res.SetConfig("arm", string(f.Arm))
			res.SetConfig("kernel", f.Column)
			res.SetConfig("release", r.Boots[f.Boots[i]].Release)
			if err := out.Write(res); err != nil {
				return err
			}
		}
	}
	return nil
}

// exact says that the figure is a count.
func (f Figure) exact() bool {
	return f.Arm.Exact() || f.Unit == UnitBytes || f.Unit == UnitWaits
}

// benchName turns a figure's name into that of a benchmark: what has no key
// gets one.
func benchName(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts[1:] {
		if !strings.Contains(p, "=") {
			parts[i+1] = "what=" + p
		}
	}
	op := parts[0]
	parts[0] = strings.ToUpper(op[:1]) + op[1:]
	return strings.Join(parts, "/")
}
