// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"testing"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/selftest"
)

func TestGuestOptions(t *testing.T) {
	store, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for config, want := range map[string]struct {
		leaks, overlook, slow bool
		checkers              int
	}{
		configDefault: {}, configHZ100: {},
		configDebug: {leaks: true, slow: true, checkers: 5},
		configKCSAN: {overlook: true, slow: true, checkers: 1},
	} {
		const parallel = maxGuests + 1
		o := selftest.Options{Parallel: parallel}
		if err := (&lab{root: "../../..", cache: store}).guestOptions(config, &o); err != nil {
			t.Fatal(err)
		}
		if o.Leaks != want.leaks || (o.Overlook != nil) != want.overlook || (o.Limit == searchLimit) != want.slow || (o.Parallel < parallel) != want.slow || o.Parallel < 1 || len(o.Checkers) != want.checkers {
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
