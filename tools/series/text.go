// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// textFile is a file whose hunks are to be placed.
type textFile struct {
	patch *Patch
	diff  *FileDiff
	lines []string
	mode  uint32 // git's
}

func (t *textFile) hunks() []*gitdiff.TextFragment { return t.diff.git.TextFragments }

// fail starts the error for a hunk (from 0) at a line of the file (from 0).
func (t *textFile) fail(hunk, line int, err error, format string, args ...any) *ApplyError {
	return &ApplyError{
		Hunk: hunk + 1, Line: line + 1, PatchLine: t.diff.hunkLines[hunk],
		Around: around(t.lines, line), Reason: fmt.Sprintf(format, args...), Err: err,
	}
}

// checkPlaces checks that every hunk stands where its header says.
func (t *textFile) checkPlaces() error {
	if i, reason := checkHeaders(t.hunks()); i >= 0 {
		e := t.fail(i, start(t.hunks()[i].OldPosition, t.hunks()[i].OldLines), ErrCorrupt, "%s", reason)
		e.Hint = "the patch was edited after it was made; make it again with git format-patch"
		return e
	}
	for i, h := range t.hunks() {
		at := start(h.OldPosition, h.OldLines)
		if h.OldLines == 0 {
			if len(t.lines) > 0 {
				return t.noContext(i, at)
			}
			continue
		}
		if hunkLine, fileLine, ok := mismatch(h, t.lines, at); !ok {
			return t.explain(t.conflict(i, hunkLine, fileLine), i)
		}
		if err := t.checkEnds(i, at); err != nil {
			return err
		}
	}
	return nil
}

func (t *textFile) noContext(hunk, at int) error {
	e := t.fail(hunk, at, ErrNoContext, "the hunk has no lines of context, so that its place cannot be checked")
	e.Hint = "make the patch with context: git format-patch without -U0"
	return e
}

// checkEnds checks the ends of the file.
func (t *textFile) checkEnds(hunk, at int) error {
	h := t.hunks()[hunk]
	err := placeError(h, at, len(t.lines))
	if err == nil {
		return nil
	}

	end := at + int(h.OldLines)
	goesOn := ""
	switch {
	case t.diff.git.IsDelete && at == 0:
		err, goesOn = ErrConflict, "the patch removes the file, but the file goes on after what the patch takes out"
	case err == ErrNoContext:
		return t.noContext(hunk, at)
	case end >= len(t.lines):
		return t.fail(hunk, at, err, "the hunk must start the file")
	default:
		goesOn = "the hunk has no context after it, so it must end the file, but the file goes on"
	}
	e := t.fail(hunk, end, err, "%s", goesOn)
	e.Expected, e.Found = show(endOfFile, t.lines[end])
	return e
}

// conflict is the error for a hunk of which a line is not in the file.
func (t *textFile) conflict(hunk, hunkLine, fileLine int) *ApplyError {
	at := max(0, min(fileLine, len(t.lines)))
	e := t.fail(hunk, at, ErrConflict, "the tree has another line than the patch expects")
	e.PatchLine = t.diff.patchLine(hunk, hunkLine)
	expected, found := t.hunks()[hunk].Lines[hunkLine].Line, endOfFile
	if fileLine >= 0 && fileLine < len(t.lines) {
		found = t.lines[fileLine]
	}
	e.Expected, e.Found = show(expected, found)
	if strings.TrimSuffix(found, "\r\n") == strings.TrimSuffix(expected, "\n") && found != expected {
		e.Hint = "the file's lines end in CR LF; git am takes the CR off mails: keep it (git am --keep-cr) if the mails have it"
	}
	return e
}

// explain adds to a conflict what can be seen of the hunk elsewhere in the
// file.
func (t *textFile) explain(e *ApplyError, hunk int) error {
	f := newFinder(t.lines)
	if f.applied(t.hunks()) {
		e.Reason, e.Err = "the patch's change of this file is already in this tree", ErrApplied
		return e
	}
	h := t.hunks()[hunk]
	switch found := f.places(h); {
	case len(found) > 0:
		for _, at := range found {
			e.Candidates = append(e.Candidates, Candidate{Line: at + 1, Heading: heading(t.lines, at)})
		}
		e.Hint = "the tree is not the one that the series was made for; as a user's own tree it may be given, hunks are then found by their context"
	case len(f.places(reversed(h))) > 0:
		e.Reason, e.Err = "this hunk is already in this tree", ErrApplied
	}
	return e
}

// relocate finds the places of all hunks by their context and returns the
// hunks with those places.
func (t *textFile) relocate(o *outcome) ([]*gitdiff.TextFragment, error) {
	hunks := t.hunks()
	for i, h := range hunks {
		if h.LeadingContext > 0 || h.TrailingContext > 0 || h.OldLines == 0 && len(t.lines) == 0 {
			continue
		}
		// It has to be all of the file: there is no other place to look at.
		at := start(h.OldPosition, h.OldLines)
		if hunkLine, fileLine, ok := mismatch(h, t.lines, at); !ok {
			return nil, t.conflict(i, hunkLine, fileLine)
		}
		if err := t.checkEnds(i, at); err != nil {
			return nil, err
		}
	}

	f := newFinder(t.lines)
	p := f.locate(hunks)
	if p.failed >= 0 {
		if !f.applied(hunks) {
			return nil, t.unplaced(f, p)
		}
		if g := t.diff.git; g.IsRename || g.IsCopy || g.NewMode != 0 && uint32(g.NewMode) != t.mode {
			e := t.fail(0, f.places(reversed(hunks[0]))[0], ErrApplied, "the patch's change of the content is already in this tree, its change of name or mode is not")
			e.File = t.diff.OldPath()
			return nil, e
		}
		o.already = true
		return nil, nil
	}

	moved := make([]*gitdiff.TextFragment, len(hunks))
	for i, h := range hunks {
		from := start(h.OldPosition, h.OldLines)
		to := p.at[i]
		if from != to {
			s := Shift{
				Patch: t.patch.Name, File: t.diff.path(), Hunk: i + 1,
				From: from + 1, To: to + 1, Offset: to - from, ByHeading: p.byHeading[i],
			}
			if namesAnother(t.lines, to, h.Comment) {
				s.Named, s.In = trimHeading(h.Comment), heading(t.lines, to)
			}
			o.shifts = append(o.shifts, s)
		}
		c := *h
		if c.OldLines > 0 {
			c.OldPosition = int64(to) + 1
		}
		moved[i] = &c
	}
	return moved, nil
}

// unplaced is the error for a hunk whose place is not known.
func (t *textFile) unplaced(f *finder, p placed) error {
	h := t.hunks()[p.failed]
	at := start(h.OldPosition, h.OldLines)
	switch {
	case len(p.candidates) > 1:
		e := t.fail(p.failed, at, ErrAmbiguous, "the lines that the hunk expects stand in %d places, and nothing tells which is meant", len(p.candidates))
		e.Around = nil
		for _, c := range p.candidates {
			e.Candidates = append(e.Candidates, Candidate{Line: c + 1, Heading: heading(t.lines, c)})
		}
		e.Hint = "give the hunk more context (git format-patch -U10) or make the series for this tree"
		return e
	case len(p.candidates) == 1:
		e := t.fail(p.failed, p.candidates[0], ErrConflict, "the hunk fits here alone, but that is not after the hunk before it")
		return e
	case len(f.places(reversed(h))) > 0:
		return t.fail(p.failed, f.places(reversed(h))[0], ErrApplied, "this hunk is already in this tree, others of the patch are not")
	}
	// Nowhere: show the place that comes nearest.
	at = f.nearest(h, at)
	hunkLine, fileLine, ok := mismatch(h, t.lines, at)
	if ok { // its lines are there, but not at the end of the file that it names
		return t.checkEnds(p.failed, at)
	}
	e := t.conflict(p.failed, hunkLine, fileLine)
	e.Reason = "the lines that the patch expects are nowhere in the file; this comes nearest"
	return e
}
