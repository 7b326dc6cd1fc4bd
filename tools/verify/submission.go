// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
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
	Set   string // its name; "" if there is one without a name, and for all of them
	Rival bool   // Set is the name of a rival
	// Whole says that Series is all sets, or with the name of a rival that and
	// all that it needs. Sets are the names of them.
	Whole bool
	Sets  []string
	// Series is the series, and Base the tree that it is for, which is only
	// read. No patched tree is made.
	Series   *series.Series
	Base     tree.Tree
	Relocate bool     // find hunks by their context: the series need not be made for Base
	Pin      *pin.Pin // says which files are known of the base
	// Author is who has to have written and signed off the mails; nobody is whoever
	// has written each.
	Author   series.Person
	Tables   string        // directory with the tables that some checks go by
	Packages *host.List    // says which package brings a program; nil for no such advice
	Cache    *cache.Cache  // keeps what takes long, by content
	Log      *progress.Log // nil is silent
	Jobs     int           // programs that run at a time; 0 is one a processor
	// Seen keeps the table of rules, what was found by them in single files, and which
	// version Sphinx has, for who looks at almost the same tree again, as those that
	// OfSets returns do; nil keeps nothing.
	Seen *sync.Map

	after *after
	repo  *repository
}

// OfSets returns a submission of each set, on the tree of what it needs, and one of
// all of them, and the same of each rival, and of what it makes with what it needs.
// With a name it returns those of that set or rival alone. s is what they have in
// common.
func (s Submission) OfSets(ctx context.Context, sets *series.Sets, name string) ([]*Submission, error) {
	chosen := slices.Concat(sets.All, sets.Rivals)
	if name != "" {
		set, err := sets.Find(name)
		if err != nil {
			return nil, err
		}
		chosen = []series.Set{set}
	}

	s.Seen = new(sync.Map)
	var list []*Submission
	for _, set := range chosen {
		one := s
		one.Set, one.Rival = set.Name, sets.IsRival(set.Name)
		var err error
		if one.Series, one.Base, err = sets.LoadOn(ctx, s.Base, set, series.Options{Relocate: s.Relocate, Cache: s.Cache, Log: s.Log}); err != nil {
			return nil, err
		}
		list = append(list, &one)
		if one.Rival {
			whole, err := s.whole(sets, set.Name)
			if err != nil {
				return nil, err
			}
			list = append(list, whole)
		}
	}
	if name != "" {
		return list, nil
	}
	whole, err := s.whole(sets, "")
	return append(list, whole), err
}

// whole returns a submission of all sets, or of a rival and all that it needs.
func (s Submission) whole(sets *series.Sets, rival string) (*Submission, error) {
	stack, err := sets.Stack(rival)
	if err != nil {
		return nil, err
	}
	for _, set := range stack {
		s.Sets = append(s.Sets, set.Name)
	}
	s.Set, s.Rival, s.Whole = rival, rival != "", true
	s.Series, err = sets.Load(rival)
	return &s, err
}

// has tells whether a rule that is for trees with some sets, and without those
// that have a "!" before the name, is for this one.
func (s *Submission) has(sets []string) bool {
	return !slices.ContainsFunc(sets, func(name string) bool {
		name, without := strings.CutPrefix(name, "!")
		return slices.Contains(s.Sets, name) == without
	})
}

// after is what the series makes of the base.
type after struct {
	files  map[string][]byte // those that it changes; nil is removed
	report *series.Report
	err    error
}

// errNotApplied is why what needs the patched tree is not run.
var errNotApplied = errors.New("the series does not apply: see what the check \"applies\" says")

// once returns what seen has under a key, or what find does, which seen then keeps.
// Nothing is kept if there is an error, or seen is nil.
func once[T any](seen *sync.Map, key any, find func() (T, error)) (T, error) {
	if seen == nil {
		return find()
	}
	if known, ok := seen.Load(key); ok {
		return known.(T), nil
	}
	found, err := find()
	if err != nil {
		return found, err
	}
	kept, _ := seen.LoadOrStore(key, found)
	return kept.(T), nil
}

// apply applies the series in memory, once.
func (s *Submission) apply() *after {
	if s.after == nil {
		a := new(after)
		a.files, a.report, a.err = s.Series.Overlay(s.Base, series.Options{Relocate: s.Relocate})
		s.after = a
	}
	return s.after
}

// inTree returns the function of a check that reads the patched tree.
func inTree(read func(ctx context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error)) look {
	return func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		src, err := s.open()
		if err != nil {
			return nil, err
		}
		found, err := read(ctx, s, src, log)
		if err := cmp.Or(err, src.Err); err != nil {
			return nil, err
		}
		return found, nil
	}
}

// open returns the patched tree. Where the series does not apply the error is
// errNotApplied, or why all sets together do not: no check says that.
func (s *Submission) open() (*tree.Overlay, error) {
	a := s.apply()
	if a.err != nil && s.Whole {
		return nil, a.err
	}
	if a.err != nil {
		return nil, errNotApplied
	}
	return &tree.Overlay{Dir: s.Base.Dir, Over: a.files}, nil
}
