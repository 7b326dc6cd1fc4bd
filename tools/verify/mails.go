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

func mails(_ context.Context, s *Submission, _ io.Writer) ([]Finding, error) {
	var found []Finding
	for _, f := range s.Series.Check(s.Author) {
		found = append(found, Finding{Patch: f.Patch, Message: f.Check + ": " + f.Message})
	}
	return found, nil
}

func pinned(_ context.Context, s *Submission, _ io.Writer) ([]Finding, error) {
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
}

func applies(_ context.Context, s *Submission, log io.Writer) ([]Finding, error) {
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
}

func generated(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
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
}
