// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"context"
	"fmt"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Generated is a patch of a series and what its rule generates.
type Generated struct {
	Rule    string `json:"rule"`
	Patch   string `json:"patch"`
	Number  int    `json:"number"`
	Subject string `json:"subject"`
	Status  Status `json:"status"`
	// Why is set where the patches before it do not apply.
	Why        string      `json:"why,omitempty"`
	Difference *Difference `json:"difference,omitempty"`
	*Result
}

// Status is what became of a patch that a rule generates.
type Status string

// What may become of a generated patch.
const (
	Same      Status = "same"
	Different Status = "different"
	Written   Status = "written"
)

// Good says whether the patch is what its rule generates, and the rule
// changes all that it should.
func (g *Generated) Good() bool {
	return (g.Status == Same || g.Status == Written) && len(g.Left) == 0
}

// Generate runs the rule on base with what stands before its patch in the
// series, and compares that patch with what comes of it. mail is the patch as
// it would have to be.
func (r *Rule) Generate(ctx context.Context, s *series.Series, base tree.Tree, opts RunOptions) (g *Generated, mail []byte, err error) {
	p, err := r.Patch(s)
	if err != nil {
		return nil, nil, err
	}
	src, err := Before(s, p, base, false)
	if err != nil {
		return nil, nil, err
	}
	g = &Generated{Rule: r.Name, Patch: p.Name, Number: p.Number, Subject: p.Subject, Status: Same}
	if g.Result, err = r.Run(ctx, src, opts); err != nil {
		return nil, nil, err
	}
	if mail, err = Mail(p, g.Change); err != nil {
		return nil, nil, exit.With(exit.CheckFailed, fmt.Errorf("generate from %s: %w", r.Name, err))
	}
	if g.Difference = Compare(p.Mail, mail); g.Difference != nil {
		g.Status = Different
	}
	return g, mail, nil
}

// Before returns the tree with what stands before a patch in the series;
// relocate is for trees that the series was not made for.
func Before(s *series.Series, p *series.Patch, base tree.Tree, relocate bool) (Source, error) {
	src := Source{Dir: base.Dir}
	if p.Number == 1 {
		return src, nil
	}
	var err error
	src.Overlay, _, err = s.Overlay(base, series.Options{Through: p.Number - 1, Relocate: relocate})
	return src, err
}
