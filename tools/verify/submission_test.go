// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"vcpulab/tools/cache"
	"vcpulab/tools/host"
	"vcpulab/tools/pin"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// own returns all of the project's own sets on the pinned kernel, with the
// project's tables.
func own(t *testing.T) *Submission {
	t.Helper()
	const env = "VCPULAB_TEST_TREE"
	dir := os.Getenv(env)
	if dir == "" {
		t.Skipf("SKIPPED: %s is not set to the pinned kernel's tree; make test does that", env)
	}
	sets, err := series.LoadSets("../../patches")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sets.Load("")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, set := range sets.All {
		names = append(names, set.Name)
	}
	p, err := pin.Find("../../kernel-src-pin", os.Getenv("VCPULAB_PIN"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	list, err := host.Load("../../ci/packages.toml")
	if err != nil {
		t.Fatal(err)
	}
	return &Submission{
		Sets: names, Series: s, Base: tree.Tree{Dir: dir, ID: "pinned"}, Pin: p, Author: series.Placeholder(), Tables: "../../ci/verify", Packages: list, Cache: c,
		Seen: new(sync.Map),
	}
}

// edited returns the subject with a patched tree in which old is replaced by
// new in one place of a file.
func edited(t *testing.T, s *Submission, file, old, new string) *Submission {
	t.Helper()
	a := s.apply()
	if a.err != nil {
		t.Fatal(a.err)
	}
	text, ok := a.files[file]
	if !ok {
		var err error
		if text, err = os.ReadFile(filepath.Join(s.Base.Dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s: expected %q, found none", file, old)
	}
	other := *s
	other.after = &after{files: maps.Clone(a.files), report: a.report}
	other.after.files[file] = bytes.Replace(text, []byte(old), []byte(new), 1)
	return &other
}

// sources returns a subject whose tree has these files, and none of a series.
func sources(t *testing.T, files map[string]string) *Submission {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &Submission{Series: new(series.Series), Base: tree.Tree{Dir: t.TempDir()}, Tables: t.TempDir(), Cache: c, after: &after{files: map[string][]byte{}}}
	for name, text := range files {
		if table, ok := strings.CutPrefix(name, "ci/verify/"); ok {
			if err := os.WriteFile(s.table(table), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s.after.files[name] = []byte(text)
	}
	return s
}

// findings runs a check that has to come to its end.
func findings(t *testing.T, c look, s *Submission) []Finding {
	t.Helper()
	found, err := c(t.Context(), s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Log(f)
	}
	return found
}

// want fails unless one finding's text has each of the words, and there are
// findings only if words are wanted.
func want(t *testing.T, found []Finding, words ...string) {
	t.Helper()
	if len(words) == 0 {
		if len(found) > 0 {
			t.Errorf("expected no findings, found %d", len(found))
		}
		return
	}
	if !slices.ContainsFunc(found, func(f Finding) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(f.String(), w) })
	}) {
		t.Errorf("expected a finding with all of %q, found %d others", words, len(found))
	}
}
