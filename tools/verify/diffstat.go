// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/series"
)

var (
	statLine  = regexp.MustCompile(`^ \S.* \| +(?:(\d+)(?: [+-]*)?|Bin.*)$`)
	statTotal = regexp.MustCompile(`^ (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?$`)
)

// ofOthers compares the numbers of diffstats with the diffs below them. People and their
// programs have them as wide as they like, or none, and have diffs made in other ways
// than git's own.
func ofOthers(patches []*series.Patch, log io.Writer) (found []Finding) {
	for _, p := range patches {
		is := statOf(p)
		if is == nil {
			continue
		}

		var want []string
		insertions, deletions := 0, 0
		for _, f := range p.Files {
			removed, added := f.Lines()
			insertions, deletions = insertions+len(added), deletions+len(removed)
			want = append(want, fmt.Sprintf(" %s | %d", cmp.Or(f.NewPath(), f.OldPath()), len(added)+len(removed)))
		}
		want = append(want, fmt.Sprintf(" %d files changed, %d insertions(+), %d deletions(-)", len(p.Files), insertions, deletions))
		fmt.Fprintf(log, "%s\n%s\n", p.Name, strings.Join(want, "\n"))
		if n, f := difference(is, want, func(a, b string) bool { return slices.Equal(numbers(a), numbers(b)) }); n > 0 {
			f.Patch, f.Message, f.Do = p.Name, "the diffstat is not that of the diff", "make the patch again with git format-patch"
			found = append(found, f)
		}
	}
	return found
}

// statOf returns the lines of a mail's diffstat, of which the totals are the last; nil
// if it has none.
func statOf(p *series.Patch) []string {
	var stat []string
	for line := range strings.Lines(above(p.Below())) {
		line = strings.TrimRight(line, " \r\n")
		switch {
		case statTotal.MatchString(line):
			return append(stat, line)
		case statLine.MatchString(line):
			stat = append(stat, line)
		default:
			stat = nil // that was of the notes
		}
	}
	return nil
}

// numbers returns those of a line of a diffstat: of a file its lines, or of all the
// files, insertions and deletions. What a mail leaves out, as of a binary file, is 0.
func numbers(line string) []int {
	m := statTotal.FindStringSubmatch(line)
	if m == nil {
		m = statLine.FindStringSubmatch(line)
	}
	var list []int
	for _, number := range m[min(1, len(m)):] {
		n, _ := strconv.Atoi(number) // digits, or nothing
		list = append(list, n)
	}
	return list
}
