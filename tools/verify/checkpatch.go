// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/series"
)

var checkpatch = Check{
	Name: "checkpatch",
	Explain: "The kernel's own checkpatch.pl --strict says nothing of any patch, but what the mail explains below its \"---\". " +
		"It is the first thing that maintainers and their bots run.",
	Needs: []string{"perl", "python3"}, // it calls spdxcheck.py
	Run: func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		patches := s.Series.Patches
		results := make([]*series.CheckpatchResult, len(patches))
		step := s.Log.Step("checkpatch")
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(s.jobs())
		for i, p := range patches {
			g.Go(func() (err error) {
				if err := ctx.Err(); err != nil {
					return err
				}
				step.Update("%d of %d patches", i+1, len(patches))
				results[i], err = s.checkpatch(ctx, p)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			step.Fail(err)
			return nil, err
		}
		step.Done("")
		var found []Finding
		for _, r := range results {
			fmt.Fprintf(log, "%s: %d errors, %d warnings, %d checks, %d lines\n", r.Patch, r.Errors, r.Warnings, r.Checks, r.Lines)
			for _, f := range append(r.Findings, r.Explained...) {
				fmt.Fprintf(log, "  %v\n%s\n", f, f.Excerpt)
				found = append(found, checkpatchFinding(r.Patch, f))
			}
		}
		return found, nil
	},
}

func checkpatchFinding(patch string, f series.CheckpatchFinding) Finding {
	found := Finding{
		Patch: patch, File: f.File, Line: f.Line, Message: f.Level + ":" + f.Type + ": " + f.Message, Found: f.Excerpt, Reason: f.Reason,
	}
	if f.File == "" {
		found.Line = f.PatchLine
	}
	if f.Reason == "" {
		found.Do = "mend it, or say below the mail's \"---\" why it stays: checkpatch: " + f.Type + ": the reason"
	}
	return found
}

// checkpatchKind is the kind of results in the cache, checkpatchHow is raised
// when package series asks checkpatch something else.
const (
	checkpatchKind = "checkpatch"
	checkpatchHow  = "1"
)

// checkpatch returns what checkpatch says of a patch. It reads the tree, too,
// so that the result is kept by both.
func (s *Submission) checkpatch(ctx context.Context, p *series.Patch) (*series.CheckpatchResult, error) {
	key := cache.Key(checkpatchKind, checkpatchHow, s.Base.ID, p.Name, string(p.Mail))
	r, _, err := cache.Result(ctx, s.Cache, checkpatchKind, key, func(ctx context.Context) (*series.CheckpatchResult, error) {
		return series.Checkpatch(ctx, s.Base.Dir, p)
	})
	return r, err
}
