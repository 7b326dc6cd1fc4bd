// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"context"
	"errors"
	"slices"
	"strings"

	"vcpulab/tools/series"
	"vcpulab/tools/verify"
)

// applyCheck reads the series and applies it.
type applyCheck struct{}

func (applyCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

func (applyCheck) inspect(_ context.Context, s *Specimen, _ pair) (*observation, error) {
	o := &observation{}
	ser, err := s.Series()
	if barred, ok := errors.AsType[*barredError](err); ok {
		o.Findings = append(o.Findings, Complaint{"read", strings.ReplaceAll(barred.err.Error(), s.Dir, PatchesDir)})
		return o, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = ser.Try(s.Base, series.Options{})
	if failed, ok := errors.AsType[*series.ApplyError](err); ok {
		o.Findings = append(o.Findings, Complaint{"apply", failed.Error()})
		err = nil
	}
	return o, err
}

// verifyCheck is a check of package verify. It takes seconds: results are not
// kept.
type verifyCheck struct {
	check  verify.Check
	verify verify.Submission
}

func (r *Runner) newVerifyCheck(k Killer) (check, error) {
	chosen, err := verify.Choose(k.Check)
	if err != nil {
		return nil, err
	}
	return verifyCheck{chosen[0], r.Verify}, nil
}

func (c verifyCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

func (c verifyCheck) inspect(ctx context.Context, s *Specimen, p pair) (*observation, error) {
	ser, err := s.Series()
	if err != nil {
		return nil, err
	}
	subject := c.verify
	subject.Series, subject.Base, subject.Whole = ser, s.Base, c.check.Whole
	list := []*verify.Submission{&subject}
	if p.mutant.Mutant.OfSeries {
		sets, err := series.LoadSets(s.Dir)
		if err != nil {
			return nil, err
		}
		if list, err = subject.OfSets(ctx, sets, ""); err != nil {
			return nil, err
		}
	}
	report, err := verify.Run(ctx, list, []verify.Check{c.check}, "")
	if err != nil {
		return nil, err
	}
	res := report.Checks[0]
	if res.Status == verify.NotRun {
		if _, err := ser.Try(s.Base, series.Options{}); err != nil && s.Mutant != nil {
			return nil, &barredError{"the series does not apply", err}
		}
		return nil, report.Err()
	}
	o := &observation{}
	for _, f := range res.Findings {
		o.Findings = append(o.Findings, Complaint{Text: f.String()})
	}
	return o, nil
}

// ofTree are the checks of package verify that are of use for a mutant of the
// tree, whose patch has no proper message.
var ofTree = []string{"rules", "pairs", "retired", "kernel-doc"}

// runOthers returns what the checks that read the series find in a mutant and
// not in the series as it is: another check than the named one may catch it.
// Checks that fail to run are left out.
func (r *Runner) runOthers(ctx context.Context, p pair) ([]Complaint, error) {
	var found []Complaint
	for _, c := range verify.Checks() {
		if !p.mutant.Mutant.OfSeries && !slices.Contains(ofTree, c.Name) {
			continue
		}
		check := verifyCheck{c, r.Verify}
		mutated, err := check.inspect(ctx, p.mutant, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || len(mutated.Findings) == 0 {
			continue
		}
		clean, err := check.inspect(ctx, p.series, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || len(clean.Findings) > 0 {
			continue
		}
		for _, f := range mutated.Findings {
			found = append(found, Complaint{Verify + " " + c.Name, f.String()})
		}
	}
	return found, nil
}
