// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"

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
