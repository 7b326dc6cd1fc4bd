// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// checkExists checks that the files exist, or do not, as the diff expects.
func (a *applier) checkExists(f *FileDiff, src *node, c *change, o *outcome) error {
	g := f.git
	var target *node
	if g.IsNew || g.IsRename || g.IsCopy {
		if c.written[g.NewName] != nil {
			return &ApplyError{Reason: "the patch makes this file twice", Err: ErrCorrupt}
		}
		var err error
		if target, err = a.image.get(g.NewName); err != nil {
			return err
		}
	}

	there := target != nil
	same := false // what is there is what the patch makes
	if there {
		same = checkID(g.NewOIDPrefix, target) == idSame
	}

	switch {
	case !g.IsNew && src == nil && (g.IsDelete || same):
		if a.relocate {
			o.already = true
			return nil
		}
		return &ApplyError{File: f.OldPath(), Reason: "the file is not in this tree: the change is already in it", Err: ErrApplied}
	case !g.IsNew && src == nil:
		return &ApplyError{File: f.OldPath(), Reason: "there is no such file in this tree", Err: ErrFile}
	case there && !c.doomed[g.NewName]:
		if g.IsNew && same {
			if a.relocate {
				o.already = true
				return nil
			}
			return &ApplyError{Reason: "the patch creates a file that is already in this tree, with the same content", Err: ErrApplied}
		}
		return &ApplyError{Reason: "the patch creates a file that is already in this tree", Found: "blob " + describeID(target, g.NewOIDPrefix), Expected: "no file", Err: ErrFile}
	}
	return nil
}

// setMode gives the result of a patch its mode: the one that the patch says,
// else the one that the file has.
func setMode(f *FileDiff, src, result *node) error {
	g := f.git
	result.mode = modeFile
	if src != nil {
		result.mode = src.mode
		if old := uint32(g.OldMode); old != 0 && (old^src.mode)&modeKind != 0 {
			return &ApplyError{Reason: "the file is of another kind than the patch says", Expected: fmt.Sprintf("mode %06o", old), Found: fmt.Sprintf("mode %06o", src.mode), Err: ErrFile}
		}
	}

	switch mode := uint32(g.NewMode); {
	case mode == 0:
	case mode == modeSymlink:
		result.mode = modeSymlink
	case mode&modeKind == modeFile&modeKind:
		// As git canonicalizes it: the owner's x decides.
		if result.mode = modeFile; mode&0o100 != 0 {
			result.mode = modeExec
		}
	default:
		return &ApplyError{Reason: fmt.Sprintf("the patch gives the file the mode %06o, which is neither a file's nor a symbolic link's", mode), Err: ErrFile}
	}
	if result.mode == modeSymlink {
		return checkTarget(g.NewName, string(result.data))
	}
	return nil
}

// makeContent works out the content that a diff makes of src. The result has no
// mode yet.
func (a *applier) makeContent(p *Patch, f *FileDiff, src *node, o *outcome) (*node, error) {
	before := checkID(f.git.OldOIDPrefix, src)
	if src == nil {
		src = new(node)
	}
	g := f.git
	if g.IsBinary && (len(g.OldOIDPrefix) != 40 || len(g.NewOIDPrefix) != 40) {
		return nil, &ApplyError{Reason: "a binary patch without the whole blob ids; make it with git format-patch --binary --full-index", Err: ErrCorrupt}
	}
	if before == idDifferent && checkID(g.NewOIDPrefix, src) == idSame &&
		!g.IsRename && !g.IsCopy && (g.NewMode == 0 || uint32(g.NewMode) == src.mode) {
		if a.relocate {
			o.already = true
			return nil, nil
		}
		return nil, &ApplyError{Reason: "the patch's change of this file is already in this tree", Err: ErrApplied}
	}

	// With an index line that names another content, hunks are searched for.
	exact := before != idDifferent && !(a.relocate && before == idAbsent)
	hunks := g.TextFragments
	if len(hunks) > 0 {
		t := &textFile{patch: p, diff: f, lines: splitLines(src.data), mode: src.mode}
		var err error
		if exact || !a.relocate {
			err = t.checkPlaces()
		} else {
			hunks, err = t.relocate(o)
		}
		if err != nil || o.already {
			return nil, err
		}
	}
	if before == idDifferent && (!a.relocate || g.IsBinary) {
		return nil, &ApplyError{
			Reason:   "the file is not the one that the patch was made for, by the patch's index line",
			Expected: g.OldOIDPrefix, Found: describeID(src, g.OldOIDPrefix), Err: ErrIndexLine,
		}
	}

	data, err := run(g, hunks, src.data)
	if err != nil {
		return nil, err
	}
	result := &node{data: data}
	if g.IsDelete || !exact {
		return result, nil
	}
	if checkID(g.NewOIDPrefix, result) == idDifferent {
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
		e := &ApplyError{Reason: err.Error(), Err: ErrCorrupt}
		var ge *gitdiff.ApplyError
		if errors.As(err, &ge) {
			e.Hunk, e.Line = ge.Fragment, int(ge.Line)
		}
		if errors.Is(err, &gitdiff.Conflict{}) {
			e.Err = ErrConflict
		}
		return nil, e
	}
	if dst.Len() > MaxTreeFile {
		return nil, fmt.Errorf("the patch makes a file of %d bytes, more than %d: %w", dst.Len(), MaxTreeFile, ErrTooLarge)
	}
	return dst.Bytes(), nil
}

// idState is what a blob id of an index line says of a file's content.
type idState int

const (
	idAbsent idState = iota // the patch has no index line
	idSame
	idDifferent
)

// blobID is an id of an index line: of git's SHA-1, abbreviated or not.
var blobID = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// checkIndexLine refuses an index line whose ids are not git blob ids.
func checkIndexLine(g *gitdiff.File) error {
	for _, id := range []string{g.OldOIDPrefix, g.NewOIDPrefix} {
		if !blobID.MatchString(id) && (g.OldOIDPrefix != "" || g.NewOIDPrefix != "") {
			return fmt.Errorf("the index line has %q, which is not a git blob id", id)
		}
	}
	return nil
}

// checkID compares an id of an index line, abbreviated as it stands there,
// with a file; nil is a file that does not exist, which git writes as zeros.
func checkID(prefix string, n *node) idState {
	id := zeroID
	if n != nil && prefix != "" {
		id = n.blobID()
	}
	switch {
	case prefix == "":
		return idAbsent
	case strings.HasPrefix(id, prefix):
		return idSame
	}
	return idDifferent
}

const zeroID = "0000000000000000000000000000000000000000"

// describeID returns a file's blob id as an index line would have it: as long
// as the one that it is compared with.
func describeID(n *node, like string) string {
	if n == nil {
		return "no file"
	}
	return n.blobID()[:cmp.Or(len(like), 40)]
}
