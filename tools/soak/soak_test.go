// SPDX-License-Identifier: GPL-2.0-only

package soak

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/selftest"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
)

var (
	warning = vm.Splat{Kind: vm.KernelWarning, Title: "WARNING: x"}
	other   = vm.Splat{Kind: vm.KernelWarning, Title: "BUG: KASAN: y"}
)

// ends is a way in which a test ends.
type ends struct {
	outcome selftest.Outcome
	splats  []vm.Splat
}

// guests are fakes on which test e ends otherwise in rounds in which it is killed; all else
// passes.
type guests struct {
	base, patched ends
	whole         []vm.Splat // of the base kernel, in a run of all tests
	ran           []string   // kernels and seeds
	err           error      // from the second run on
}

func (g *guests) run(_ context.Context, kernel string, r Round, _ string) ([]selftest.Result, error) {
	g.ran = append(g.ran, fmt.Sprintf("%s %d", kernel, r.Seed))
	if g.err != nil && len(g.ran) > 1 {
		return nil, g.err
	}
	how := map[string]ends{variant.Base: g.base, variant.Patched: g.patched}[kernel]
	if r.Seed == 0 {
		return []selftest.Result{{Name: r.Steps[6].Test, Outcome: selftest.Pass, Splats: g.whole}}, nil
	}
	results := []selftest.Result{{Name: "checker: KASAN", Outcome: selftest.Pass}}
	for _, s := range r.Steps {
		res := selftest.Result{Name: s.Test, Outcome: selftest.Pass, Seconds: 1}
		if s.KillMillis > 0 {
			res.Outcome = selftest.Interrupted
		}
		if s.Test == "e" && s.KillMillis > 0 {
			res.Outcome, res.Splats = how.outcome, how.splats
		}
		results = append(results, res)
	}
	return results, nil
}

func options(g *guests) Options {
	return Options{Seed: 100, Rounds: 30, Tests: names, Ranges: ranges, Configs: both, Again: "bin/vcpulab soak --only '*'", Guest: g.run}
}

// TestRun: the first difference ends it, and what is as bad without the patches does not.
func TestRun(t *testing.T) {
	good := ends{outcome: selftest.Interrupted}
	for name, tc := range map[string]struct {
		base, patched ends
		found         string // in the text; "" for no difference
		compared      bool
	}{
		"good":                     {good, good, "", false},
		"bad without the patches":  {ends{outcome: selftest.Crash}, good, "", false},
		"bad with the patches":     {good, ends{outcome: selftest.Fail}, "FAILED: regressed", true},
		"hung":                     {good, ends{outcome: selftest.Timeout}, "FAILED: regressed", true},
		"bad on both":              {ends{outcome: selftest.Fail}, ends{outcome: selftest.Fail}, "", true},
		"skipped on both":          {ends{outcome: selftest.Skip}, ends{outcome: selftest.Skip}, "", true},
		"not skipped on the base":  {good, ends{outcome: selftest.Skip}, "FAILED: regressed", true},
		"a complaint":              {good, ends{selftest.Interrupted, []vm.Splat{warning}}, "which the base kernel did not have: WARNING: x", true},
		"the base's own complaint": {ends{selftest.Interrupted, []vm.Splat{warning}}, ends{selftest.Interrupted, []vm.Splat{warning}}, "", true},
		"another complaint": {ends{selftest.Interrupted, []vm.Splat{warning}}, ends{selftest.Interrupted, []vm.Splat{warning, other}},
			"which the base kernel did not have: BUG: KASAN: y", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guests{base: tc.base, patched: tc.patched}
			r, err := Run(t.Context(), options(g))
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			onBase := slices.ContainsFunc(g.ran, func(s string) bool { return strings.HasPrefix(s, variant.Base) })
			if onBase != tc.compared || r.Compared > 0 != tc.compared || r.Tests == 0 || r.Interrupted == 0 {
				t.Errorf("compared: expected %t, found %v in %+v", tc.compared, g.ran, r)
			}
			if tc.found == "" {
				if r.Difference != nil || r.Rounds != 30 || r.Err() != nil || !strings.Contains(text.String(), ": no difference\n") {
					t.Errorf("expected no difference in 30 rounds, found %v and\n%s", r.Err(), &text)
				}
				return
			}
			if r.Difference == nil || exit.Code(r.Err()) != exit.CheckFailed || !strings.Contains(text.String(), tc.found) {
				t.Fatalf("expected %q, found %v and\n%s", tc.found, r.Err(), &text)
			}
			repeat(t, r.Difference, tc.base, tc.patched)
		})
	}
}

// repeat runs the command of a difference, which has to find it again at once.
func repeat(t *testing.T, d *Difference, base, patched ends) {
	t.Helper()
	rest, ok := strings.CutPrefix(d.Command, "bin/vcpulab soak --only '*' --config ")
	words := strings.Fields(rest)
	if !ok || len(words) != 5 || words[1] != "--seed" || words[3] != "--rounds" {
		t.Fatalf("found the command %s", d.Command)
	}
	g := &guests{base: base, patched: patched}
	o := options(g)
	o.Configs = slices.DeleteFunc(slices.Clone(both), func(c Config) bool { return c.Name != words[0] })
	var err [2]error
	o.Seed, err[0] = strconv.ParseUint(words[2], 10, 64)
	o.Rounds, err[1] = strconv.Atoi(words[4])
	again, runErr := Run(t.Context(), o)
	if err := errors.Join(err[0], err[1], runErr); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, again.Difference, cmp.AllowUnexported(selftest.Expectations{})); again.Rounds != 1 || diff != "" {
		t.Errorf("%s: expected the same in its only round (-first +again):\n%s", d.Command, diff)
	}
}

// TestRunWhole: what the base kernel complains of in another test is no difference, and a
// failure is one nonetheless.
func TestRunWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		patched ends
		whole   []vm.Splat
		want    bool
	}{
		"the same":               {ends{selftest.Interrupted, []vm.Splat{warning}}, []vm.Splat{other, warning}, false},
		"another":                {ends{selftest.Interrupted, []vm.Splat{warning}}, []vm.Splat{other}, true},
		"none":                   {ends{selftest.Interrupted, []vm.Splat{warning}}, nil, true},
		"the same, and it fails": {ends{selftest.Fail, []vm.Splat{warning}}, []vm.Splat{warning}, true},
	} {
		g := &guests{base: ends{outcome: selftest.Interrupted}, patched: tc.patched, whole: tc.whole}
		r, err := Run(t.Context(), options(g))
		if err != nil {
			t.Fatal(err)
		}
		runs := len(slices.DeleteFunc(slices.Clone(g.ran), func(s string) bool { return s != "base 0" }))
		if r.Difference != nil != tc.want || runs != 2 && !tc.want || runs != 1 && tc.want {
			t.Errorf("%s: a difference: expected %t, and a run of all tests a configuration, found %+v after %v", name, tc.want, r.Difference, g.ran)
		}
	}
}

// TestRunEnds: what was done counts, whatever ends it.
func TestRunEnds(t *testing.T) {
	broken := errors.New("no disk")
	g := &guests{patched: ends{outcome: selftest.Interrupted}, err: broken}
	r, err := Run(t.Context(), options(g))
	if !errors.Is(err, broken) || r.Rounds != 1 || r.Unfinished != "no disk" || r.Difference != nil {
		t.Errorf("expected one round and %v, found %+v and %v", broken, r, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g = &guests{patched: g.patched, err: context.Canceled}
	r, err = Run(ctx, options(g))
	if !errors.Is(err, context.Canceled) || r.Rounds != 1 || r.Unfinished != "interrupted" {
		t.Errorf("expected one round and %v, found %+v and %v", context.Canceled, r, err)
	}

	g = &guests{patched: g.patched}
	o := options(g)
	o.Time, o.Rounds = time.Nanosecond, 0
	r, err = Run(t.Context(), o)
	if err != nil || r.Rounds != 1 || r.Unfinished != "" || len(g.ran) != 1 || g.ran[0] != "patched 100" {
		t.Errorf("expected one round, found %+v, %v and %v", r, err, g.ran)
	}
}

// TestLeft: what is shown beside a round.
func TestLeft(t *testing.T) {
	for want, o := range map[string]Options{
		"round 3":                  {},
		"round 3 of 9":             {Rounds: 9},
		"round 3, 50m0s left":      {Time: time.Hour},
		"round 3 of 9, 50m0s left": {Time: time.Hour, Rounds: 9},
		"round 3 of 12, 0s left":   {Time: time.Minute, Rounds: 12},
	} {
		if got := o.left(2, 10*time.Minute); got != want {
			t.Errorf("expected %q, found %q", want, got)
		}
	}
}
