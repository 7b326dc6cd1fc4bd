// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"maps"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// applyAll applies patches, in order. Where one does not apply because it and some
// that follow are in the tree already, those are left out with relocate, and
// said so in the error without.
func (a *applier) applyAll(patches []*Patch) error {
	for i := 0; i < len(patches); i++ {
		err := a.applyPatch(patches[i])
		if err == nil {
			continue
		}
		n := 0
		if !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrUnsafePath) && !errors.Is(err, ErrTooLarge) {
			n = a.present(patches[i:])
		}
		if n == 0 {
			return err
		}
		last := patches[i+n-1]
		if !a.relocate {
			if e, ok := errors.AsType[*ApplyError](err); ok {
				e.Err = ErrApplied
				e.Reason = fmt.Sprintf("this patch and what follows, through %s, is already in this tree", last.Name)
				if n == 1 {
					e.Reason = "this patch is already in this tree"
				}
			}
			return err
		}
		for _, p := range patches[i : i+n] {
			a.report.Patches = append(a.report.Patches, PatchReport{
				Number: p.Number, Name: p.Name, Subject: p.Subject, Author: p.Author, Status: Already, Files: []FileReport{},
			})
		}
		i += n - 1
	}
	return nil
}

// present returns how many of the patches, from the first on, are in the tree
// already. A patch cannot be seen there alone if a later one changed the same
// lines: so they are taken back, the last one first, and are there if that
// works for all.
func (a *applier) present(patches []*Patch) int {
	for n := min(len(patches), maxPresent); n > 0; n-- {
		trial := &applier{
			image:    &image{root: a.image.root, base: maps.Clone(a.image.base), now: maps.Clone(a.image.now), read: a.image.read},
			relocate: true, undoing: true, report: new(Report),
		}
		ok := true
		for i := n - 1; ok && i >= 0; i-- {
			back, can := patches[i].reversed()
			ok = can && trial.applyPatch(back) == nil
		}
		if ok {
			return n
		}
	}
	return 0
}

// reversed returns the patch that undoes p. There is none where p copies a
// file, or has a binary patch for one direction only.
func (p *Patch) reversed() (*Patch, bool) {
	back := *p
	back.Files = make([]*FileDiff, len(p.Files))
	for i, f := range p.Files {
		g := f.git
		if g.IsCopy || g.IsBinary && g.ReverseBinaryFragment == nil {
			return nil, false
		}
		r := *g
		r.OldName, r.NewName = g.NewName, g.OldName
		r.OldMode, r.NewMode = g.NewMode, g.OldMode
		if g.NewMode == 0 {
			r.OldMode, r.NewMode = g.OldMode, 0 // the mode of the index line
		}
		r.OldOIDPrefix, r.NewOIDPrefix = g.NewOIDPrefix, g.OldOIDPrefix
		r.IsNew, r.IsDelete = g.IsDelete, g.IsNew
		r.BinaryFragment, r.ReverseBinaryFragment = g.ReverseBinaryFragment, g.BinaryFragment
		r.TextFragments = make([]*gitdiff.TextFragment, len(g.TextFragments))
		for j, h := range g.TextFragments {
			r.TextFragments[j] = reversed(h)
		}
		back.Files[len(p.Files)-1-i] = &FileDiff{git: &r, line: f.line, hunkLines: f.hunkLines}
	}
	return &back, true
}
