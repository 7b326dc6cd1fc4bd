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

// TestRandomAgainstGitApply makes random patches with git diff, damages some,
// and applies them to the file that they were made from or another: whatever
// is taken, git apply takes too, with the same result.
func TestRandomAgainstGitApply(t *testing.T) {
	const rounds = 300
	dir := t.TempDir()
	taken, moved := 0, 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 2))
		old := randomLines(r, 5+r.IntN(60), 1+r.IntN(30))
		if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
		write := func(name string, lines []string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "")), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("f", old)
		write("g", randomEdit(r, old, 1+r.IntN(4)))
		// Exit status 1: they differ.
		diff, _ := git(t, dir, "diff", "--no-index", "--no-color", fmt.Sprintf("-U%d", r.IntN(4)), "f", "g")
		patch := strings.NewReplacer("a/g", "a/f", "b/g", "b/f").Replace(string(diff))
		if r.IntN(2) == 0 {
			patch = damage(r, patch)
		}
		relocate := r.IntN(2) == 0
		if relocate {
			write("f", randomEdit(r, old, 1+r.IntN(3)))
		}
		files, _, err := parseDiff([]byte(patch), 1)
		if err != nil || len(files) == 0 {
			continue
		}
		for _, f := range files {
			f.git.OldOIDPrefix, f.git.NewOIDPrefix = "", "" // git apply does not look at them
		}
		before, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil {
			t.Fatal(err)
		}
		s := &Series{Patches: []*Patch{{Number: 1, Name: "p", Files: files}}}
		img, report, err := s.inMemory(tree.Tree{Dir: dir}, Options{Relocate: relocate})
		if err != nil || report.Patches[0].Status == Already {
			continue
		}
		alone := true // every hunk fits in one place only
		find := newFinder(splitLines(before))
		for _, h := range files[0].git.TextFragments {
			alone = alone && len(find.places(h)) == 1
		}
		if relocate && !alone {
			continue // git takes the nearest place, here order or heading told
		}
		taken++
		moved += len(report.Shifts)
		if err := os.WriteFile(filepath.Join(dir, "p"), []byte(patch), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := git(t, dir, "apply", "p"); err != nil {
			t.Errorf("seed %d: taken, but %v\n%s\non\n%s", seed, err, patch, before)
			continue
		}
		want, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil {
			t.Fatal(err)
		}
		if got := img.now["f"].data; !bytes.Equal(got, want) {
			t.Errorf("seed %d: git apply makes\n%s\nours is\n%s\npatch\n%s\non\n%s", seed, want, got, patch, before)
		}
	}
	if taken < rounds/6 || moved == 0 {
		t.Errorf("only %d patches of %d were taken, %d hunks moved: the test tests little", taken, rounds, moved)
	}
	t.Logf("%d patches of %d taken, %d hunks moved", taken, rounds, moved)
}
