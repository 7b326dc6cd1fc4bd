// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
)

// applier applies patches to an image, one after another.
type applier struct {
	image    *image
	relocate bool
	report   *Report
	// undoing: patches are taken back, to see whether they are there. One that
	// is not there then is a failure.
	undoing bool
}

// change is what a patch does to its files, while it is being worked out. The
// rules for a file that occurs more than once are git's (previous_patch() in
// its apply.c): renames and copies take their source as it was before the
// patch, everything else goes on from what the patch has made so far.
type change struct {
	written map[string]*node
	removed map[string]bool
	// doomed are files that the patch removes or renames somewhere.
	doomed map[string]bool
}

// outcome is what a patch makes of one file.
type outcome struct {
	report  FileReport
	result  *node // nil: the file is removed
	already bool  // all of it is in the tree
	neutral bool  // there is nothing to do and nothing to tell
	shifts  []Shift
}

// applyPatch applies one patch to the image: all of it, or nothing and an error.
func (a *applier) applyPatch(p *Patch) error {
	c := &change{written: map[string]*node{}, removed: map[string]bool{}, doomed: map[string]bool{}}
	for _, f := range p.Files {
		if f.git.IsDelete || f.git.IsRename {
			c.doomed[f.git.OldName] = true
		}
	}

	pr := PatchReport{Number: p.Number, Name: p.Name, Subject: p.Subject, Author: p.Author, Status: Applied}
	outcomes := make([]outcome, len(p.Files))
	already, open := 0, 0
	for i, f := range p.Files {
		o, err := a.changeFile(p, f, c)
		if err != nil {
			return a.complete(p, f, err)
		}
		outcomes[i] = o
		switch {
		case o.already:
			already++
		case !o.neutral:
			open++
		}
	}

	if already > 0 {
		if open > 0 || a.undoing {
			return a.partlyError(p, outcomes)
		}
		pr.Status = Already
	}

	var shifts []Shift
	for _, o := range outcomes {
		pr.Files = append(pr.Files, o.report)
		pr.Insertions += o.report.Insertions
		pr.Deletions += o.report.Deletions
		shifts = append(shifts, o.shifts...)
	}

	if pr.Status == Applied {
		files := make(map[string]*node, len(c.written)+len(c.removed))
		for name := range c.removed {
			files[name] = nil
		}
		for name, n := range c.written {
			files[name] = n
		}
		if err := a.image.put(files); err != nil {
			return a.complete(p, nil, err)
		}
		a.report.Shifts = append(a.report.Shifts, shifts...)
	}
	a.report.Patches = append(a.report.Patches, pr)
	return nil
}

// partlyError is the error for a patch of which some files are in the tree already.
func (a *applier) partlyError(p *Patch, outcomes []outcome) error {
	var there, missing *FileDiff
	for i, o := range outcomes {
		if o.already && there == nil {
			there = p.Files[i]
		}
		if !o.already && !o.neutral && missing == nil {
			missing = p.Files[i]
		}
	}
	if missing == nil {
		missing = there
	}
	return a.complete(p, there, &ApplyError{
		Reason: fmt.Sprintf("this change is already in this tree, but the patch's change of %s is not", missing.path()),
		Hint:   "take the part that is there out of the patch, or use a tree that has all or nothing of it",
		Err:    ErrApplied,
	})
}

// complete makes err an ApplyError that names patch and file.
func (a *applier) complete(p *Patch, f *FileDiff, err error) error {
	var e *ApplyError
	if !errors.As(err, &e) {
		e = &ApplyError{Reason: err.Error(), Err: err}
		for _, kind := range []error{ErrUnsafePath, ErrFile, ErrTooLarge, ErrCorrupt} {
			if errors.Is(err, kind) {
				e.Err = kind
			}
		}
	}
	e.Patch, e.Number = p.Name, p.Number
	if f != nil {
		if e.File == "" {
			e.File = f.path()
		}
		if e.PatchLine == 0 && e.Hunk == 0 {
			e.PatchLine = f.line
		}
	}
	return e
}

// source returns the file that a diff starts from, nil if there is none.
func (a *applier) source(f *FileDiff, c *change) (*node, error) {
	name := f.git.OldName
	if !f.git.IsRename && !f.git.IsCopy {
		if n, ok := c.written[name]; ok {
			return n, nil
		}
		if c.removed[name] {
			return nil, &ApplyError{File: name, Reason: "the patch changes a file that it has removed or renamed before", Err: ErrCorrupt}
		}
	}
	return a.image.get(name)
}

// changeFile works out what a patch makes of one file, and notes it in c.
func (a *applier) changeFile(p *Patch, f *FileDiff, c *change) (outcome, error) {
	g := f.git
	var o outcome
	o.report = FileReport{Path: f.path(), Action: f.action(), Binary: g.IsBinary}
	o.report.Insertions, o.report.Deletions = f.counts()
	if g.IsRename || g.IsCopy {
		o.report.OldPath = g.OldName
	}

	// Both before anything is read: a patch with a bad path is bad as a whole.
	for _, name := range []string{f.OldPath(), f.NewPath()} {
		if name != "" {
			if err := checkPath(name); err != nil {
				return o, err
			}
		}
	}

	var src *node
	if !g.IsNew {
		var err error
		if src, err = a.source(f, c); err != nil {
			return o, err
		}
	}
	if err := a.checkExists(f, src, c, &o); err != nil || o.already {
		return o, err
	}
	if a.undoing && src != nil && g.OldMode != 0 && g.NewMode != 0 && src.mode != uint32(g.OldMode) {
		return o, &ApplyError{Reason: "the mode is not in this tree", Err: ErrFile}
	}

	result, err := a.makeContent(p, f, src, &o)
	if err != nil || o.already {
		return o, err
	}
	if g.IsDelete {
		if len(result.data) > 0 {
			return o, &ApplyError{Reason: "the patch removes the file, but its hunks leave content in it", Err: ErrConflict}
		}
		result = nil
	} else if err := setMode(f, src, result); err != nil {
		return o, err
	}

	if src != nil {
		o.report.Before = src.blobID()
	}
	if result != nil {
		o.report.After, o.report.Mode = result.blobID(), fmt.Sprintf("%06o", result.mode)
		c.written[g.NewName] = result
	}
	if g.IsDelete || g.IsRename {
		c.removed[g.OldName] = true
	}
	o.result = result
	o.neutral = src != nil && result.same(src) && o.report.Action == Chmod
	return o, nil
}

func (f *FileDiff) action() Action {
	switch g := f.git; {
	case g.IsNew:
		return Create
	case g.IsDelete:
		return Delete
	case g.IsRename:
		return Rename
	case g.IsCopy:
		return Copy
	case !g.IsBinary && len(g.TextFragments) == 0:
		return Chmod
	}
	return Modify
}
