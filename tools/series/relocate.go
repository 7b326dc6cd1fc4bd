// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// finder finds runs of lines in a file in time linear in both: lines are
// numbered, so that comparing two is comparing two numbers.
type finder struct {
	lines []string
	ids   []int32
	known map[string]int32
}

func newFinder(lines []string) *finder {
	f := &finder{lines: lines, ids: make([]int32, len(lines)), known: make(map[string]int32, len(lines))}
	for i, l := range lines {
		id, ok := f.known[l]
		if !ok {
			id = int32(len(f.known))
			f.known[l] = id
		}
		f.ids[i] = id
	}
	return f
}

// find returns every 0-based line at which want stands, in order (the
// algorithm of Knuth, Morris and Pratt).
func (f *finder) find(want []string) []int {
	if len(want) == 0 || len(want) > len(f.ids) {
		return nil
	}
	pattern := make([]int32, len(want))
	for i, l := range want {
		id, ok := f.known[l]
		if !ok {
			return nil
		}
		pattern[i] = id
	}
	fail := make([]int, len(pattern))
	for i, k := 1, 0; i < len(pattern); i++ {
		for k > 0 && pattern[i] != pattern[k] {
			k = fail[k-1]
		}
		if pattern[i] == pattern[k] {
			k++
		}
		fail[i] = k
	}
	var found []int
	k := 0
	for i, id := range f.ids {
		for k > 0 && (k == len(pattern) || id != pattern[k]) {
			k = fail[k-1]
		}
		if id == pattern[k] {
			k++
		}
		if k == len(pattern) {
			found = append(found, i+1-k)
		}
	}
	return found
}

// places returns where a hunk may stand: all of its old lines are there, and
// the ends of the file are where the hunk has them.
func (f *finder) places(h *gitdiff.TextFragment) []int {
	if h.OldLines == 0 {
		if len(f.lines) == 0 {
			return []int{0}
		}
		return nil
	}
	var ok []int
	for _, at := range f.find(oldLines(h)) {
		if placeError(h, at, len(f.lines)) == nil {
			ok = append(ok, at)
		}
	}
	return ok
}

// placed is the answer to where the hunks of a file belong.
type placed struct {
	at []int // 0-based line of each hunk, if all could be placed
	// byHeading[i]: hunk i fits in several places and the heading of its "@@"
	// line told which.
	byHeading []bool

	failed     int   // the hunk that could not be placed, -1 if none
	candidates []int // where it fits: none, or more than one
}

// locate finds the one way to place all hunks of a file, in their order and
// without overlap. If there are several ways, hunks that fit in more than one
// place are held to the heading of their "@@" line, which names the function;
// what then still is ambiguous is refused.
func (f *finder) locate(hunks []*gitdiff.TextFragment) placed {
	options := make([][]int, len(hunks))
	for i, h := range hunks {
		if options[i] = f.places(h); len(options[i]) == 0 {
			return placed{failed: i}
		}
	}
	byHeading := make([]bool, len(hunks))
	at, several := assign(hunks, options)
	if several >= 0 {
		narrowed := make([][]int, len(hunks))
		for i, h := range hunks {
			narrowed[i] = options[i]
			if len(options[i]) < 2 || h.Comment == "" {
				continue
			}
			var same []int
			for _, at := range options[i] {
				if underHeading(f.lines, at, h.Comment) {
					same = append(same, at)
				}
			}
			if len(same) > 0 {
				narrowed[i], byHeading[i] = same, true
			}
		}
		var still int
		if at, still = assign(hunks, narrowed); still >= 0 {
			return placed{failed: still, candidates: options[still]}
		}
	}
	if at == nil {
		// Each fits somewhere, but not in this order.
		for i := 1; i < len(hunks); i++ {
			if a, _ := assign(hunks[:i+1], options[:i+1]); a == nil {
				return placed{failed: i, candidates: options[i]}
			}
		}
	}
	return placed{at: at, byHeading: byHeading, failed: -1}
}

// assign picks a place for each hunk so that they stand in order without
// overlap. It returns nil if there is no way to do so. several is the first
// hunk that has more than one place in what ways there are, -1 if there is
// only one way.
func assign(hunks []*gitdiff.TextFragment, options [][]int) (at []int, several int) {
	// The earliest place of each hunk, going forward, and the latest, going
	// back: where the two are the same there is no choice.
	first, last := make([]int, len(hunks)), make([]int, len(hunks))
	end := 0
	for i, h := range hunks {
		first[i] = -1
		for _, o := range options[i] {
			if o >= end {
				first[i] = o
				break
			}
		}
		if first[i] < 0 {
			return nil, -1
		}
		end = first[i] + int(h.OldLines)
	}
	limit := int(^uint(0) >> 1)
	for i := len(hunks) - 1; i >= 0; i-- {
		for _, o := range options[i] {
			if o+int(hunks[i].OldLines) <= limit {
				last[i] = o
			}
		}
		limit = last[i]
	}
	for i := range hunks {
		if first[i] != last[i] {
			return first, i
		}
	}
	return first, -1
}

// applied reports whether the file has what the hunks make already, in the one
// place that they can have put it.
func (f *finder) applied(hunks []*gitdiff.TextFragment) bool {
	if len(hunks) == 0 {
		return false
	}
	reverse := make([]*gitdiff.TextFragment, len(hunks))
	for i, h := range hunks {
		reverse[i] = reversed(h)
	}
	at := f.locate(reverse)
	return at.failed < 0 && at.at != nil
}

// reversed returns the hunk that undoes h.
func reversed(h *gitdiff.TextFragment) *gitdiff.TextFragment {
	r := &gitdiff.TextFragment{
		Comment:     h.Comment,
		OldPosition: h.NewPosition, OldLines: h.NewLines,
		NewPosition: h.OldPosition, NewLines: h.OldLines,
		LinesAdded: h.LinesDeleted, LinesDeleted: h.LinesAdded,
		LeadingContext: h.LeadingContext, TrailingContext: h.TrailingContext,
		Lines: make([]gitdiff.Line, len(h.Lines)),
	}
	for i, l := range h.Lines {
		switch l.Op {
		case gitdiff.OpAdd:
			l.Op = gitdiff.OpDelete
		case gitdiff.OpDelete:
			l.Op = gitdiff.OpAdd
		}
		r.Lines[i] = l
	}
	return r
}

// nearest returns the 0-based line at which most of a hunk's old lines, from
// its first on, are there: where to look when it fits nowhere. Among equals it
// is the one nearest to line at.
func (f *finder) nearest(h *gitdiff.TextFragment, at int) int {
	const enough = 10000 // lines compared; this is for a message only
	want := oldLines(h)
	best, bestScore, compared := at, -1, 0
	for from := range f.lines {
		score := 0
		for i, w := range want {
			if from+i >= len(f.lines) || f.lines[from+i] != w {
				break
			}
			score++
		}
		if compared += score; compared > enough {
			break
		}
		if score > bestScore || score == bestScore && abs(from-at) < abs(best-at) {
			best, bestScore = from, score
		}
	}
	return best
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
