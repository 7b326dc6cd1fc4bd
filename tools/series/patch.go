// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"vcpulab/tools/tree"
)

// applier applies patches to an image, one after another.
type applier struct {
	image    *image
	relocate bool
	report   *Report
	// undoing: patches are taken back, to see whether they are there.
	undoing bool
	// each is called after each patch, if set.
	each func(p *Patch, files map[string]*File) error
}

// applyAll applies patches, in order. One that does not apply because it is in the tree already,
// maybe with some that follow it, is left out with relocate, as these are; without, it is an error.
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
		if !a.relocate {
			reason := "this patch is already in this tree"
			if n > 1 {
				reason = fmt.Sprintf("this patch and what follows, through %s, is already in this tree", patches[i+n-1].Name)
			}
			return &ApplyError{Patch: patches[i].Name, Number: patches[i].Number, Reason: reason, Err: ErrApplied}
		}
		for _, p := range patches[i : i+n] {
			pr := p.report(Already)
			pr.Files = []FileReport{}
			a.report.Patches = append(a.report.Patches, pr)
		}
		i += n - 1
	}
	return nil
}

// present returns how many of the patches, from the first on, are in the tree already. That
// cannot be seen of one alone if a later one changed the same lines: all are taken back.
func (a *applier) present(patches []*Patch) int {
	for n := min(len(patches), maxPresent); n > 0; n-- {
		image := *a.image
		image.base, image.now = maps.Clone(image.base), maps.Clone(image.now)
		trial := &applier{image: &image, relocate: true, undoing: true, report: new(Report)}
		ok := true
		for i := n - 1; ok && i >= 0; i-- {
			back, can := patches[i].Reversed()
			ok = can && trial.applyPatch(back) == nil
		}
		if ok {
			return n
		}
	}
	return 0
}

// Reversed returns the patch that undoes p. There is none where p copies a
// file, or has a binary patch for one direction only.
func (p *Patch) Reversed() (*Patch, bool) {
	back := *p
	back.Files = make([]*FileDiff, len(p.Files))
	for i, f := range p.Files {
		g := f.git
		if g.IsCopy || g.IsBinary && g.ReverseBinaryFragment == nil {
			return nil, false
		}
		r := *g
		r.OldName, r.NewName = g.NewName, g.OldName
		if g.NewMode != 0 { // else it is the mode of the index line
			r.OldMode, r.NewMode = g.NewMode, g.OldMode
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

// change is what a patch does to its files, while it is being worked out. The
// rules for a file that occurs more than once are git's (previous_patch() in
// its apply.c): renames and copies take their source as it was before the
// patch, everything else goes on from what the patch has made so far.
type change struct {
	files map[string]*File // nil: the file is removed
	// doomed are files that the patch removes or renames somewhere.
	doomed map[string]bool
	shifts []Shift
}

// applyPatch applies one patch to the image: all of it, or nothing and an error.
func (a *applier) applyPatch(p *Patch) error {
	c := &change{files: map[string]*File{}, doomed: map[string]bool{}}
	for _, f := range p.Files {
		if f.git.IsDelete || f.git.IsRename {
			c.doomed[f.git.OldName] = true
		}
	}

	pr := p.report(Applied)
	for _, f := range p.Files {
		r, err := a.changeFile(f, c)
		if err != nil {
			return applyError(p, f, err)
		}
		pr.Files = append(pr.Files, r)
		pr.Insertions += r.Insertions
		pr.Deletions += r.Deletions
	}
	if err := a.image.put(c.files); err != nil {
		return applyError(p, nil, err)
	}
	for _, s := range c.shifts {
		s.Patch = p.Name
		a.report.Shifts = append(a.report.Shifts, s)
	}
	a.report.Patches = append(a.report.Patches, pr)
	if a.each != nil {
		return a.each(p, c.files)
	}
	return nil
}

// applyError makes err an ApplyError that names patch and file.
func applyError(p *Patch, f *FileDiff, err error) error {
	var e *ApplyError
	if !errors.As(err, &e) {
		e = &ApplyError{Reason: err.Error(), Err: err}
	}
	e.Patch, e.Number = p.Name, p.Number
	if f != nil {
		e.File = cmp.Or(e.File, f.path())
		e.PatchLine = cmp.Or(e.PatchLine, f.line)
	}
	return e
}

// changeFile works out what a patch makes of one file, and notes it in c.
func (a *applier) changeFile(f *FileDiff, c *change) (FileReport, error) {
	g := f.git
	r := FileReport{Path: f.path(), Action: f.action(), Binary: g.IsBinary}
	for _, h := range g.TextFragments {
		r.Insertions += int(h.LinesAdded)
		r.Deletions += int(h.LinesDeleted)
	}
	if g.IsRename || g.IsCopy {
		r.OldPath = g.OldName
	}

	src, err := a.source(f, c)
	if err != nil {
		return r, err
	}
	result, err := a.makeContent(f, src, c)
	if err == nil && !g.IsDelete {
		err = setMode(f, src, result)
	}
	if err != nil {
		return r, err
	}

	if src != nil {
		r.Before = src.blobID()
	}
	if g.IsDelete {
		if len(result.Data) > 0 {
			return r, &ApplyError{Reason: "the patch removes the file, but its hunks leave content in it", Err: ErrConflict}
		}
		c.files[g.OldName] = nil
		return r, nil
	}
	r.After, r.Mode = result.blobID(), result.Mode
	c.files[g.NewName] = result
	if _, again := c.files[g.OldName]; g.IsRename && !again {
		c.files[g.OldName] = nil
	}
	return r, nil
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

// source returns the file that a diff starts from, nil for a new one; the tree has to be as it expects.
func (a *applier) source(f *FileDiff, c *change) (src *File, err error) {
	g := f.git
	// Both before anything is read: a patch with a bad path is bad as a whole.
	for _, name := range []string{f.OldPath(), f.NewPath()} {
		if name != "" {
			if err := checkPath(name); err != nil {
				return nil, err
			}
		}
	}
	if !g.IsNew {
		if src, err = a.image.get(g.OldName); err != nil {
			return nil, err
		}
		if n, again := c.files[g.OldName]; again && !g.IsRename && !g.IsCopy {
			if src = n; n == nil {
				return nil, &ApplyError{File: g.OldName, Reason: "the patch changes a file that it has removed or renamed before", Err: ErrCorrupt}
			}
		}
		if src == nil {
			return nil, &ApplyError{File: g.OldName, Reason: "there is no such file in this tree", Err: ErrFile}
		}
		if a.undoing && g.OldMode != 0 && g.NewMode != 0 && src.Mode != gitMode(g.OldMode) {
			return nil, &ApplyError{Reason: "the mode is not in this tree", Err: ErrFile}
		}
	}

	if !g.IsNew && !g.IsRename && !g.IsCopy {
		return src, nil
	}
	if c.files[g.NewName] != nil {
		return nil, &ApplyError{Reason: "the patch makes this file twice", Err: ErrCorrupt}
	}
	target, err := a.image.get(g.NewName)
	if err != nil || target == nil || c.doomed[g.NewName] {
		return src, err
	}
	e := &ApplyError{
		Reason: "the patch creates a file that is already in this tree", Err: ErrFile,
		Expected: "no file", Found: "blob " + describeID(target, g.NewOIDPrefix),
	}
	if g.IsNew && target.is(g.NewOIDPrefix) {
		e.Reason, e.Err = "the patch creates a file that is already in this tree, with the same content", ErrApplied
	}
	return nil, e
}

// setMode gives the result of a patch the mode that the patch says, else that of the file.
func setMode(f *FileDiff, src, result *File) error {
	g := f.git
	result.Mode = tree.ModeFile
	if src != nil {
		result.Mode = src.Mode
		if old := gitMode(g.OldMode); g.OldMode != 0 && old[:2] != src.Mode[:2] {
			return &ApplyError{Reason: "the file is of another kind than the patch says", Expected: "mode " + old, Found: "mode " + src.Mode, Err: ErrFile}
		}
	}

	// As git canonicalizes it: of a file, the owner's x decides.
	switch mode := gitMode(g.NewMode); {
	case g.NewMode == 0:
	case mode == tree.ModeSymlink:
		result.Mode = mode
	case mode[:2] != tree.ModeFile[:2]:
		return &ApplyError{Reason: fmt.Sprintf("the patch gives the file the mode %s, which is neither a file's nor a symbolic link's", mode), Err: ErrFile}
	case g.NewMode&0o100 != 0:
		result.Mode = tree.ModeExecutable
	default:
		result.Mode = tree.ModeFile
	}
	if result.Mode == tree.ModeSymlink {
		return checkTarget(g.NewName, string(result.Data))
	}
	return nil
}

// gitMode returns a mode as git writes it: two digits are the kind of the file.
func gitMode(mode os.FileMode) string { return fmt.Sprintf("%06o", uint32(mode)) }

// makeContent works out what a diff makes of src, nil for a new file, but for the mode.
func (a *applier) makeContent(f *FileDiff, src *File, c *change) (*File, error) {
	g := f.git
	before := g.OldOIDPrefix == "" || src.is(g.OldOIDPrefix)
	if src == nil {
		src = new(File)
	}
	if g.IsBinary && (len(g.OldOIDPrefix) != 40 || len(g.NewOIDPrefix) != 40) {
		return nil, &ApplyError{Reason: "a binary patch without the whole blob ids; make it with git format-patch --binary --full-index", Err: ErrCorrupt}
	}

	// With an index line that names another content, hunks are searched for.
	exact := before && (!a.relocate || g.OldOIDPrefix != "")
	hunks := g.TextFragments
	if len(hunks) > 0 {
		t := newTextFile(f, src.Data)
		var shifts []Shift
		var err error
		if exact || !a.relocate {
			err = t.checkPlaces()
		} else {
			hunks, shifts, err = t.relocate()
		}
		if err != nil {
			return nil, err
		}
		c.shifts = append(c.shifts, shifts...)
	}
	if !before && (!a.relocate || g.IsBinary) {
		return nil, &ApplyError{
			Reason:   "the file is not the one that the patch was made for, by the patch's index line",
			Expected: g.OldOIDPrefix, Found: describeID(src, g.OldOIDPrefix), Err: ErrIndexLine,
		}
	}

	data, err := run(g, hunks, src.Data)
	if err != nil {
		return nil, err
	}
	result := &File{Data: data}
	if !g.IsDelete && exact && g.NewOIDPrefix != "" && !result.is(g.NewOIDPrefix) {
		return nil, &ApplyError{
			Reason:   "the patch makes another content than its index line says",
			Expected: g.NewOIDPrefix, Found: describeID(result, g.NewOIDPrefix),
			Hint: "the patch was edited after it was made; make it again with git format-patch", Err: ErrIndexLine,
		}
	}
	return result, nil
}

// run has go-gitdiff apply hunks, whose places have been checked, or a binary
// patch. A panic there becomes an error: patches are from outside.
func run(g *gitdiff.File, hunks []*gitdiff.TextFragment, data []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, &ApplyError{Reason: fmt.Sprintf("cannot be applied: %v", r), Err: ErrCorrupt}
		}
	}()
	if !g.IsBinary && len(hunks) == 0 {
		return data, nil
	}
	file := *g
	file.TextFragments = hunks
	var dst bytes.Buffer
	dst.Grow(len(data) + len(data)/16)
	if err := gitdiff.Apply(&dst, bytes.NewReader(data), &file, gitdiff.WithMaxBinaryFragmentBytes(MaxTreeFile)); err != nil {
		return nil, &ApplyError{Reason: err.Error(), Err: ErrCorrupt}
	}
	if dst.Len() > MaxTreeFile {
		return nil, fmt.Errorf("the patch makes a file of %d bytes, more than %d: %w", dst.Len(), MaxTreeFile, ErrTooLarge)
	}
	return dst.Bytes(), nil
}

// is reports whether id, which may be abbreviated, is the file's blob id: zeros for a nil one.
func (n *File) is(id string) bool {
	if n == nil {
		return strings.Trim(id, "0") == ""
	}
	return strings.HasPrefix(n.blobID(), id)
}

// describeID returns a file's blob id, as long as the one that it is compared with.
func describeID(n *File, like string) string {
	return n.blobID()[:cmp.Or(len(like), 40)]
}
