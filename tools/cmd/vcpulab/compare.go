// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"

	"vcpulab/tools/report"
	"vcpulab/tools/results"
)

// benchCompareCmd compares two results. It is a subcommand of bench because it
// takes nothing but what bench wrote.
type benchCompareCmd struct {
	Old  string `arg:"" help:"A results.json that bench wrote." type:"existingfile"`
	New  string `arg:"" help:"Another."  type:"existingfile"`
	All  bool   `help:"Show every figure, not only those that got better or worse."`
	Fail bool   `name:"fail-on-regression" help:"Exit code 1 if a figure got worse, beyond noise, or if one that both have cannot be compared."`
}

// Help says what is compared.
func (benchCompareCmd) Help() string {
	return `A figure is compared if the kernel was configured and compiled in the same way
and QEMU was the same; times also need the same processor, and those of running
kernels (bench --running) the same machine around them: processors, governor, turbo.
The patches may differ: they are what is compared. Creations have to differ by
more than six per cent, starts of VMs by ten: their cost depends on what the
allocators have at hand.

Exit codes: 0 whatever was found; 1 with --fail-on-regression if a figure got
worse or cannot be compared, if the two have no figure in common, and if results
are of another version.`
}

// errRegression is what --fail-on-regression finds.
var errRegression = errors.New("the new results are worse, or cannot be compared")

// Run prints what changed.
func (c benchCompareCmd) Run(l *lab) error {
	old, err := results.Read(c.Old)
	if err != nil {
		return err
	}
	new, err := results.Read(c.New)
	if err != nil {
		return err
	}
	found := report.Compare(old, new)
	if l.JSON {
		err = l.printJSON(found)
	} else {
		err = found.WriteText(l.stdout, c.All, report.OptionsFor(l.stdout))
	}
	switch {
	case err != nil:
		return err
	case len(found.Figures) == found.Count(report.OnlyOld)+found.Count(report.OnlyNew):
		return fmt.Errorf("%s and %s: nothing was measured in both", c.Old, c.New)
	case c.Fail && !found.Good():
		return fmt.Errorf("%w: %d worse, %d not comparable", errRegression, found.Count(report.Worse), found.Count(report.Incomparable))
	}
	return nil
}
