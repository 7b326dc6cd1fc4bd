// SPDX-License-Identifier: GPL-2.0-only

// Package bisect finds the patch of a series that changes something.
package bisect

import (
	"cmp"
	"context"
	"fmt"

	"vcpulab/tools/exit"
)

// State is what was found after a patch.
type State struct {
	Patch int `json:"patch"` // 0 is the base
	// Has tells whether what is looked for is there. Why says why that is not known,
	// as of a kernel that does not build; then Has means nothing.
	Has bool   `json:"has"`
	Why string `json:"unknown,omitempty"`
	// Log is the path of what is known of it.
	Log string `json:"log,omitempty"`
}

// Result is what Find has found: the states before and after the change. If patches
// between the two are unknown, it is one of those or After.
type Result struct {
	Before State   `json:"before"`
	After  State   `json:"after"`
	States []State `json:"states"` // all, in the order in which they were looked at
}

// Find finds the change between the base, 0, and patch last. Each patch is looked at once
// at most, log2 of them where none is unknown.
func Find(ctx context.Context, last int, look func(ctx context.Context, patch int) (State, error)) (*Result, error) {
	r := new(Result)
	seen := make(map[int]bool)
	at := func(patch int) (State, error) {
		s, err := look(ctx, patch)
		s.Patch, seen[patch] = patch, true
		r.States = append(r.States, s)
		return s, err
	}
	var err error
	if r.Before, err = at(0); err == nil {
		r.After, err = at(last)
	}
	switch {
	case err != nil:
		return nil, err
	case r.Before.Why+r.After.Why != "":
		return nil, exit.With(exit.CheckFailed, fmt.Errorf("bisect: expected to know of the base and of patch %d: %s; see %s and %s",
			last, cmp.Or(r.Before.Why, r.After.Why), r.Before.Log, r.After.Log))
	case r.Before.Has == r.After.Has:
		return nil, exit.With(exit.CheckFailed, fmt.Errorf("bisect: expected a difference between the base and patch %d, found none; see %s and %s", last, r.Before.Log, r.After.Log))
	}

	for {
		// The unseen patch that is nearest to the middle.
		next, middle := 0, (r.Before.Patch+r.After.Patch)/2
		for p := r.Before.Patch + 1; p < r.After.Patch; p++ {
			if !seen[p] && (next == 0 || max(p-middle, middle-p) < max(next-middle, middle-next)) {
				next = p
			}
		}
		if next == 0 {
			return r, nil
		}
		s, err := at(next)
		switch {
		case err != nil:
			return nil, err
		case s.Why != "":
		case s.Has == r.Before.Has:
			r.Before = s
		default:
			r.After = s
		}
	}
}
