// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unlicensed reports whether a file needs no line that names its licence: it is
// not source code, or a copy of another project's.
func unlicensed(name string) bool {
	if slices.Contains([]string{"LICENSE", "README.md", "go.mod", "go.sum"}, path.Base(name)) {
		return true
	}
	return slices.Contains([]string{".o", ".bin", ".patch", ".gz", ".json"}, path.Ext(name)) || slices.Contains(strings.Split(name, "/"), "testdata")
}

// spdx is in one of the first lines of every source file.
const (
	spdx      = "SPDX-License-Identifier: GPL-2.0-only"
	spdxLines = 3
)

// TestLicence looks at all files that git has.
func TestLicence(t *testing.T) {
	out, err := exec.Command("git", "-C", "../../..", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("NOT RUN: git ls-files: %v: this is not a clone", err)
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(names) < 100 {
		t.Errorf("expected the files of the project, found %d", len(names))
	}
	for _, name := range names {
		if unlicensed(name) {
			continue
		}
		lines := strings.SplitN(readRoot(t, filepath.FromSlash(name)), "\n", spdxLines+1)
		if !slices.ContainsFunc(lines[:min(spdxLines, len(lines))], func(line string) bool { return strings.Contains(line, spdx) }) {
			t.Errorf("%s: expected %q in the first %d lines", name, spdx, spdxLines)
		}
	}
}
