// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"strings"
)

// maxDecoded bounds how many results of one guest are decoded, which takes
// some seconds each: those after the first fault are of little use.
const maxDecoded = 3

// decode finds the source lines of the kernel's complaints.
func (g *guest) decode(ctx context.Context) {
	if g.r.subject.Decode == nil {
		return
	}
	n := 0
	for i := range g.results {
		r := &g.results[i]
		text := r.fromSplat()
		if text == "" {
			continue
		}
		if n++; n > maxDecoded {
			return
		}
		decoded, err := g.r.subject.Decode(ctx, text)
		if err != nil {
			// The splat itself is worth more than its lines.
			r.Undecoded = err.Error()
			continue
		}
		r.Decoded = decoded
	}
}

// fromSplat returns the console from its first splat on, "" if there is none
// or it is not known where it is.
func (r *Result) fromSplat() string {
	if len(r.Splats) == 0 {
		return ""
	}
	// The function's name was put behind the title that the line has.
	title, _, _ := strings.Cut(r.Splats[0].Title, " in ")
	i := strings.Index(r.Console, title)
	if i < 0 {
		return ""
	}
	return r.Console[strings.LastIndexByte(r.Console[:i], '\n')+1:]
}
