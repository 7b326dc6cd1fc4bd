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
		var is []counted // a line a file, and the totals
		complete := false
		for line := range strings.Lines(above(p.Below())) {
			line = strings.TrimRight(line, " \r\n")
			if complete = statTotal.MatchString(line); complete || statLine.MatchString(line) {
				is = append(is, readCounted(line))
			} else {
				is = nil // that was of the notes
			}
			if complete {
				break
			}
		}
		if !complete {
			continue
		}

		var want []counted
		insertions, deletions := 0, 0
		for _, f := range p.Files {
			removed, added := f.Lines()
			insertions, deletions = insertions+len(added), deletions+len(removed)
			n := len(added) + len(removed)
			want = append(want, counted{fmt.Sprintf(" %s | %d", cmp.Or(f.NewPath(), f.OldPath()), n), []int{n}})
		}
		want = append(want, counted{
			fmt.Sprintf(" %d files changed, %d insertions(+), %d deletions(-)", len(p.Files), insertions, deletions),
			[]int{len(p.Files), insertions, deletions},
		})
		fmt.Fprintln(log, p.Name)
		for _, line := range want {
			fmt.Fprintln(log, line.text)
		}
		for i := range max(len(is), len(want)) {
			if i < len(is) && i < len(want) && slices.Equal(is[i].counts, want[i].counts) {
				continue
			}
			f := Finding{Patch: p.Name, Message: "the diffstat is not that of the diff", Do: "make the patch again with git format-patch"}
			if i < len(want) {
				f.Expected = want[i].text
			}
			if i < len(is) {
				f.Found = is[i].text
			}
			found = append(found, f)
			break
		}
	}
	return found
}

// counted is a line of a diffstat: of a file its lines, or of all the files, insertions
// and deletions.
type counted struct {
	text   string
	counts []int
}

// readCounted reads a line that statTotal or statLine matches. What a mail leaves out, as
// of a binary file, is 0.
func readCounted(line string) counted {
	m := statTotal.FindStringSubmatch(line)
	if m == nil {
		m = statLine.FindStringSubmatch(line)
	}
	c := counted{text: line}
	for _, number := range m[1:] {
		n, _ := strconv.Atoi(number) // digits, or nothing
		c.counts = append(c.counts, n)
	}
	return c
}
