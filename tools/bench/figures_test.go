// SPDX-License-Identifier: GPL-2.0-only

package bench

import "vcpulab/tools/results"

// findNamed returns the figure of this name, as benchstat has it.
func findNamed(r *results.Results, name, column string, m results.Method) (results.Figure, bool) {
	for _, f := range r.Figures {
		if f.Name() == name && f.Column == column && f.Method == m {
			return f, true
		}
	}
	return results.Figure{}, false
}
