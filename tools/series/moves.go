// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// Move says what becomes of a set, after those that it needs, on some kernel.
type Move struct {
	Set string `json:"set"`
	// Patches is how many the set has, Already how many of them are in that
	// kernel, and Shifted how many of its hunks were applied elsewhere than they say.
	Patches int `json:"patches"`
	Already int `json:"already,omitempty"`
	Shifted int `json:"shifted,omitempty"`
	// Stops is the patch of the set, from 1, that does not apply, and File where.
	Stops int    `json:"stops,omitempty"`
	File  string `json:"file,omitempty"`
	// Lacks is a set that it needs and that does not apply: then it was not tried.
	Lacks string `json:"lacks,omitempty"`
}

// Applies tells whether the whole set can be applied.
func (m Move) Applies() bool { return m.Stops == 0 && m.Lacks == "" }

// String says it in a few words.
func (m Move) String() string {
	switch {
	case m.Lacks != "":
		return "needs " + m.Lacks
	case m.Stops != 0:
		return fmt.Sprintf("stops at %d of %d: %s", m.Stops, m.Patches, m.File)
	}
	var notes []string
	if m.Already > 0 {
		notes = append(notes, fmt.Sprintf("%d there already", m.Already))
	}
	if m.Shifted > 0 {
		notes = append(notes, progress.Count(m.Shifted, "hunk")+" moved")
	}
	if len(notes) > 0 {
		return "applies, " + strings.Join(notes, ", ")
	}
	return "applies"
}

// Moves tries each set on base, in memory. That a patch does not apply is no error.
func (s *Sets) Moves(base tree.Tree) ([]Move, error) {
	var moves []Move
	for i, set := range s.All {
		m := Move{Set: set.Name}
		stack, err := s.Stack(set.Name)
		if err != nil {
			return nil, err
		}
		for _, need := range stack[:len(stack)-1] {
			if j := s.index(need.Name); m.Lacks == "" && j < i && !moves[j].Applies() {
				m.Lacks = need.Name
			}
		}
		if m.Lacks == "" {
			if err := s.try(base, set, &m); err != nil {
				return nil, err
			}
		}
		moves = append(moves, m)
	}
	return moves, nil
}

// try fills in what became of a set.
func (s *Sets) try(base tree.Tree, set Set, m *Move) error {
	all, err := s.Load(set.Name)
	if err != nil {
		return err
	}
	needs, err := s.Load(set.Needs...)
	if err != nil {
		return err
	}
	first := len(needs.Patches)
	m.Patches = len(all.Patches) - first

	report, err := all.Try(base, Options{Relocate: true})
	if stop, ok := errors.AsType[*ApplyError](err); ok {
		m.Stops, m.File = stop.Number-first, stop.File
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range report.Patches {
		if p.Number > first && p.Status == Already {
			m.Already++
		}
	}
	for _, shift := range report.Shifts {
		if slices.ContainsFunc(all.Patches[first:], func(p *Patch) bool { return p.Name == shift.Patch }) {
			m.Shifted++
		}
	}
	return nil
}
