// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"vcpulab/tools/series"
)

// separator ends the message of a patch.
const separator = "---\n"

// Mail returns the patch p of a series with another change: head and message
// are p's. It has to be a file of its own.
func Mail(p *series.Patch, change []byte) ([]byte, error) {
	head, _, ok := bytes.Cut(p.Mail, []byte("\n"+separator))
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: its message does not end with a line ---", p.Name)
	case len(change) == 0:
		return nil, fmt.Errorf("%s: %w", p.Name, ErrNoChange)
	}
	return bytes.Join([][]byte{head, []byte("\n" + separator), change}, nil), nil
}

// ErrNoChange says that a rule changes nothing.
var ErrNoChange = errors.New("the semantic patch changes nothing")

// Difference is the first line in which two patches differ.
type Difference struct {
	Line      int    `json:"line"` // 1-based
	Committed string `json:"committed"`
	Generated string `json:"generated"`
	// HeadingsOnly: the patches are the same but for the names of functions
	// in hunk headers, which versions of git find in different ways.
	HeadingsOnly bool `json:"headings_only,omitempty"`
}

// end stands for a line after the last.
const end = "(end of the patch)"

// Compare returns the first difference between a committed patch and a
// generated one, nil if there is none.
func Compare(committed, generated []byte) *Difference {
	if bytes.Equal(committed, generated) {
		return nil
	}
	d := &Difference{HeadingsOnly: bytes.Equal(headings.ReplaceAll(committed, []byte("$1")), headings.ReplaceAll(generated, []byte("$1")))}
	a, b := bytes.SplitAfter(committed, []byte("\n")), bytes.SplitAfter(generated, []byte("\n"))
	i := 0
	for i < len(a) && i < len(b) && bytes.Equal(a[i], b[i]) {
		i++
	}
	d.Line, d.Committed, d.Generated = i+1, line(a, i), line(b, i)
	return d
}

// line returns line i of a patch, without its end.
func line(lines [][]byte, i int) string {
	if i >= len(lines) || len(lines[i]) == 0 {
		return end
	}
	text, ok := bytes.CutSuffix(lines[i], []byte("\n"))
	if !ok {
		return string(text) + " (without an end of line)"
	}
	return string(text)
}

var headings = regexp.MustCompile(`(?m)^(@@ -[0-9,]+ \+[0-9,]+ @@).*$`)
