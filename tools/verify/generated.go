// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"

	"vcpulab/tools/cocci"
)

var generated = Check{
	Name: "generated",
	Explain: "Each patch that a semantic patch generates is what it generates, byte for byte, and it reaches every place. " +
		"Reviewers read the rule, not the thousand lines; an edit by hand among them goes unnoticed.",
	Run: func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		rules, err := cocci.Load(s.Series.Dir)
		if err != nil {
			return nil, err
		}
		var found []Finding
		for _, r := range rules {
			p, err := r.Patch(s.Series)
			if err != nil {
				return nil, err
			}
			if s.apply().err != nil {
				return nil, errNotApplied
			}
			g, _, err := r.Generate(ctx, s.Series, s.Base, cocci.RunOptions{Cache: s.Cache, Log: s.Log, Jobs: s.Jobs})
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(log, "%s: %s: %d of %d places in %d files\n", p.Name, g.Status, g.Converted(), g.Places, g.In)
			if d := g.Difference; d != nil {
				f := Finding{
					Patch: p.Name, Line: d.Line, Message: "it is not what " + r.Name + " generates",
					Expected: d.Generated, Found: d.Committed, Do: "vcpulab generate --write; what has to be done by hand wants a patch of its own",
				}
				if d.HeadingsOnly {
					f.Message += ": names of functions after @@ differ, as of another git than " + g.Git
				}
				found = append(found, f)
			}
			for _, left := range g.Left {
				found = append(found, Finding{
					Patch: p.Name, File: left.File, Line: left.Line, Message: r.Name + " does not reach this place", Found: left.Text,
					Do: "convert it by hand in a patch before",
				})
			}
		}
		return found, nil
	},
}
