// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"path"
	"strings"
)

// checkPath refuses a path that git would not put into a tree: one that is
// absolute, leaves the tree, or belongs to git. (verify_path() in git's
// read-cache.c.)
func checkPath(name string) error {
	bad := func(why string) error { return fmt.Errorf("the path %q %s: %w", name, why, ErrUnsafePath) }
	switch {
	case name == "":
		return bad("is empty")
	case len(name) > maxPathLength:
		return fmt.Errorf("a path of %d bytes: %w", len(name), ErrUnsafePath)
	case strings.HasPrefix(name, "/"):
		return bad("is absolute")
	case strings.ContainsRune(name, 0):
		return bad("has a NUL byte")
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return bad("leaves the tree")
		case part == "" || part == ".":
			return bad("is not in its shortest form")
		case len(part) > 255:
			return bad("has a component that is too long for a file name")
		case isDotGit(part):
			return bad("is git's own")
		}
	}
	return nil
}

// isDotGit reports whether a file system that ignores case, or the ends of
// names, could take a path component for .git.
func isDotGit(part string) bool {
	part = strings.ToLower(strings.TrimRight(part, " ."))
	return part == ".git" || part == "git~1"
}

// checkTarget refuses a symbolic link that points out of the tree: whoever
// follows it later would leave the tree. This is stricter than git.
func checkTarget(name, target string) error {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsRune(target, 0) {
		return fmt.Errorf("the symbolic link %q points to %q: %w", name, target, ErrUnsafePath)
	}
	if to := path.Join(path.Dir(name), target); to == ".." || strings.HasPrefix(to, "../") {
		return fmt.Errorf("the symbolic link %q points to %q: %w", name, target, ErrUnsafePath)
	}
	return nil
}
