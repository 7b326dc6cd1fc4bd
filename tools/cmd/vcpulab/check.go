// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
)

// checkCmd checks the series.
type checkCmd struct{}

// checked is what the checks found.
type checked struct {
	Findings   []series.Finding           `json:"findings"`
	Checkpatch []*series.CheckpatchResult `json:"checkpatch"`
	// Unpinned are the files that a patch touches and the pin does not know.
	Unpinned []string `json:"unpinned"`
	// Fixes is the number of Fixes tags. That their commits exist is not
	// checked.
	Fixes int `json:"fixes"`
	// Generated are the patches that semantic patches generate.
	Generated []generated `json:"generated"`
}

// Run prints every finding; there must be none.
func (checkCmd) Run(ctx context.Context, l *lab) error {
	s, err := l.series()
	if err != nil {
		return err
	}
	p, err := l.pin()
	if err != nil {
		return err
	}
	base, err := l.base(ctx, sourceFlags{})
	if err != nil {
		return err
	}
	// Strict: context and index lines must be those of the pinned tree.
	if _, _, err := l.patched(ctx, base, sourceFlags{}); err != nil {
		return err
	}
	out := checked{Findings: s.Check(series.Placeholder())}
	if out.Generated, err = l.checkGenerated(ctx, s); err != nil {
		return err
	}
	made := make(map[string]bool) // by an earlier patch
	for _, patch := range s.Patches {
		r, err := series.Checkpatch(ctx, base.Dir, patch)
		if err != nil {
			return err
		}
		out.Checkpatch = append(out.Checkpatch, r)
		for _, trailer := range patch.Trailers {
			if trailer.Key == "Fixes" {
				out.Fixes++
			}
		}
		for _, f := range patch.Files {
			if name := f.OldPath(); name != "" && !made[name] {
				if _, ok := p.BlobID(name); !ok {
					out.Unpinned = append(out.Unpinned, name)
				}
			}
			made[f.NewPath()] = true
		}
	}
	return out.print(l, len(s.Patches))
}

// print shows what was found, and fails if that is anything.
func (c checked) print(l *lab, patches int) error {
	findings := len(c.Findings) + len(c.Unpinned)
	for _, r := range c.Checkpatch {
		findings += len(r.Findings)
	}
	for i := range c.Generated {
		if g := &c.Generated[i]; g.Status != notChecked && !g.good() {
			findings++
		}
	}
	if l.JSON {
		if err := l.printJSON(c); err != nil {
			return err
		}
	} else {
		for _, f := range c.Findings {
			l.printf("%v\n", f)
		}
		for _, name := range c.Unpinned {
			l.printf("%s: a patch touches it and the pin has no blob id of it; run vcpulab pin\n", name)
		}
		for _, r := range c.Checkpatch {
			for _, f := range r.Findings {
				l.printf("%s: checkpatch: %v\n", r.Patch, f)
			}
			for _, f := range r.Explained {
				l.printf("%s: checkpatch, explained: %v (%s)\n", r.Patch, f, f.Reason)
			}
		}
		for i := range c.Generated {
			if g := &c.Generated[i]; !g.good() {
				g.print(l)
			}
		}
		if c.Fixes > 0 {
			l.printf("%d Fixes tags: their form was checked, not that the commits exist: the pinned tree has no history\n", c.Fixes)
		}
		l.printf("%d patches, %d findings\n", patches, findings)
	}
	if findings > 0 {
		return exit.With(exit.CheckFailed, fmt.Errorf("check: expected no findings, found %d", findings))
	}
	return nil
}
