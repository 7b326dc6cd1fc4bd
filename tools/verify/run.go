// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/host"
	"vcpulab/tools/junit"
	"vcpulab/tools/progress"
)

// Status is what became of a check.
type Status string

// What may become of a check.
const (
	Passed Status = "passed"
	Failed Status = "failed"  // it has findings
	NotRun Status = "not run" // it could not be run: that is no pass
)

// Result is what became of a check.
type Result struct {
	Name      string    `json:"name"`
	Status    Status    `json:"status"`
	Findings  []Finding `json:"findings"`
	Explained []Finding `json:"explained,omitempty"` // what is not as it should be for a reason that is given
	Why       string    `json:"why,omitempty"`       // it was not run
	Package   string    `json:"package,omitempty"`   // of Debian, that brings what is missing, if that is known
	Seconds   float64   `json:"seconds"`
	Log       string    `json:"log,omitempty"` // path of what it wrote; "" if no logs are kept

	err error // why it was not run
}

// Report is what became of all.
type Report struct {
	Sets     []string `json:"sets"`    // their names
	Patches  int      `json:"patches"` // how many they have
	Checks   []Result `json:"checks"`
	Findings int      `json:"findings"` // of all checks
	NotRun   int      `json:"not_run"`  // checks
	Dir      string   `json:"dir,omitempty"`
}

// Run runs checks, one after another, each on those of the submissions that it is
// about, and keeps their logs in dir, unless that is "". An error is for what keeps
// it from coming to its end; what the report says of the patches its Err tells.
func Run(ctx context.Context, list []*Submission, checks []Check, dir string) (*Report, error) {
	r := &Report{Dir: dir}
	for _, s := range list {
		defer s.forget()
		if !s.Whole {
			r.Sets, r.Patches = append(r.Sets, s.Set), r.Patches+len(s.Series.Patches)
		}
	}
	for _, c := range checks {
		res, err := c.run(ctx, list, dir)
		if err != nil {
			return nil, err
		}
		r.Findings += len(res.Findings)
		if res.Status == NotRun {
			r.NotRun++
		}
		r.Checks = append(r.Checks, res)
	}
	return r, nil
}

// run runs the check. The first submission on which it breaks off is why it was not
// run.
func (c Check) run(ctx context.Context, list []*Submission, dir string) (Result, error) {
	r := Result{Name: c.Name, Status: Passed, Findings: []Finding{}}
	var log bytes.Buffer
	start := time.Now()
	var err error
	for _, s := range list {
		if c.Whole != s.Whole {
			continue
		}
		var found []Finding
		pkg, broke := s.missing(c)
		if broke == nil {
			found, broke = c.Run(ctx, s, &log)
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if broke != nil && err == nil {
			if err, r.Package = broke, pkg; s.Set != "" && pkg == "" {
				err = fmt.Errorf("%s: %w", s.Set, broke)
			}
		}
		for _, f := range found {
			f.Patch = path.Join(s.Set, f.Patch)
			fmt.Fprintln(&log, f)
			if f.Reason != "" {
				r.Explained = append(r.Explained, f)
			} else {
				r.Findings = append(r.Findings, f)
			}
		}
	}
	r.Seconds = time.Since(start).Seconds()
	switch {
	case err != nil:
		r.Status, r.Why, r.err = NotRun, err.Error(), err
		fmt.Fprintf(&log, "not run: %v\n", err)
	case len(r.Findings) > 0:
		r.Status = Failed
	}
	if dir == "" {
		return r, nil
	}
	r.Log = filepath.Join(dir, c.Name+".log")
	return r, os.WriteFile(r.Log, log.Bytes(), 0o644)
}

// missing returns an error if a program that the check needs is not there, and
// which Debian package brings it, if that is known.
func (s *Submission) missing(c Check) (pkg string, err error) {
	for _, program := range c.Needs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		text := program + " is not installed"
		if s.Packages != nil {
			for _, g := range s.Packages.Groups {
				if i := slices.IndexFunc(g.Packages, func(p host.Package) bool { return p.Provides == program }); i >= 0 {
					pkg = g.Packages[i].Name
					text = fmt.Sprintf("%s is not installed: the package %s brings it; vcpulab install verify generate", program, pkg)
				}
			}
		}
		return pkg, exit.With(exit.MachineLacks, errors.New(text))
	}
	return "", nil
}

// Err returns nil if all checks have passed. Else its exit code is that of
// the worst: a patch that does not apply, a check that broke, findings, a
// machine that lacks something.
func (r *Report) Err() error {
	if r.Findings+r.NotRun == 0 && len(r.Checks) > 0 {
		return nil
	}
	code := exit.CheckFailed
	if r.Findings == 0 && r.NotRun > 0 {
		code = exit.MachineLacks
	}
	for _, c := range r.Checks {
		if c.Name == nameApplies && c.Status == Failed {
			code = exit.PatchFailed
			break
		}
		if c.err != nil && exit.Code(c.err) != exit.MachineLacks && !errors.Is(c.err, errNotApplied) {
			code = exit.Code(c.err)
		}
	}
	text := fmt.Sprintf("verify: expected no findings, found %d", r.Findings)
	if r.NotRun > 0 {
		text += fmt.Sprintf("; %s not run", progress.Count(r.NotRun, "check"))
	}
	for _, c := range r.Checks {
		if c.Status == NotRun {
			text += fmt.Sprintf("\n  %s: %s", c.Name, c.Why)
		}
	}
	return exit.With(code, errors.New(text))
}

// Write writes verify.json, for programs, and verify.xml, for CI systems, into
// the directory that has the logs.
func (r *Report) Write() error {
	return junit.Save(r.Dir, "verify", r, r.junit())
}

// junit makes a case of each check.
func (r *Report) junit() junit.Suite {
	suite := junit.Suite{Name: "verify"}
	for _, c := range r.Checks {
		one := junit.Case{Name: c.Name, Class: "verify", Took: junit.Seconds(c.Seconds)}
		if c.Status == NotRun {
			one.Error = &junit.Message{Line: c.Why, Sort: string(NotRun)}
		} else if len(c.Findings) > 0 {
			var text strings.Builder
			for _, f := range c.Findings {
				fmt.Fprintln(&text, f)
			}
			one.Failure = &junit.Message{Line: c.Findings[0].Message, Sort: c.Name, Text: strings.TrimSpace(text.String())}
		}
		suite.Cases = append(suite.Cases, one)
	}
	return suite
}
