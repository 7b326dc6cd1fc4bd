// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"maps"
	"slices"
	"strings"
)

// Change is how much a series changes, without selftests and documentation.
type Change struct {
	// Added and Removed are lines. One that a patch adds and a later one changes
	// counts twice: it is read twice.
	Added, Removed int
	// Architectures are the directories below arch/ whose files change, sorted.
	Architectures []string
}

// Change counts what the patches of the series change.
func (s *Series) Change() Change {
	var c Change
	archs := make(map[string]bool)
	for _, p := range s.Patches {
		for _, f := range p.Files {
			parts := strings.Split(f.path(), "/")
			if parts[0] == "Documentation" || parts[0] == "tools" {
				continue
			}
			for _, h := range f.git.TextFragments {
				c.Added += int(h.LinesAdded)
				c.Removed += int(h.LinesDeleted)
			}
			if parts[0] == "arch" && len(parts) > 2 {
				archs[parts[1]] = true
			}
		}
	}
	c.Architectures = slices.Sorted(maps.Keys(archs))
	return c
}
