// SPDX-License-Identifier: GPL-2.0-only

// Package pattern selects things by names with wildcards.
package pattern

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// Check refuses a pattern that [path.Match] cannot read. The error stands for
// exit.Usage.
func Check(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return exit.With(exit.Usage, fmt.Errorf("pattern %q: %w", p, err))
		}
	}
	return nil
}

// Files returns the paths of what there is in dir of whose path from there a pattern of
// [fs.Glob] matches the whole, sorted. [filepath.Glob] would take a directory of
// the user's that is named "[wip]" for a pattern, and find nothing.
func Files(dir, pattern string) ([]string, error) {
	names, err := fs.Glob(os.DirFS(dir), pattern)
	for i, n := range names {
		names[i] = filepath.Join(dir, n)
	}
	return names, err
}

// Select returns the elements of which a pattern of [path.Match] matches the
// name, whole or without directories. No patterns select all. A pattern that
// matches nothing is an error that stands for exit.Usage.
func Select[T any](all []T, patterns []string, name func(T) string) ([]T, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	if err := Check(patterns); err != nil {
		return nil, err
	}

	used := make([]bool, len(patterns))
	var selected []T
	for _, element := range all {
		n, matches := name(element), false
		for i, p := range patterns {
			whole, _ := path.Match(p, n)
			base, _ := path.Match(p, path.Base(n))
			if whole || base {
				matches, used[i] = true, true
			}
		}
		if matches {
			selected = append(selected, element)
		}
	}

	if i := slices.Index(used, false); i >= 0 {
		var names []string
		for _, element := range all {
			names = append(names, name(element))
		}
		return nil, exit.With(exit.Usage, fmt.Errorf("nothing matches %q; there are %s", patterns[i], strings.Join(names, " ")))
	}
	return selected, nil
}
