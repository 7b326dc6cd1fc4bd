// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"slices"

	"vcpulab/tools/figure"
)

// check tells whether what was read is consistent: every figure and boot of a
// kernel that is listed, every value with its boot, and keys of figures that
// there can be. The reports rely on it.
func (r *Results) check() error {
	names := make(map[string]bool)
	for i, k := range r.Kernels {
		if !figure.IsWord(k.Name) || names[k.Name] {
			return fmt.Errorf("kernel %d: expected a name of its own, found %q", i, k.Name)
		}
		names[k.Name] = true
	}
	columns := r.columns()
	for i, b := range r.Boots {
		if !names[b.Kernel] {
			return fmt.Errorf("boot %d: kernel %q is not listed", i, b.Kernel)
		}
		if !slices.Contains(Methods, b.Method) {
			return fmt.Errorf("boot %d: unknown method %q", i, b.Method)
		}
	}
	for i, d := range r.Discarded {
		if !names[d.Kernel] || !slices.Contains(Methods, d.Method) {
			return fmt.Errorf("discarded boot %d: kernel %q or method %q is unknown", i, d.Kernel, d.Method)
		}
	}
	for i, o := range r.Omitted {
		if !slices.Contains(Methods, o.Method) {
			return fmt.Errorf("omitted %d: unknown method %q", i, o.Method)
		}
	}

	seen := make(map[Place]bool)
	for i, f := range r.Figures {
		if err := f.Key.Check(); err != nil {
			return fmt.Errorf("figure %d: %w", i, err)
		}
		outside := slices.IndexFunc(f.Boots, func(b int) bool { return b < 0 || b >= len(r.Boots) })
		switch {
		case !slices.Contains(columns, f.Column):
			return fmt.Errorf("figure %d, %s: column %q is of no kernel that is listed", i, f.Name(), f.Column)
		case !slices.Contains(Methods, f.Method):
			return fmt.Errorf("figure %d, %s: unknown method %q", i, f.Name(), f.Method)
		case seen[f.Place()]:
			return fmt.Errorf("figure %d, %s: a second one of column %q", i, f.Name(), f.Column)
		case len(f.Values) == 0 || len(f.Values) != len(f.Boots):
			return fmt.Errorf("figure %d, %s: expected a value for each boot, found %d for %d",
				i, f.Name(), len(f.Values), len(f.Boots))
		case outside >= 0:
			return fmt.Errorf("figure %d, %s: no boot %d", i, f.Name(), f.Boots[outside])
		}
		seen[f.Place()] = true
	}
	return nil
}
