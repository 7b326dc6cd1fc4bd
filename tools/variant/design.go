// SPDX-License-Identifier: GPL-2.0-only

package variant

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/results"
	"vcpulab/tools/series"
)

// IsDesign says that the variant holds vCPUs in a way of its own, as each rival
// does, and is not a milestone or a test of the measurement.
func (v Variant) IsDesign() bool { return v.rival != nil }

// ChooseDesigns returns the variants with these names, all designs without any. The
// error of one that is no design stands for exit.Usage.
func ChooseDesigns(all []Variant, names []string) ([]Variant, error) {
	designs := slices.DeleteFunc(slices.Clone(all), func(v Variant) bool { return !v.IsDesign() })
	if len(names) == 0 {
		return designs, nil
	}
	for _, n := range names {
		if !slices.Contains(Names(designs), n) {
			return nil, exit.With(exit.Usage, fmt.Errorf("unknown design %q: expected one of %s", n, strings.Join(Names(designs), ", ")))
		}
	}
	return Choose(designs, names)
}

// Designs describes, by the names of kernels, that of the one without patches, that of
// all sets, and those of the variants. Errors are those of series.Load.
func Designs(sets *series.Sets, variants []Variant) (map[string]*results.Design, error) {
	out := map[string]*results.Design{Base: {About: sets.Base.About, Lookups: sets.Base.Lookups}}
	add := func(kernel, about, lookups string, own ...string) error {
		s, err := sets.LoadOwn(own...)
		if err != nil {
			return fmt.Errorf("design %s: %w", kernel, err)
		}
		c := s.Change()
		out[kernel] = &results.Design{About: about, Lookups: lookups, Added: c.Added, Removed: c.Removed, Architectures: c.Architectures}
		return nil
	}
	err := add(Patched, sets.Main.About, sets.Main.Lookups, sets.Main.Sets...)
	for _, v := range variants {
		if v.IsDesign() && err == nil {
			err = add(v.Name, v.About, v.Lookups, v.Name)
		}
	}
	return out, err
}
