// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"slices"

	"vcpulab/tools/kbuild"
)

// Difference is how a column differs in the reports of two versions of a series.
type Difference struct {
	Column string `json:"column"`
	// Old and New are how compiling all patches ended, "" where it was not tried.
	Old     State            `json:"old,omitempty"`
	New     State            `json:"new,omitempty"`
	Added   []kbuild.Warning `json:"added,omitempty"`   // that only the new version brings
	Removed []kbuild.Warning `json:"removed,omitempty"` // that only the old one does
}

// Versions compares the reports of two versions of a series, and returns the columns
// that differ. What the base has of warnings is in neither.
func Versions(old, new *Report) []Difference {
	var all []Difference
	columns := slices.Concat(new.Columns, old.Columns)
	for i, name := range columns {
		if slices.Index(columns, name) < i {
			continue
		}
		d := Difference{Column: name}
		var was, is []kbuild.Warning
		d.Old, was = old.brings(name)
		d.New, is = new.brings(name)
		d.Added, d.Removed = without(is, was), without(was, is)
		if d.Old != d.New || len(d.Added)+len(d.Removed) > 0 {
			all = append(all, d)
		}
	}
	return all
}

// brings returns how compiling a column after all patches ended, and the warnings that
// the patches bring.
func (r *Report) brings(column string) (state State, warnings []kbuild.Warning) {
	for _, c := range r.Cells {
		if c.Column == column {
			state, warnings = c.State, without(append(warnings, c.New...), c.Gone)
		}
	}
	return state, warnings
}
