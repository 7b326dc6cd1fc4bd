// SPDX-License-Identifier: GPL-2.0-only

package variant

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
)

// Design is a way to hold vCPUs, and what its own patches change.
type Design struct {
	// Kernel is the name of the kernel that has it, About what it is.
	Kernel, About string
	// Lookups says where vCPUs may be looked up.
	Lookups string
	series.Change
}

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

// Designs describes that of the kernel without patches, that of all sets, and those
// of the variants. Errors are those of series.Load.
func Designs(sets *series.Sets, variants []Variant) ([]Design, error) {
	main, err := sets.LoadOwn(sets.Main.Sets...)
	if err != nil {
		return nil, err
	}
	out := []Design{
		{Kernel: Base, About: sets.Base.About, Lookups: sets.Base.Lookups},
		{Kernel: Patched, About: sets.Main.About, Lookups: sets.Main.Lookups, Change: main.Change()},
	}
	for _, v := range variants {
		if !v.IsDesign() {
			continue
		}
		own, err := sets.LoadOwn(v.Name)
		if err != nil {
			return nil, fmt.Errorf("design %s: %w", v.Name, err)
		}
		out = append(out, Design{Kernel: v.Name, About: v.About, Lookups: v.Lookups, Change: own.Change()})
	}
	return out, nil
}
