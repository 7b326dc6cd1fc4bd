// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/host"
)

var update = flag.Bool("update", false, "rewrite the expected files")

// returns is a check with a given outcome.
func returns(name string, err error, found ...Finding) Check {
	return Check{Name: name, Explain: "for a test", Run: func(_ context.Context, _ *Submission, log io.Writer) ([]Finding, error) {
		fmt.Fprintln(log, "looked")
		return found, err
	}}
}

var bad = Finding{Patch: labLast, File: "a.c", Line: 7, Function: "f", Message: "it is wrong", Expected: "one\ntwo", Found: "three", Why: "it breaks", Do: "mend it"}

func TestRun(t *testing.T) {
	stays := bad
	stays.Reason = "an iterator assigns its variable"
	needy := returns("needy", nil)
	needy.Needs = []string{"sh", "no-such-program"}
	for name, c := range map[string]struct {
		checks   []Check
		code     int
		statuses []Status
		says     string
	}{
		"good":               {[]Check{returns("a", nil), returns("b", nil, stays)}, exit.Good, []Status{Passed, Passed}, ""},
		"nothing was run":    {nil, exit.CheckFailed, nil, "expected no findings, found 0"},
		"a finding":          {[]Check{returns("a", nil, bad), returns("b", nil)}, exit.CheckFailed, []Status{Failed, Passed}, "found 1"},
		"a program is not":   {[]Check{returns("a", nil), needy}, exit.MachineLacks, []Status{Passed, NotRun}, "needy: no-such-program is not installed: the package no-such-package brings it"},
		"both":               {[]Check{returns("a", nil, bad), needy}, exit.CheckFailed, []Status{Failed, NotRun}, "1 check not run"},
		"it does not apply":  {[]Check{returns(nameApplies, nil, bad), returns("b", errNotApplied)}, exit.PatchFailed, []Status{Failed, NotRun}, "see what the check"},
		"a table is wrong":   {[]Check{returns("a", nil, bad), returns("b", exit.With(exit.Usage, errors.New("line 3")))}, exit.Usage, []Status{Failed, NotRun}, "b: line 3"},
		"a check broke":      {[]Check{returns("a", errors.New("broke"))}, exit.CheckFailed, []Status{NotRun}, "a: broke"},
		"finding and error":  {[]Check{returns("a", errors.New("broke"), bad)}, exit.CheckFailed, []Status{NotRun}, "found 1; 1 check not run"},
		"an explained alone": {[]Check{returns("a", nil, stays)}, exit.Good, []Status{Passed}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t, "", "", "")
			list := filepath.Join(t.TempDir(), "packages.toml")
			err := os.WriteFile(list, []byte("[[group]]\nname = \"verify\"\npurpose = \"check\"\npackages = [{ name = \"no-such-package\", provides = \"no-such-program\", why = \"to fail\" }]\n"), 0o644)
			if err == nil {
				s.Packages, err = host.Load(list)
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			r, err := Run(t.Context(), []*Submission{s}, c.checks, dir)
			if err != nil {
				t.Fatal(err)
			}
			var statuses []Status
			for _, res := range r.Checks {
				statuses = append(statuses, res.Status)
				if log, err := os.ReadFile(res.Log); err != nil || !strings.Contains(string(log), "looked") && res.Package == "" {
					t.Errorf("%s: expected a log, found %q, %v", res.Name, log, err)
				}
			}
			if diff := cmp.Diff(c.statuses, statuses); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			got := r.Err()
			if exit.Code(got) != c.code || c.says != "" && !strings.Contains(got.Error(), c.says) {
				t.Errorf("expected exit code %d and %q, found %d: %v", c.code, c.says, exit.Code(got), got)
			}
			if err := r.Write(); err != nil {
				t.Error(err)
			}
			var text bytes.Buffer
			if err := r.WriteText(&text); err != nil || strings.Contains(text.String(), ": good\n") != (c.code == exit.Good) {
				t.Errorf("a verdict that does not go with exit code %d: %v\n%s", c.code, err, &text)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, []*Submission{small(t, "", "", "")}, []Check{returns("a", nil)}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: expected %v, found %v", context.Canceled, err)
	}
}

// took are times, which are others each time.
var took = regexp.MustCompile(`(?m)( time=")[0-9.]+|^(\S+ +)[0-9.]+ s`)

func TestReport(t *testing.T) {
	stays := Finding{Patch: labFirst, Message: "CHECK:MACRO_ARG_REUSE", Reason: "an iterator assigns its variable"}
	whole := Finding{File: "rules.toml", Message: "nothing accesses it"}
	dir := t.TempDir()
	set, all := small(t, "", "", ""), small(t, "", "", "")
	set.Set, all.Whole = "walks", true
	rules := returns("rules", nil, whole)
	rules.Whole = true
	r, err := Run(t.Context(), []*Submission{set, all}, []Check{
		returns("mails", nil), returns("checkpatch", nil, bad, stays), rules, returns("kernel-doc", errors.New("python3 is not installed: the package python3 brings it; vcpulab install verify generate")),
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
	xml, err := os.ReadFile(filepath.Join(dir, "verify.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"report.txt": text.String(), "report.xml": string(xml)} {
		got = took.ReplaceAllString(strings.ReplaceAll(got, dir, "DIR"), "${1}${2}0")
		name = filepath.Join("testdata", name)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWriteList(t *testing.T) {
	var b bytes.Buffer
	if err := WriteList(&b, Checks()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 80+1 {
			t.Errorf("more than 80 columns: %s", line)
		}
	}
	data, err := json.Marshal(Checks()[0])
	if err != nil || !strings.Contains(string(data), `"name":"mails"`) {
		t.Errorf("expected the name, found %s, %v", data, err)
	}
}
