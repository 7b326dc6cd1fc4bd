// SPDX-License-Identifier: GPL-2.0-only

package bisect

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for name, test := range map[string]struct {
		last, first   int
		unknown       []int
		before, after int
		most          int
	}{
		"the seventh of ten":            {10, 7, nil, 6, 7, 6},
		"the first":                     {10, 1, nil, 0, 1, 6},
		"the last":                      {10, 10, nil, 9, 10, 6},
		"the only one":                  {1, 1, nil, 0, 1, 2},
		"one of many":                   {1000, 333, nil, 332, 333, 12},
		"some do not build":             {10, 7, []int{5, 4}, 6, 7, 8},
		"the one before does not build": {10, 7, []int{6}, 5, 7, 7},
		"none between does":             {4, 3, []int{1, 2, 3}, 0, 4, 5},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(map[int]int)
			r, err := Find(t.Context(), test.last, func(_ context.Context, patch int) (State, error) {
				seen[patch]++
				for _, u := range test.unknown {
					if u == patch {
						return State{Why: "it does not build"}, nil
					}
				}
				return State{Has: patch >= test.first}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Before.Patch != test.before || r.After.Patch != test.after || len(r.States) > test.most {
				t.Errorf("expected %d and %d in %d steps, found %+v", test.before, test.after, test.most, r)
			}
			for patch, n := range seen {
				if n > 1 {
					t.Errorf("patch %d was looked at %d times", patch, n)
				}
			}
		})
	}
}

func TestFindNothing(t *testing.T) {
	same := func(context.Context, int) (State, error) { return State{Log: "LOG"}, nil }
	if _, err := Find(t.Context(), 3, same); err == nil || !strings.Contains(err.Error(), "found none; see LOG and LOG") {
		t.Errorf("expected that there is no difference, found %v", err)
	}
	unknown := func(context.Context, int) (State, error) { return State{Why: "it panics"}, nil }
	if _, err := Find(t.Context(), 3, unknown); err == nil || !strings.Contains(err.Error(), "it panics") {
		t.Errorf("expected why it is not known, found %v", err)
	}
	broken := errors.New("no disk")
	if _, err := Find(t.Context(), 3, func(context.Context, int) (State, error) { return State{}, broken }); !errors.Is(err, broken) {
		t.Errorf("expected %v, found %v", broken, err)
	}
}
