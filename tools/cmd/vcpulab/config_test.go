// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/selftest"
)

func TestGuestOptions(t *testing.T) {
	for config, want := range map[string]struct {
		leaks, overlook, slow bool
		checkers              int
	}{
		configDefault: {}, configHZ100: {},
		configDebug: {leaks: true, slow: true, checkers: 5},
		configKCSAN: {overlook: true, slow: true, checkers: 1},
	} {
		o := selftest.Options{Parallel: 2}
		if err := (&lab{root: "../../.."}).guestOptions(config, &o); err != nil {
			t.Fatal(err)
		}
		if o.Leaks != want.leaks || (o.Overlook != nil) != want.overlook || (o.Limit == searchLimit) != want.slow || (o.Parallel == 1) != want.slow || len(o.Checkers) != want.checkers {
			t.Errorf("%s: expected %v, found %+v", config, want, o)
		}
	}
}

// TestRacesMissing: without the list, races cannot be told apart.
func TestRacesMissing(t *testing.T) {
	if err := (&lab{root: t.TempDir()}).guestOptions(configKCSAN, &selftest.Options{}); exit.Code(err) != exit.Usage {
		t.Errorf("expected code %d, found %v", exit.Usage, err)
	}
}
