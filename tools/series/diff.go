// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// FileDiff is the change of one file in one patch.
type FileDiff struct {
	git *gitdiff.File
	// line and hunkLines are 1-based lines of the patch's file: of the "diff --git" line and of each hunk's "@@" line.
	line      int
	hunkLines []int
}

// OldPath returns the path before the patch, "" if the file is new.
func (f *FileDiff) OldPath() string {
	if f.git.IsNew {
		return ""
	}
	return f.git.OldName
}

// NewPath returns the path after the patch, "" if the file is deleted.
func (f *FileDiff) NewPath() string {
	if f.git.IsDelete {
		return ""
	}
	return f.git.NewName
}

// path returns the name that a message uses for the file.
func (f *FileDiff) path() string { return cmp.Or(f.NewPath(), f.OldPath()) }

// Lines returns the lines that the patch removes and adds, as far as they are text.
func (f *FileDiff) Lines() (removed, added []string) {
	for _, fragment := range f.git.TextFragments {
		for _, l := range fragment.Lines {
			text := strings.TrimRight(l.Line, "\r\n")
			switch l.Op {
			case gitdiff.OpDelete:
				removed = append(removed, text)
			case gitdiff.OpAdd:
				added = append(added, text)
			}
		}
	}
	return removed, added
}

// patchLine returns the 1-based line in the patch's file of a hunk's line.
func (f *FileDiff) patchLine(hunk, hunkLine int) int {
	at := f.hunkLines[hunk]
	for _, l := range f.git.TextFragments[hunk].Lines[:hunkLine] {
		at++
		if l.NoEOL() {
			at++ // "\ No newline at end of file"
		}
	}
	return at + 1
}

// parserLine is where go-gitdiff's messages say where, in the text that it was given.
var parserLine = regexp.MustCompile(`^gitdiff: line (\d+): `)

// parseDiff reads what follows a commit message, from a line of the patch's file on: the
// changes of files, and text that git ignores too. tail is what follows the last change.
// Errors are *FormatError.
func parseDiff(data []byte, line int) (files []*FileDiff, tail []byte, err error) {
	parsed, err := parse(data)
	if err != nil {
		reason := err.Error()
		if m := parserLine.FindStringSubmatch(reason); m != nil {
			n, _ := strconv.Atoi(m[1])
			line, reason = line+max(n, 1)-1, reason[len(m[0]):]
		}
		return nil, nil, corrupt(line, "the diff is damaged: %s; make the patch again with git format-patch", reason)
	}

	c := &cursor{rest: data, number: line}
	for _, git := range parsed {
		f := &FileDiff{git: git}
		if err := f.locate(c); err != nil {
			return nil, nil, err
		}
		if err := f.check(); err != nil {
			return nil, nil, err
		}
		files, tail = append(files, f), c.rest
	}
	return files, tail, nil
}

// parse has go-gitdiff parse a diff. A panic there becomes an error: the text is from outside.
func parse(data []byte) (files []*gitdiff.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			files, err = nil, fmt.Errorf("cannot be parsed: %v", r)
		}
	}()
	files, _, err = gitdiff.Parse(bytes.NewReader(data))
	return files, err
}

// cursor goes through the lines of a diff to find those of its parts.
type cursor struct {
	rest   []byte
	number int // 1-based line in the patch's file of the line that rest starts with
}

func (c *cursor) at(prefix string) bool { return bytes.HasPrefix(c.rest, []byte(prefix)) }

func (c *cursor) skip() (line []byte) {
	line, c.rest = cutLine(c.rest)
	c.number++
	return line
}

// atTraditional reports whether a file header of plain diff starts here.
func (c *cursor) atTraditional() bool {
	_, second := cutLine(c.rest)
	_, third := cutLine(second)
	return c.at("--- ") && bytes.HasPrefix(second, []byte("+++ ")) && bytes.HasPrefix(third, []byte("@@ -"))
}

// headerLine may follow "diff --git" before the content.
var headerLine = regexp.MustCompile(`^(---|\+\+\+|(old|new|deleted file|new file) mode|(copy|rename) (from|to|old|new)|(dis)?similarity index|index|Binary files|Files) `)

// locate finds the lines of a file that has been parsed, and goes past it.
func (f *FileDiff) locate(c *cursor) error {
	for ; !c.at("diff --git "); c.skip() {
		if c.atTraditional() || len(c.rest) == 0 {
			return corrupt(c.number, "not a diff as git writes it: a file without a \"diff --git\" line; make the patch with git format-patch")
		}
	}
	f.line = c.number
	for c.skip(); ; c.skip() {
		line, _ := cutLine(c.rest)
		if !headerLine.Match(line) {
			break
		}
		// Git takes off the first component, and refuses a name without one.
		if (c.at("--- ") || c.at("+++ ")) && !bytes.ContainsRune(line, '/') {
			return corrupt(c.number, "the name has no leading a/ or b/ to take off: %s", clip(line))
		}
	}

	for _, h := range f.git.TextFragments {
		f.hunkLines = append(f.hunkLines, c.number)
		c.skip()
		for i, l := range h.Lines {
			c.skip()
			for c.at("\\") && (i < len(h.Lines)-1 || l.NoEOL()) {
				c.skip()
			}
		}
	}
	// A binary patch and the one that undoes it each end in a blank line.
	for _, b := range []*gitdiff.BinaryFragment{f.git.BinaryFragment, f.git.ReverseBinaryFragment} {
		for b != nil && len(c.rest) > 0 && len(bytes.TrimSpace(c.skip())) > 0 {
		}
	}
	return nil
}

// blobID is an id of an index line: of git's SHA-1, abbreviated or not.
var blobID = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// check refuses what go-gitdiff takes and no git writes.
func (f *FileDiff) check() error {
	g := f.git
	for _, id := range []string{g.OldOIDPrefix, g.NewOIDPrefix} {
		if !blobID.MatchString(id) && g.OldOIDPrefix+g.NewOIDPrefix != "" {
			return corrupt(f.line, "the index line has %q, which is not a git blob id", id)
		}
	}
	if max(g.OldMode, g.NewMode) > 0o777777 {
		return corrupt(f.line, "impossible mode")
	}
	for i, h := range g.TextFragments {
		for _, n := range []int64{h.OldPosition, h.OldLines, h.NewPosition, h.NewLines} {
			if n < 0 || n >= 1e9 {
				return corrupt(f.hunkLines[i], "impossible hunk header: %s", h.Header())
			}
		}
	}
	if f.action() == Chmod && (g.OldMode == 0 || g.NewMode == 0 || g.OldMode == g.NewMode) {
		return corrupt(f.line, "%s: a file without any change", f.path())
	}
	return nil
}
