// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"cmp"
	"context"
	"errors"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/verify"
)

// applyCheck reads the sets and applies them: all of them, and the one that a
// mutant changes alone, strictly.
type applyCheck struct{}

func (applyCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

func (applyCheck) inspect(ctx context.Context, s *Specimen, p pair) (*observation, error) {
	_, err := s.ID()
	if p.mutant.Mutant.OfSeries && err == nil {
		own, on, readErr := s.set(ctx, p.mutant.Mutant.Set)
		if err = readErr; err == nil {
			_, err = own.Try(on, series.Options{})
			err = s.barred(exit.PatchFailed, "the set does not apply", err)
		}
	}
	if barred, ok := errors.AsType[*barredError](err); ok {
		return &observation{Findings: []Complaint{{barred.stage, s.places(barred.err.Error())}}}, nil
	}
	return &observation{}, err
}

// verifyCheck is a check of package verify. It takes seconds: results are not
// kept.
type verifyCheck struct {
	*Runner
	check verify.Check
}

func (c verifyCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

// inspect looks at the set that a mutant changes the files of, or at what all sets
// make.
func (c verifyCheck) inspect(ctx context.Context, s *Specimen, p pair) (_ *observation, err error) {
	subject := c.Verify
	subject.Whole = c.check.Whole
	m := p.mutant.Mutant
	subject.Series, err = s.all, s.err
	switch {
	case m.OfSeries && !c.check.Whole:
		subject.Set = m.Set
		subject.Series, subject.Base, err = s.set(ctx, m.Set)
	case err == nil && c.check.Tree && s == p.mutant && !m.OfSeries && !m.Revert:
		subject.Base = c.patched // to apply one patch is to apply them all
		subject.Series = m.change
	}
	if err != nil {
		return nil, err
	}
	report, err := verify.Run(ctx, []*verify.Submission{&subject}, []verify.Check{c.check}, "")
	if err != nil {
		return nil, err
	}
	res := report.Checks[0]
	if res.Status == verify.NotRun {
		_, err := subject.Series.Try(subject.Base, series.Options{})
		return nil, cmp.Or(s.barred(exit.PatchFailed, "the set does not apply", err), report.Err())
	}
	o := &observation{}
	for _, f := range res.Findings {
		o.Findings = append(o.Findings, Complaint{Text: f.String()})
	}
	return o, nil
}

// runOthers returns what the checks that read the sets find in a mutant and not in
// the sets as they are: another check than the named one may catch it. Those of
// single sets are of no use for a mutant of the tree, whose patch has no proper
// message. Checks that fail to run are left out.
func (r *Runner) runOthers(ctx context.Context, p pair) (found []Complaint, err error) {
	for _, c := range verify.Checks() {
		if !p.mutant.Mutant.OfSeries && !c.Whole {
			continue
		}
		k, check := Killer{Name: Verify + " " + c.Name}, verifyCheck{r, c}
		mutated, err := r.run(ctx, k, check, p.mutant, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || len(mutated.Findings) == 0 {
			continue
		}
		if clean, err := r.run(ctx, k, check, p.series, p); err != nil || len(clean.Findings) > 0 {
			continue
		}
		for _, f := range mutated.Findings {
			found = append(found, Complaint{k.String(), f.String()})
		}
	}
	return found, ctx.Err()
}
