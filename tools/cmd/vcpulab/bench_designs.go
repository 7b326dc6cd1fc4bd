// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"io"

	"vcpulab/tools/bench"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
	"vcpulab/tools/variant"
)

// validateDesigns refuses flags that contradict --designs.
func (c benchRunCmd) validateDesigns() error {
	if !c.Designs {
		return nil
	}
	const ownSizes = "the table has sizes of its own"
	for _, f := range []struct {
		given     bool
		flag, why string
	}{
		{c.Full, "--full", "milestones are no designs"},
		{c.Set != "", "--set", "all sets are compared with the rivals"},
		{c.Through != "", "--through", "all sets are compared with the rivals"},
		{c.Series != "", "--series", "all sets are compared with the rivals"},
		{c.Accel == "kvm", "--accel kvm", "the table has instructions, and times of user space"},
		{c.Trial, "--trial", "the table is made of figures"},
		{c.Max, "--max", ownSizes},
		{len(c.Sizes) > 0, "--sizes", ownSizes},
		{len(c.IDs) > 0, "--ids", ownSizes},
		{len(c.Order) > 0, "--order", "the table has lookups in one order"},
		{len(c.Paths) > 0, "--paths", "the table has lookups alone"},
		{c.GrowTo != nil, "--grow-to", ownSizes},
	} {
		if f.given {
			return fmt.Errorf("%s: contradicts --designs: %s", f.flag, f.why)
		}
	}
	return nil
}

// designs returns those with these names, or all of them.
func (l *lab) designs(names []string, _ bool) ([]variant.Variant, error) {
	all, err := l.allVariants()
	if err != nil {
		return nil, err
	}
	return variant.ChooseDesigns(all, names)
}

// showDesigns prints the comparison of designs, also for programs.
func (l *lab) showDesigns(r *results.Results, files report.Files) error {
	d, err := report.NewDesigns(r)
	if err != nil {
		return err
	}
	return l.show(d, func(w io.Writer) error { return d.WriteText(w, files, report.Colours(w)) })
}

// describe adds to the candidates what is compared of designs besides figures.
func (l *lab) describe(candidates []bench.Candidate, chosen []variant.Variant) error {
	sets, err := l.sets()
	if err != nil {
		return err
	}
	designs, err := variant.Designs(sets, chosen)
	if err != nil {
		return err
	}
	for i, c := range candidates {
		candidates[i].Design = designs[c.Name]
	}
	return nil
}
