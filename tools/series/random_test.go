// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/tree"
)

// randomLines returns lines of a small alphabet, so that the same runs of
// lines stand in several places.
func randomLines(r *rand.Rand, n, alphabet int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("%c%d\n", 'a'+rune(r.IntN(3)), r.IntN(alphabet))
	}
	return lines
}

// randomEdit changes, inserts and removes lines in a few places.
func randomEdit(r *rand.Rand, lines []string, times int) []string {
	out := append([]string(nil), lines...)
	for range times {
		if len(out) == 0 {
			return randomLines(r, 1, 3)
		}
		at := r.IntN(len(out))
		switch r.IntN(3) {
		case 0:
			out[at] = fmt.Sprintf("edited %d\n", r.IntN(100))
		case 1:
			out = append(out[:at], append(randomLines(r, 1+r.IntN(4), 3), out[at:]...)...)
		default:
			out = append(out[:at], out[min(len(out), at+1+r.IntN(3)):]...)
		}
	}
	if r.IntN(5) == 0 && len(out) > 0 {
		out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], "\n")
	}
	return out
}

// damage changes a patch as an edit by hand does.
func damage(r *rand.Rand, patch string) string {
	lines := strings.SplitAfter(patch, "\n")
	at := r.IntN(len(lines))
	switch r.IntN(4) {
	case 0:
		lines[at] = ""
	case 1:
		lines[at] += lines[at]
	case 2:
		if len(lines[at]) > 1 {
			lines[at] = string(" +-"[r.IntN(3)]) + lines[at][1:]
		}
	default:
		lines[at] = strings.NewReplacer("1", "2", "3", "4", "5", "4").Replace(lines[at])
	}
	return strings.Join(lines, "")
}

// randomCase is one random patch and the file that it is applied to, which
// stands in a directory of its own.
type randomCase struct {
	seed     uint64
	file     string // of the tree that all cases share
	patch    string
	relocate bool
	before   []byte
	got      []byte // what the patch makes of the file; nil if it is refused
}

// TestRandomAgainstGitApply makes random patches with git diff, damages some,
// and applies them to the file that they were made from or another: whatever
// is taken, git apply takes too, with the same result. Git runs a few times
// for all cases: starting it takes longer than what it does.
func TestRandomAgainstGitApply(t *testing.T) {
	const rounds = 600

	dir := t.TempDir()
	cases := randomCases(t, dir, rounds)
	var patches []string
	taken, moved := 0, 0
	for _, c := range cases {
		if moved += c.apply(t, dir); c.got == nil {
			continue
		}
		taken++
		name := fmt.Sprintf("p%d", c.seed)
		writeText(t, filepath.Join(dir, name), c.patch)
		patches = append(patches, name)
	}

	// If git refuses one it applies none: ask it for each of them then.
	if _, err := git(t, dir, append([]string{"apply"}, patches...)...); err != nil {
		for _, p := range patches {
			if _, err := git(t, dir, "apply", p); err != nil {
				t.Errorf("%s is taken, but %v\n%s", p, err, readFile(t, filepath.Join(dir, p)))
			}
		}
	}
	for _, c := range cases {
		if c.got == nil {
			continue
		}
		want, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.got, want) {
			t.Errorf("seed %d: git apply makes\n%s\nours is\n%s\npatch\n%s\non\n%s", c.seed, want, c.got, c.patch, c.before)
		}
	}

	if taken < rounds/6 || moved == 0 {
		t.Errorf("only %d patches of %d were taken, %d hunks moved: the test tests little", taken, rounds, moved)
	}
	t.Logf("%d patches of %d taken, %d hunks moved", taken, rounds, moved)
}

// randomCases makes the cases, and in dir the files that they are applied to.
func randomCases(t *testing.T, dir string, rounds uint64) []*randomCase {
	t.Helper()
	// The lines of context are the same for all that git compares at once.
	const contexts = 4

	scratch := t.TempDir()
	random := make([]*rand.Rand, rounds)
	old := make([][]string, rounds)
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 2))
		random[seed], old[seed] = r, randomLines(r, 5+r.IntN(60), 1+r.IntN(30))
		set := fmt.Sprintf("%d", seed%contexts)
		name := filepath.Join(fmt.Sprintf("%04d", seed), "f")
		writeText(t, filepath.Join(scratch, set, "old", name), strings.Join(old[seed], ""))
		writeText(t, filepath.Join(scratch, set, "new", name), strings.Join(randomEdit(r, old[seed], 1+r.IntN(4)), ""))
	}

	var cases []*randomCase
	for set := range uint64(contexts) {
		// Exit status 1: they differ.
		diff, _ := git(t, filepath.Join(scratch, fmt.Sprint(set)), "diff", "--no-index", "--no-color", fmt.Sprintf("-U%d", set), "old", "new")
		text := strings.NewReplacer("a/old/", "a/", "b/new/", "b/", "a/new/", "a/", "b/old/", "b/").Replace(string(diff))
		for _, patch := range strings.Split(text, "diff --git ")[1:] {
			var seed uint64
			if _, err := fmt.Sscanf(patch, "a/%d/f ", &seed); err != nil {
				t.Fatalf("%v in %q", err, patch)
			}
			c := &randomCase{seed: seed, file: fmt.Sprintf("%04d/f", seed), patch: "diff --git " + patch}
			r := random[seed]
			if r.IntN(2) == 0 {
				c.patch = damage(r, c.patch)
			}
			before := old[seed]
			if c.relocate = r.IntN(2) == 0; c.relocate {
				before = randomEdit(r, before, 1+r.IntN(3))
			}
			c.before = []byte(strings.Join(before, ""))
			writeText(t, filepath.Join(dir, c.file), string(c.before))
			cases = append(cases, c)
		}
	}
	return cases
}

// apply applies the patch in memory, unless git may well do another thing with
// it. It returns how many hunks were moved.
func (c *randomCase) apply(t *testing.T, dir string) (moved int) {
	t.Helper()
	files, _, err := parseDiff([]byte(c.patch), 1)
	if err != nil || len(files) != 1 || files[0].path() != c.file {
		return 0
	}
	files[0].git.OldOIDPrefix, files[0].git.NewOIDPrefix = "", "" // git apply ignores them
	s := &Series{Patches: []*Patch{{Number: 1, Name: "p", Files: files}}}
	img, report, err := s.inMemory(tree.Tree{Dir: dir}, Options{Relocate: c.relocate})
	if err != nil || report.Patches[0].Status == Already {
		return 0
	}
	if c.relocate {
		find := newTextFile(files[0], c.before)
		for _, h := range files[0].git.TextFragments {
			if len(find.places(h)) != 1 {
				return 0 // git takes the nearest place; here order or heading told
			}
		}
	}
	c.got = append([]byte{}, img.now[c.file].Data...)
	return len(report.Shifts)
}

// writeText writes a file and makes its directory.
func writeText(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
