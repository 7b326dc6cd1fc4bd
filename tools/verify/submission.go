// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"vcpulab/tools/cache"
	"vcpulab/tools/host"
	"vcpulab/tools/pin"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Submission is what is looked at: a set of patches, or all of them.
type Submission struct {
	// Set is the name of the set; "" if there is one without a name, and for
	// all of them.
	Set string
	// Whole says that Series is all sets.
	Whole bool
	// Series is the series, and Base the tree that it is for, which is only
	// read. No patched tree is made.
	Series *series.Series
	Base   tree.Tree
	// Pin says which files are known of the base.
	Pin *pin.Pin
	// Author is who has to have written and signed off the mails.
	Author series.Person
	// Tables is the directory with the tables that some checks go by.
	Tables string
	// Packages says which package brings a program; nil for no such advice.
	Packages *host.List
	// Cache keeps what takes long, by content. Checks need it.
	Cache *cache.Cache
	// Log shows progress; nil is silent.
	Log *progress.Log
	// Jobs is how many programs are run at a time; 0 is one a processor.
	Jobs int
	// Seen keeps what was found in single files, for who looks at almost the same
	// tree again; nil keeps nothing.
	Seen *sync.Map

	after *after
	repo  *repository
}

// OfSets returns a submission of each set, on the tree of what it needs, and one of
// all of them; with a name of that set alone. s is what they have in common.
func (s Submission) OfSets(ctx context.Context, sets *series.Sets, name string) ([]*Submission, error) {
	chosen := sets.All
	if name != "" {
		set, err := sets.Find(name)
		if err != nil {
			return nil, err
		}
		chosen = []series.Set{set}
	}

	var list []*Submission
	for _, set := range chosen {
		one := s
		one.Set = set.Name
		var err error
		if one.Series, one.Base, err = sets.LoadOn(ctx, s.Base, set, series.Options{Cache: s.Cache, Log: s.Log}); err != nil {
			return nil, err
		}
		list = append(list, &one)
	}
	if name != "" {
		return list, nil
	}
	var err error
	s.Whole = true
	s.Series, err = sets.Load("")
	return append(list, &s), err
}

// after is what the series makes of the base.
type after struct {
	files  map[string][]byte // those that it changes; nil is removed
	report *series.Report
	err    error
}

// errNotApplied is why what needs the patched tree is not run.
var errNotApplied = errors.New("the series does not apply: see what the check \"applies\" says")

func (s *Submission) jobs() int {
	if s.Jobs > 0 {
		return s.Jobs
	}
	return runtime.NumCPU()
}

// apply applies the series in memory, once.
func (s *Submission) apply() *after {
	if s.after == nil {
		a := new(after)
		a.files, a.report, a.err = s.Series.Overlay(s.Base, series.Options{})
		s.after = a
	}
	return s.after
}
