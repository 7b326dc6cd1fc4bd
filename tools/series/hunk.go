// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// splitLines cuts a file into lines, each with its line end.
func splitLines(data []byte) []string {
	lines := make([]string, 0, bytes.Count(data, []byte("\n"))+1)
	for len(data) > 0 {
		var l []byte
		l, data = cutLine(data)
		lines = append(lines, string(l))
	}
	return lines
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

// start returns the 0-based line at which a hunk starts, by the position and
// count of its header: a range without lines names the line before it.
func start(position, lines int64) int {
	if lines > 0 {
		position--
	}
	return int(position)
}

// checkHeaders refuses hunks that overlap, are out of order, or whose two
// positions contradict the hunks before them. Git would search for the place
// of such a hunk.
func checkHeaders(hunks []*gitdiff.TextFragment) (hunk int, reason string) {
	end, delta := 0, 0
	for i, h := range hunks {
		from := start(h.OldPosition, h.OldLines)
		if from < end {
			return i, fmt.Sprintf("starts at line %d, before the end of the hunk before it", from+1)
		}
		if want := from + delta; start(h.NewPosition, h.NewLines) != want {
			return i, fmt.Sprintf("its header says that it comes to line %d, by the hunks before it it comes to line %d",
				start(h.NewPosition, h.NewLines)+1, want+1)
		}
		end = from + int(h.OldLines)
		delta += int(h.NewLines - h.OldLines)
	}
	return -1, ""
}

// placeError says why a hunk may not stand at a place although its lines are
// there, nil if it may. The rules are those of git apply: a hunk without
// context after it ends the file, one that says line 1 starts it. Without
// context on both sides there is nothing that tells the place, and go-gitdiff
// puts an insertion one line too early: such a hunk has to be all of the file.
func placeError(h *gitdiff.TextFragment, at, total int) error {
	atEnd := at+int(h.OldLines) == total
	switch {
	case h.LeadingContext == 0 && h.TrailingContext == 0 && !(at == 0 && atEnd):
		return ErrNoContext
	case h.TrailingContext == 0 && !atEnd, h.OldPosition <= 1 && at != 0:
		return ErrConflict
	}
	return nil
}

// mismatch returns the first line of a hunk that is not in the file when the
// hunk starts at line at (0-based): its index in h.Lines, and the line of the
// file. ok is true if all are there.
func mismatch(h *gitdiff.TextFragment, lines []string, at int) (hunkLine, fileLine int, ok bool) {
	for i, l := range h.Lines {
		if !l.Old() {
			continue
		}
		if at < 0 || at >= len(lines) || lines[at] != l.Line {
			return i, at, false
		}
		at++
	}
	return 0, 0, true
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

const linesAround = 3

// around returns the lines of a file about line at (0-based).
func around(lines []string, at int) []FileLine {
	var out []FileLine
	for i := max(0, at-linesAround); i <= at+linesAround && i < len(lines); i++ {
		out = append(out, FileLine{Number: i + 1, Text: strings.TrimRight(lines[i], "\r\n")})
	}
	return out
}

const endOfFile = "(end of file)"

// show returns two lines for a message. Where they look alike they are
// quoted, so that the difference can be seen.
func show(expected, found string) (string, string) {
	e, f := strings.TrimRight(expected, "\n"), strings.TrimRight(found, "\n")
	if strings.Join(strings.Fields(e), " ") == strings.Join(strings.Fields(f), " ") || !strconv.CanBackquote(e) || !strconv.CanBackquote(f) {
		return strconv.Quote(expected), strconv.Quote(found)
	}
	return e, f
}

// heading returns the line that diff would put after "@@" for a hunk that
// starts at line at: the last one before it that starts with a letter, "_" or
// "$", which in C is a function's first line. Like diff's it is cut off.
func heading(lines []string, at int) string { return headingBefore(lines, at, nil) }

// label is what git's driver for C does not take for a heading.
var label = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*:\s*($|/[/*])`)

// underHeading reports whether a hunk that starts at line at would get the
// heading want, whether or not git knew that the file is C.
func underHeading(lines []string, at int, want string) bool {
	want = trimHeading(want)
	return headingBefore(lines, at, nil) == want || headingBefore(lines, at, label) == want
}

// namesAnother reports whether want, the heading of a hunk, is that of another
// function of the file than the one in which the hunk stands at line at.
func namesAnother(lines []string, at int, want string) bool {
	if want = trimHeading(want); want == "" || underHeading(lines, at, want) {
		return false
	}
	return slices.ContainsFunc(lines, func(l string) bool { return trimHeading(l) == want })
}

func headingBefore(lines []string, at int, except *regexp.Regexp) string {
	for i := min(at, len(lines)) - 1; i >= 0; i-- {
		c := lines[i][0]
		if (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$') &&
			(except == nil || !except.MatchString(lines[i])) {
			return trimHeading(lines[i])
		}
	}
	return ""
}

// trimHeading cuts a heading to the 80 bytes that diff keeps.
func trimHeading(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most]
	}
	return strings.TrimSpace(s)
}
