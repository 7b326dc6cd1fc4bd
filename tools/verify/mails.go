// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"

	"vcpulab/tools/cocci"
	"vcpulab/tools/series"
)

var mails = Check{
	Name: "mails",
	Explain: "Cover letter, author, subjects, Fixes and Signed-off-by are as the kernel's process wants them, and nothing follows the patch. " +
		"Maintainers' scripts go by them. That the commits of Fixes tags exist is not looked at: the pinned tree has no history.",
	Run: func(_ context.Context, s *Submission, _ io.Writer) ([]Finding, error) {
		var found []Finding
		for _, f := range s.Series.Check(s.Author) {
			found = append(found, Finding{Patch: f.Patch, Message: f.Check + ": " + f.Message})
		}
		return found, nil
	},
}

var pinned = Check{
	Name: "pinned",
	Own:  true,
	Explain: "The pin knows the content of each file that a patch changes. " +
		"What it does not know is not verified when the kernel is fetched, and the patch may be for another one.",
	Whole: true,
	Run: func(_ context.Context, s *Submission, _ io.Writer) ([]Finding, error) {
		var found []Finding
		made := make(map[string]bool) // by an earlier patch
		for _, p := range s.Series.Patches {
			for _, f := range p.Files {
				name := f.OldPath()
				if _, known := s.Pin.BlobID(name); name != "" && !made[name] && !known {
					found = append(found, Finding{
						Patch: p.Name, File: name, Message: "a patch touches it and the pin has no blob id of it", Do: "vcpulab pin update",
					})
					made[name] = true
				}
				made[f.NewPath()] = true
			}
		}
		return found, nil
	},
}

var applies = Check{
	Name: "applies",
	Explain: "Each patch applies to what those before it make, without offset or fuzz, and makes the blobs that its index lines name. " +
		"A patch that applies in some other way is not the one that was tested.",
	Run: func(_ context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		a := s.apply()
		if a.err == nil {
			return nil, a.report.WriteText(log)
		}
		e, ok := errors.AsType[*series.ApplyError](a.err)
		if !ok {
			return nil, a.err
		}
		fmt.Fprintln(log, e)
		f := Finding{Patch: e.Patch, File: e.File, Line: e.Line, Message: e.Reason, Expected: e.Expected, Found: e.Found, Do: e.Hint}
		if e.Hunk > 0 {
			f.Message = fmt.Sprintf("hunk %d: %s", e.Hunk, e.Reason)
		}
		return []Finding{f}, nil
	},
}

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
