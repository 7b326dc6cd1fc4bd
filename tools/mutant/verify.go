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

func (applyCheck) parts(*Subject, pair) ([]string, error) { return nil, nil }

func (applyCheck) look(_ context.Context, s *Subject, _ pair) (*looked, error) {
	l := &looked{}
	ser, err := s.Series()
	if barred, ok := errors.AsType[*barredError](err); ok {
		l.Findings = append(l.Findings, Finding{"read", strings.ReplaceAll(barred.err.Error(), s.Dir, PatchesDir)})
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = ser.Try(s.Base, series.Options{})
	if failed, ok := errors.AsType[*series.ApplyError](err); ok {
		l.Findings = append(l.Findings, Finding{"apply", failed.Error()})
		err = nil
	}
	return l, err
}

// verifyCheck is a check of package verify. It takes seconds, so that nothing
// is kept of it.
type verifyCheck struct {
	check  verify.Check
	verify verify.Subject
}

func (r *Runner) newVerifyCheck(k Killer) (check, error) {
	chosen, err := verify.Choose(k.Check)
	if err != nil {
		return nil, err
	}
	return verifyCheck{chosen[0], r.Verify}, nil
}

func (c verifyCheck) parts(*Subject, pair) ([]string, error) { return nil, nil }

func (c verifyCheck) look(ctx context.Context, s *Subject, _ pair) (*looked, error) {
	ser, err := s.Series()
	if err != nil {
		return nil, err
	}
	subject := c.verify
	subject.Series, subject.Base = ser, s.Base
	report, err := verify.Run(ctx, &subject, []verify.Check{c.check}, "")
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
	l := &looked{}
	for _, f := range res.Findings {
		l.Findings = append(l.Findings, Finding{Text: f.String()})
	}
	return l, nil
}

// ofTree are the checks of package verify that say something of a mutant of the
// tree, which is no proper mail.
var ofTree = []string{"rules", "pairs", "retired", "kernel-doc"}

// others returns what the checks that read the series find in a mutant and not
// in the series as it is: another check than the one that is named may catch
// it. Checks that cannot be run are left out.
func (r *Runner) others(ctx context.Context, p pair) ([]Finding, error) {
	var found []Finding
	for _, c := range verify.Checks() {
		if !p.mutant.Mutant.OfSeries && !slices.Contains(ofTree, c.Name) {
			continue
		}
		check := verifyCheck{c, r.Verify}
		mutated, err := check.look(ctx, p.mutant, p)
		if err == nil && len(mutated.Findings) > 0 {
			var clean *looked
			if clean, err = check.look(ctx, p.series, p); err == nil && len(clean.Findings) == 0 {
				for _, f := range mutated.Findings {
					found = append(found, Finding{Verify + " " + c.Name, f.String()})
				}
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return found, nil
}
