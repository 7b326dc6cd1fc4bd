// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"errors"
	"runtime"

	"vcpulab/tools/cache"
	"vcpulab/tools/host"
	"vcpulab/tools/pin"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Submission is what is looked at.
type Submission struct {
	// Series is the series, and Base the tree that it is for, which is only
	// read. No patched tree is made.
	Series *series.Series
	Base   tree.Tree
	// Needs are the files that other sets have touched before in Base.
	Needs []string
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

	after *after
	repo  *repository
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
