// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"errors"
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

// OldPath and NewPath are the paths before and after; "" if the file is new
// or deleted.
func (f *FileDiff) OldPath() string {
	if f.git.IsNew {
		return ""
	}
	return f.git.OldName
}

// NewPath returns the path after the patch.
func (f *FileDiff) NewPath() string {
	if f.git.IsDelete {
		return ""
	}
	return f.git.NewName
}

// Lines returns the lines that the patch removes and those that it adds,
// without their ends, as far as they are text.
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

// path returns the name that a message uses for the file.
func (f *FileDiff) path() string {
	if p := f.NewPath(); p != "" {
		return p
	}
	return f.OldPath()
}

// counts returns how many lines are inserted and deleted.
func (f *FileDiff) counts() (inserted, deleted int) {
	for _, h := range f.git.TextFragments {
		inserted += int(h.LinesAdded)
		deleted += int(h.LinesDeleted)
	}
	return inserted, deleted
}

// diffError is what is wrong with a diff, at a line of the patch's file.
type diffError struct {
	line   int
	reason string
}

func (e *diffError) Error() string { return e.reason }

func diffErrorLine(err error) (line int, reason string) {
	var d *diffError
	if errors.As(err, &d) {
		return d.line, d.reason
	}
	return 0, err.Error()
}

// hunkHeader takes "@@ -12,3 +14 @@ heading".
var hunkHeader = regexp.MustCompile(`^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@`)

// sectioner cuts a diff into one section a file. It counts lines as git apply
// does, so that nothing inside a hunk is taken for a header: go-gitdiff then
// gets one file at a time, and the line of each hunk is known.
type sectioner struct {
	rest   []byte
	number int // 1-based line in the patch's file of the line that rest starts with
}

func (s *sectioner) peek() []byte { line, _ := cutLine(s.rest); return line }

func (s *sectioner) skip() []byte {
	line, rest := cutLine(s.rest)
	s.rest, s.number = rest, s.number+1
	return line
}

// parseDiff reads what follows a commit message: the changes of files, and
// between them text that git ignores too. line is its first line's number in
// the patch's file. tail is what follows the last change.
func parseDiff(data []byte, line int) (files []*FileDiff, tail []byte, err error) {
	s := &sectioner{rest: data, number: line}
	for len(s.rest) > 0 {
		switch l := s.peek(); {
		case bytes.HasPrefix(l, []byte("diff --git ")):
			f, err := s.readFile()
			if err != nil {
				return nil, nil, err
			}
			files, tail = append(files, f), s.rest
		case bytes.HasPrefix(l, []byte("@@ -")):
			return nil, nil, &diffError{s.number, "a hunk without the header of a file before it: " + clip(l)}
		case s.atTraditional():
			return nil, nil, &diffError{s.number, "not a diff as git writes it: a file without a \"diff --git\" line; make the patch with git format-patch"}
		default:
			s.skip()
		}
	}
	return files, tail, nil
}

// atTraditional reports whether a file header of plain diff starts here.
func (s *sectioner) atTraditional() bool {
	a, rest := cutLine(s.rest)
	b, rest := cutLine(rest)
	c, _ := cutLine(rest)
	return bytes.HasPrefix(a, []byte("--- ")) && bytes.HasPrefix(b, []byte("+++ ")) && bytes.HasPrefix(c, []byte("@@ -"))
}

// readFile reads the section of one file.
func (s *sectioner) readFile() (*FileDiff, error) {
	f := &FileDiff{line: s.number}
	start := s.rest
	s.skip()
	if err := s.readHeader(); err != nil {
		return nil, err
	}
	var body int // where the hunks begin
	for body = len(start) - len(s.rest); bytes.HasPrefix(s.peek(), []byte("@@ -")); {
		f.hunkLines = append(f.hunkLines, s.number)
		if err := s.readHunk(); err != nil {
			return nil, err
		}
	}
	if len(f.hunkLines) == 0 && bytes.HasPrefix(s.peek(), []byte("GIT binary patch")) {
		s.skipBinary()
	}
	text := start[:len(start)-len(s.rest)]
	git, err := parseSection(text)
	if err != nil {
		return nil, f.parseError(err)
	}
	if len(git.TextFragments) != len(f.hunkLines) {
		return nil, &diffError{f.line, fmt.Sprintf("%d hunks, but only %d can be read", len(f.hunkLines), len(git.TextFragments))}
	}
	f.git = git
	if len(f.hunkLines) == 0 && !git.IsBinary && !f.changesMeta() {
		return nil, &diffError{f.line, "a file without any change: " + clip(text[:body])}
	}
	return f, nil
}

// parserLine is where go-gitdiff's messages say where, in the text that it was
// given.
var parserLine = regexp.MustCompile(`^gitdiff: line (\d+): `)

func (f *FileDiff) parseError(err error) *diffError {
	e := &diffError{f.line, err.Error()}
	if m := parserLine.FindStringSubmatch(e.reason); m != nil {
		n, _ := strconv.Atoi(m[1])
		e.reason = e.reason[len(m[0]):]
		if e.line > 0 && n > 0 {
			e.line += n - 1
		}
	}
	return e
}

// changesMeta reports whether the file changes other than in its content.
func (f *FileDiff) changesMeta() bool {
	g := f.git
	return g.IsNew || g.IsDelete || g.IsRename || g.IsCopy || g.OldMode != 0 && g.NewMode != 0 && g.OldMode != g.NewMode
}

// headerLines are what may follow "diff --git" before the content.
var headerLines = []string{
	"--- ", "+++ ", "old mode ", "new mode ", "deleted file mode ", "new file mode ", "copy from ", "copy to ",
	"rename from ", "rename to ", "similarity index ", "dissimilarity index ", "index ", "Binary files ", "Files ",
}

func (s *sectioner) readHeader() error {
	for len(s.rest) > 0 {
		l := string(s.peek())
		known := false
		for _, h := range headerLines {
			known = known || strings.HasPrefix(l, h)
		}
		if !known {
			return nil
		}
		// Git takes off the first component, and refuses a name without one.
		if name, ok := strings.CutPrefix(l, "--- "); ok || strings.HasPrefix(l, "+++ ") {
			if !ok {
				name = l[len("+++ "):]
			}
			if !strings.Contains(name, "/") {
				return &diffError{s.number, "the name has no leading a/ or b/ to take off: " + clip([]byte(l))}
			}
		}
		s.skip()
	}
	return nil
}

// readHunk skips one hunk by the counts of its header.
func (s *sectioner) readHunk() error {
	at := s.number
	head := s.skip()
	m := hunkHeader.FindSubmatch(head)
	if m == nil {
		return &diffError{at, "damaged hunk header: " + clip(head)}
	}
	count := func(b []byte) int {
		if len(b) == 0 {
			return 1
		}
		n, _ := strconv.Atoi(string(b)) // at most nine digits
		return n
	}
	for before, after := count(m[2]), count(m[4]); before > 0 || after > 0; {
		number, line := s.number, s.skip()
		op := byte(0)
		if len(line) > 0 {
			op = line[0]
		}
		switch op {
		case ' ', '\n':
			before, after = before-1, after-1
		case '-':
			before--
		case '+':
			after--
		case '\\':
		default:
			return &diffError{number, fmt.Sprintf("the hunk ends too early: its header %q promises %d more lines of the old file and %d of the new", clip(head), before, after)}
		}
		if before < 0 || after < 0 {
			return &diffError{number, fmt.Sprintf("the hunk has more lines than its header %q says", clip(head))}
		}
	}
	if bytes.HasPrefix(s.peek(), []byte("\\ ")) {
		s.skip()
	}
	return nil
}

// skipBinary skips a binary patch: one block, and if there is one the block that
// undoes it, each ended by a blank line.
func (s *sectioner) skipBinary() {
	s.skip()
	for range 2 {
		if l := s.peek(); !bytes.HasPrefix(l, []byte("literal ")) && !bytes.HasPrefix(l, []byte("delta ")) {
			return
		}
		for len(s.rest) > 0 {
			if l := s.skip(); len(bytes.TrimRight(l, "\n")) == 0 {
				break
			}
		}
	}
}

// parseSection has go-gitdiff parse one file's section. A panic there becomes
// an error: the text is from outside.
func parseSection(text []byte) (f *gitdiff.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("cannot be parsed: %v", r)
		}
	}()
	files, _, err := gitdiff.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%d files where one was expected", len(files))
	}
	f = files[0]
	if err := checkIndexLine(f); err != nil {
		return nil, err
	}
	if f.OldMode>>31 != 0 || f.NewMode>>31 != 0 {
		return nil, errors.New("impossible mode")
	}
	return f, nil
}
