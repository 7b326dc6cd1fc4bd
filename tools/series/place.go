// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// textFile is a file whose hunks are to be placed.
type textFile struct {
	diff  *FileDiff
	hunks []*gitdiff.TextFragment
	lines []string // each with its line end
}

func newTextFile(f *FileDiff, data []byte) *textFile {
	return &textFile{diff: f, hunks: f.git.TextFragments, lines: slices.Collect(strings.Lines(string(data)))}
}

// start returns the 0-based line at which a hunk starts, by the position and
// count of its header: a range without lines names the line before it.
func start(position, lines int64) int {
	if lines > 0 {
		position--
	}
	return int(position)
}

// checkPlaces checks that every hunk stands where its header says.
func (t *textFile) checkPlaces() error {
	end, delta := 0, 0
	for i, h := range t.hunks {
		// Git would search for the place of a hunk that overlaps the one before
		// it, is out of order, or whose two positions contradict those before.
		from, to := start(h.OldPosition, h.OldLines), start(h.NewPosition, h.NewLines)
		reason := ""
		switch {
		case from < end:
			reason = fmt.Sprintf("starts at line %d, before the end of the hunk before it", from+1)
		case to != from+delta:
			reason = fmt.Sprintf("its header says that it comes to line %d, by the hunks before it it comes to line %d", to+1, from+delta+1)
		}
		if reason != "" {
			e := t.fail(i, from, ErrCorrupt, reason)
			e.Hint = "the patch was edited after it was made; make it again with git format-patch"
			return e
		}
		end = from + int(h.OldLines)
		delta += int(h.NewLines - h.OldLines)
	}

	for i, h := range t.hunks {
		at := start(h.OldPosition, h.OldLines)
		if e := t.misfit(i, at); e != nil {
			return t.explain(e, i)
		}
	}
	return nil
}

// relocate returns the hunks with their places, found by their context, and what moved.
func (t *textFile) relocate() ([]*gitdiff.TextFragment, []Shift, error) {
	at, byHeading, failed, err := t.locate()
	if err != nil {
		return nil, nil, t.unplaced(failed, err)
	}
	var shifts []Shift
	moved := make([]*gitdiff.TextFragment, len(t.hunks))
	for i, h := range t.hunks {
		from, to := start(h.OldPosition, h.OldLines), at[i]
		if from != to {
			s := Shift{File: t.diff.path(), Hunk: i + 1, From: from + 1, To: to + 1, Offset: to - from, ByHeading: byHeading[i]}
			if t.namesAnother(to, h.Comment) {
				s.Named, s.In = trimHeading(h.Comment), t.heading(to, nil)
			}
			shifts = append(shifts, s)
		}
		c := *h
		if c.OldLines > 0 {
			c.OldPosition = int64(to) + 1
		}
		moved[i] = &c
	}
	return moved, shifts, nil
}

// fail starts the error for a hunk (from 0) at a line of the file (from 0).
func (t *textFile) fail(hunk, line int, err error, reason string) *ApplyError {
	e := &ApplyError{Hunk: hunk + 1, Line: line + 1, PatchLine: t.diff.hunkLines[hunk], Reason: reason, Err: err}
	for i := max(0, line-linesAround); i <= line+linesAround && i < len(t.lines); i++ {
		e.Around = append(e.Around, FileLine{Number: i + 1, Text: strings.TrimRight(t.lines[i], "\r\n")})
	}
	return e
}

const linesAround = 3

// anotherLine is the reason where two lines differ.
const anotherLine = "the tree has another line than the patch expects"

// misfit says why a hunk cannot stand at a line (from 0), nil if it can.
func (t *textFile) misfit(hunk, at int) *ApplyError {
	h := t.hunks[hunk]
	line := at
	for i, l := range h.Lines {
		if !l.Old() {
			continue
		}
		if line < 0 || line >= len(t.lines) || t.lines[line] != l.Line {
			e := t.fail(hunk, max(0, min(line, len(t.lines))), ErrConflict, anotherLine)
			e.PatchLine = t.diff.patchLine(hunk, i)
			t.show(e, l.Line, line)
			return e
		}
		line++
	}

	switch {
	case t.mayStand(h, at):
		return nil
	case h.OldPosition <= 1 && at != 0:
		return t.fail(hunk, at, ErrConflict, "the hunk must start the file")
	case h.LeadingContext > 0 || at == 0 && h.NewLines == 0:
		e := t.fail(hunk, line, ErrConflict, "the hunk has no context after it, so it must end the file, but the file goes on")
		t.show(e, endOfFile, line)
		return e
	}
	e := t.fail(hunk, at, ErrNoContext, "the hunk has no lines of context, so that its place cannot be checked")
	e.Hint = "make the patch with context: git format-patch without -U0"
	return e
}

// mayStand reports whether a hunk may stand at a place if its lines are there.
// The rules are those of git apply: a hunk without context after it ends the
// file, one that says line 1 starts it. Without context on both sides there is
// nothing that tells the place, and go-gitdiff puts an insertion one line too
// early: such a hunk has to be all of the file.
func (t *textFile) mayStand(h *gitdiff.TextFragment, at int) bool {
	atEnd := at+int(h.OldLines) == len(t.lines)
	switch {
	case h.LeadingContext == 0 && h.TrailingContext == 0:
		return at == 0 && atEnd
	case h.TrailingContext == 0 && !atEnd:
		return false
	}
	return h.OldPosition > 1 || at == 0
}

// What a message has for the end of a file, and for a line without anything.
const (
	endOfFile = "(end of file)"
	blankLine = "(blank line)"
)

// show adds what was expected at a line of the file (from 0), and what is there.
// Where the two look alike they are quoted, so that the difference can be seen.
func (t *textFile) show(e *ApplyError, expected string, line int) {
	found := endOfFile
	if line >= 0 && line < len(t.lines) {
		found = t.lines[line]
	}
	e.Expected, e.Found = strings.TrimRight(expected, "\n"), strings.TrimRight(found, "\n")
	if e.Expected == "" {
		e.Expected = blankLine
	}
	if e.Found == "" {
		e.Found = blankLine
	}
	if slices.Equal(strings.Fields(expected), strings.Fields(found)) || !strconv.CanBackquote(e.Expected) || !strconv.CanBackquote(e.Found) {
		e.Expected, e.Found = strconv.Quote(expected), strconv.Quote(found)
	}
	if strings.HasSuffix(found, "\r\n") && !strings.HasSuffix(expected, "\r\n") {
		e.Hint = "the file's lines end in CR LF; git am takes the CR off mails: keep it (git am --keep-cr) if the mails have it"
	}
}

// explain adds to a conflict what can be seen of the hunk elsewhere in the file.
func (t *textFile) explain(e *ApplyError, hunk int) *ApplyError {
	h := t.hunks[hunk]
	found := t.places(h)
	for _, at := range found {
		e.Candidates = append(e.Candidates, Candidate{Line: at + 1, Heading: t.heading(at, nil)})
	}
	if len(found) > 0 {
		e.Hint = "the tree is not the one that the series was made for; as a user's own tree it may be given, hunks are then found by their context"
	} else if there := t.places(reversed(h)); len(there) > 0 {
		return t.fail(hunk, there[0], ErrApplied, "this hunk is already in this tree")
	}
	return e
}

// unplaced is the error for a hunk whose place is not known.
func (t *textFile) unplaced(hunk int, err error) error {
	h := t.hunks[hunk]
	at := start(h.OldPosition, h.OldLines)
	found := t.places(h)
	switch {
	case err == ErrAmbiguous:
		e := t.explain(t.fail(hunk, at, err, fmt.Sprintf("the lines that the hunk expects stand in %d places, and nothing tells which is meant", len(found))), hunk)
		e.Around = nil
		e.Hint = "give the hunk more context (git format-patch -U10) or make the series for this tree"
		return e
	case len(found) > 0:
		return t.fail(hunk, found[0], err, "the lines that the hunk expects are here, but that is not after the hunk before it")
	}
	// Nowhere: show the place that comes nearest.
	near, most := t.nearest(h, at)
	e := t.misfit(hunk, near)
	switch {
	case most == 0:
		e = t.fail(hunk, at, err, "none of the lines that the patch expects is in the file")
		e.Around = nil
	case e.Reason == anotherLine && e.Expected != endOfFile:
		e.Reason = "the lines that the patch expects are nowhere in the file; this comes nearest"
	}
	return t.explain(e, hunk)
}

// nearest returns the 0-based line from which on most of a hunk's old lines are there in their
// order, by their length, and how much of them. Among equals it is the one with more of them
// without a gap, then the one with fewer others in between, or nearest to line at.
func (t *textFile) nearest(h *gitdiff.TextFragment, at int) (best, most int) {
	const (
		enough = 50_000_000 // lines compared; this is for a message only
		gap    = 8          // lines that may have been added in between
	)
	distance := func(line int) int { return max(line-at, at-line) }
	want := oldLines(h)
	width := len(want) + gap
	best = at
	run := 0
	for from := 0; from < len(t.lines) && from*len(want)*width <= enough; from++ {
		window := t.lines[from:min(from+width, len(t.lines))]
		n, first := common(want, window), 0
		for first < len(want) && first < len(window) && window[first] == want[first] {
			first++
		}
		closer := distance(from) < distance(best)
		if from-best < width {
			closer = true // the same lines, and fewer in between
		}
		if order := cmp.Or(cmp.Compare(n, most), cmp.Compare(first, run)); order > 0 || order == 0 && closer {
			best, most, run = from, n, first
		}
	}
	return best, most
}

// common returns how much two pieces of text have in common: the bytes of the lines that
// are in both in the same order, white space apart.
func common(a, b []string) int {
	above := make([]int, len(b)+1)
	for _, line := range a {
		left, corner := 0, 0
		for j, other := range b {
			n := max(left, above[j+1])
			if line == other {
				n = max(n, corner+len(strings.TrimSpace(line)))
			}
			corner, above[j+1], left = above[j+1], n, n
		}
	}
	return above[len(b)]
}

// oldLines returns the lines that a hunk expects.
func oldLines(h *gitdiff.TextFragment) []string {
	lines := make([]string, 0, len(h.Lines))
	for _, l := range h.Lines {
		if l.Old() {
			lines = append(lines, l.Line)
		}
	}
	return lines
}

// places returns the 0-based lines at which a hunk may stand, in order.
func (t *textFile) places(h *gitdiff.TextFragment) []int {
	want := oldLines(h)
	var found []int
	for at := 0; at+len(want) <= len(t.lines); at++ {
		if slices.Equal(t.lines[at:at+len(want)], want) && t.mayStand(h, at) {
			found = append(found, at)
		}
	}
	return found
}

// locate finds the one way to place all hunks of a file, in order and without overlap. If
// there are several, hunks that fit in more than one place are held to the heading of their
// "@@" line, which names the function: byHeading tells for which that was needed. failed is
// the hunk that still has no place.
func (t *textFile) locate() (at []int, byHeading []bool, failed int, err error) {
	options := make([][]int, len(t.hunks))
	for i, h := range t.hunks {
		options[i] = t.places(h)
	}
	byHeading = make([]bool, len(t.hunks))
	if at, failed, err = assign(t.hunks, options); err != ErrAmbiguous {
		return at, byHeading, failed, err
	}
	for i, h := range t.hunks {
		same := slices.DeleteFunc(slices.Clone(options[i]), func(at int) bool { return !t.underHeading(at, h.Comment) })
		if len(options[i]) > 1 && h.Comment != "" && len(same) > 0 {
			options[i], byHeading[i] = same, true
		}
	}
	at, failed, err = assign(t.hunks, options)
	return at, byHeading, failed, err
}

// assign picks a place for each hunk so that they stand in order without
// overlap. The error is ErrConflict for the first hunk that has none, or
// ErrAmbiguous for the first that has more than one in what ways there are.
func assign(hunks []*gitdiff.TextFragment, options [][]int) (at []int, failed int, err error) {
	// Where the earliest place of a hunk and the latest one are the same there is no choice.
	at = make([]int, len(hunks))
	end := 0
	for i, h := range hunks {
		n, _ := slices.BinarySearch(options[i], end)
		if n == len(options[i]) {
			return nil, i, ErrConflict
		}
		at[i] = options[i][n]
		end = at[i] + int(h.OldLines)
	}
	limit := math.MaxInt32
	failed = -1
	for i, h := range slices.Backward(hunks) {
		n, _ := slices.BinarySearch(options[i], limit-int(h.OldLines)+1)
		limit = options[i][n-1]
		if limit != at[i] {
			failed = i
		}
	}
	if failed >= 0 {
		return nil, failed, ErrAmbiguous
	}
	return at, -1, nil
}

// reversed returns the hunk that undoes h.
func reversed(h *gitdiff.TextFragment) *gitdiff.TextFragment {
	r := *h
	r.OldPosition, r.OldLines, r.NewPosition, r.NewLines = h.NewPosition, h.NewLines, h.OldPosition, h.OldLines
	r.LinesAdded, r.LinesDeleted = h.LinesDeleted, h.LinesAdded
	r.Lines = slices.Clone(h.Lines)
	for i, l := range r.Lines {
		switch l.Op {
		case gitdiff.OpAdd:
			r.Lines[i].Op = gitdiff.OpDelete
		case gitdiff.OpDelete:
			r.Lines[i].Op = gitdiff.OpAdd
		}
	}
	return &r
}

// heading returns the line that diff would put after "@@" for a hunk that
// starts at line at: the last one before it that starts with a letter, "_" or
// "$", which in C is a function's first line, and that except does not match.
func (t *textFile) heading(at int, except *regexp.Regexp) string {
	for i := min(at, len(t.lines)) - 1; i >= 0; i-- {
		c := t.lines[i][0]
		if (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$') && (except == nil || !except.MatchString(t.lines[i])) {
			return trimHeading(t.lines[i])
		}
	}
	return ""
}

// trimHeading cuts a heading to the 80 bytes that diff keeps.
func trimHeading(s string) string { return strings.TrimSpace(s[:min(len(s), 80)]) }

// label is what git's driver for C does not take for a heading.
var label = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*:\s*($|/[/*])`)

// underHeading reports whether a hunk that starts at line at would get the
// heading want, whether or not git knew that the file is C.
func (t *textFile) underHeading(at int, want string) bool {
	want = trimHeading(want)
	return t.heading(at, nil) == want || t.heading(at, label) == want
}

// namesAnother reports whether want, the heading of a hunk, is that of another
// function of the file than the one in which the hunk stands at line at.
func (t *textFile) namesAnother(at int, want string) bool {
	want = trimHeading(want)
	return want != "" && !t.underHeading(at, want) && slices.ContainsFunc(t.lines, func(l string) bool { return trimHeading(l) == want })
}
