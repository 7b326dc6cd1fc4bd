// SPDX-License-Identifier: GPL-2.0-only

package results

import "vcpulab/tools/figure"

// Quoted returns what documents quote of r: the figures that are summed up or
// have a line in the main table, and what they were measured on. Boots have lost
// their samples, and the baseline its repetition. It is kept beside the documents.
func (r *Results) Quoted() *Results {
	out := *r
	out.Boots, out.Figures = nil, nil
	for _, b := range r.Boots {
		out.Boots = append(out.Boots, Boot{Which: b.Which, Command: b.Command, BootID: b.BootID, Release: b.Release, Cmdline: b.Cmdline, Clock: b.Clock, Seconds: b.Seconds})
	}
	for _, f := range r.Figures {
		op := f.Key.Operation()
		if r.Boots[f.Boots[0]].Again || op.Compare == figure.Chance {
			continue
		}
		if op.Summary != nil || len(op.Lines) > 0 {
			out.Figures = append(out.Figures, f)
		}
	}
	return &out
}
