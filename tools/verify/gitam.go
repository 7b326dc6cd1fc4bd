// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
)

var gitAm = Check{
	Name: "git-am",
	Explain: "git am, the maintainers' own tool, makes of each patch the commit that is expected: author, subject, and the same blob of every file. " +
		"What it makes of a mail counts, not what another program does.",
	Needs: []string{"git"},
	Run: func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		r, err := s.repository(ctx)
		if err != nil {
			return nil, err
		}
		a := s.apply()
		var found []Finding
		for i, c := range r.commits {
			if i >= len(s.Series.Patches) {
				found = append(found, Finding{Message: "git am makes more commits than there are patches", Found: c.subject})
				break
			}
			p := s.Series.Patches[i]
			fmt.Fprintf(log, "%s: %d files\n", p.Name, len(c.files))
			add := func(file, message, expected, is string) {
				found = append(found, Finding{Patch: p.Name, File: file, Message: message, Expected: expected, Found: is})
			}
			if c.author != p.Author.String() {
				add("", "git am records another author", p.Author.String(), c.author)
			}
			if c.subject != p.Subject {
				add("", "git am records another subject", p.Subject, c.subject)
			}
			if a.err != nil {
				continue
			}
			ours := files(a.report.Patches[i])
			for _, name := range slices.Sorted(maps.Keys(ours)) {
				if b, ok := c.files[name]; ok && b != ours[name] {
					add(name, "git am makes another file than was tested", ours[name].String(), b.String())
				} else if !ok {
					add(name, "git am does not change it", ours[name].String(), "as before")
				}
			}
			for _, name := range slices.Sorted(maps.Keys(c.files)) {
				if _, ok := ours[name]; !ok {
					add(name, "git am changes it, and what was tested does not", "as before", c.files[name].String())
				}
			}
		}
		if r.failed != "" {
			f := Finding{Message: "git am does not take it", Found: r.failed, Do: "git am --show-current-patch=diff, in a tree of your own"}
			if n := len(r.commits); n < len(s.Series.Patches) {
				f.Patch = s.Series.Patches[n].Name
			}
			found = append(found, f)
		}
		return found, nil
	},
}

func (b blob) String() string {
	if b == (blob{}) {
		return "no file"
	}
	return b.mode + " " + b.id
}
