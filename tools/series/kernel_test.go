// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// patchesDir is the project's own series.
const patchesDir = "../../patches"

// envTree names the unpacked pinned kernel. make test sets it.
const envTree = "VCPULAB_TEST_TREE"

// pinned returns the pinned tree. It is 1.8 GB, so a test run by hand may be
// without; make test is not.
func pinned(t testing.TB) tree.Tree {
	t.Helper()
	dir := os.Getenv(envTree)
	if dir == "" {
		t.Skipf("NOT TESTED: %s does not name the unpacked pinned kernel; run make test, or set it", envTree)
	}
	if _, err := os.Stat(filepath.Join(dir, "virt/kvm/kvm_main.c")); err != nil {
		t.Fatalf("%s=%s is not a kernel tree: %v", envTree, dir, err)
	}
	return tree.Tree{Dir: dir, ID: "pinned", Version: "pinned"}
}

func ownSeries(t testing.TB) *Series {
	t.Helper()
	s, err := LoadStack(patchesDir, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// touched returns the files of base that the series changes, and no others.
func touched(t testing.TB, s *Series, base string) string {
	t.Helper()
	root, err := os.OpenRoot(base)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	img := newImage(root)
	dir := filepath.Join(t.TempDir(), "touched")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Paths() {
		if _, err := img.get(name); err != nil {
			t.Fatal(err)
		}
	}
	base2 := maps.Clone(img.base)
	img.base = map[string]*File{}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(base2)), func(n string) bool { return base2[n] == nil })
	if err := img.write(dir, names); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestApplyOwnSeries holds every patch of the project's own series against git
// am, in a repository of the files that the series touches.
func TestApplyOwnSeries(t *testing.T) {
	base, s := pinned(t), ownSeries(t)
	repo := repository(t, touched(t, s, base.Dir))
	am := []string{"am", "-q"}
	for _, p := range s.Patches {
		abs, err := filepath.Abs(p.file)
		if err != nil {
			t.Fatal(err)
		}
		am = append(am, abs)
	}
	mustGit(t, repo, am...)
	compareLog(t, repo, s)

	// The files that each patch changes, and then all files.
	want := gitChanges(t, repo)
	number := 0
	each := func(p *Patch, changed map[string]*File) error {
		if number++; p.Number != number || number >= len(want) {
			return fmt.Errorf("expected patch %d of %d, found %d", number, len(want)-1, p.Number)
		}
		if diff := cmp.Diff(want[number], fileLines(changed)); diff != "" {
			t.Errorf("patch %d (-git am +ours):\n%s", number, diff)
		}
		return nil
	}
	img, report, err := s.inMemory(base, Options{each: each})
	if err != nil {
		t.Fatal(err)
	}
	if number != len(s.Patches) || len(report.Patches) != number || !report.Differences.None() {
		t.Errorf("after %d patches: unexpected report: %+v", number, report)
	}
	var left []string
	for _, line := range fileLines(img.now) {
		if !strings.HasPrefix(line, removed) {
			left = append(left, line)
		}
	}
	if diff := cmp.Diff(slices.Collect(strings.Lines(gitList(t, repo))), left); diff != "" {
		t.Errorf("through all patches (-git am +ours):\n%s", diff)
	}
}

// removed is what git has in the place of mode and blob of a file that is removed.
const removed = "000000 0000000000000000000000000000000000000000 "

// fileLines lists files as [gitList] does, and those that are removed.
func fileLines(files map[string]*File) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if n := files[name]; n != nil {
			lines = append(lines, fmt.Sprintf("%s %s %q\n", n.Mode, n.blobID(), name))
		} else {
			lines = append(lines, fmt.Sprintf("%s%q\n", removed, name))
		}
	}
	return lines
}

// gitChanges lists the files that each commit of a repository changes, from the first
// commit on, as [fileLines] does.
func gitChanges(t testing.TB, repo string) (commits [][]string) {
	t.Helper()
	log := string(mustGit(t, repo, "log", "--reverse", "--root", "--raw", "--no-abbrev", "--no-renames", "--format=tformat:commit"))
	for line := range strings.Lines(log) {
		info, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		switch {
		case line == "commit\n":
			commits = append(commits, nil)
		case ok:
			f := strings.Fields(info) // ":mode mode blob blob M"
			last := &commits[len(commits)-1]
			*last = append(*last, fmt.Sprintf("%s %s %q\n", f[1], f[3], name))
		}
	}
	return commits
}

// TestOwnSeriesOnAnotherTree applies the project's series to the same files
// with lines put in above: every hunk is found, and the result is the patched
// file with those lines.
func TestOwnSeriesOnAnotherTree(t *testing.T) {
	base, s := pinned(t), ownSeries(t)
	other := touched(t, s, base.Dir)
	above := files{}
	strict, there, err := s.inMemory(base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range strict.base {
		if n != nil && strings.HasSuffix(name, ".c") {
			above[name] = "/* one line more */\n/* and another */\n" + string(n.Data)
		}
	}
	above.write(t, other)
	img, report, err := s.inMemory(tree.Tree{Dir: other, ID: "other"}, Options{Relocate: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range strict.now {
		want := string(n.Data)
		if above[name] != "" {
			want = "/* one line more */\n/* and another */\n" + want
		}
		if diff := cmp.Diff(want, string(img.now[name].Data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(report.Shifts) == 0 || len(report.Differences.Different) != len(above) {
		t.Errorf("%d shifts, differences %+v", len(report.Shifts), report.Differences)
	}
	place := func(s Shift) string { return fmt.Sprint(s.Patch, s.File, s.Hunk) }
	moved := make(map[string]int) // by other sets
	for _, shift := range there.Shifts {
		moved[place(shift)] = shift.Offset
	}
	for _, shift := range report.Shifts {
		want := moved[place(shift)]
		if above[shift.File] != "" {
			want += 2
		}
		if shift.Offset != want {
			t.Errorf("moved by %d, expected %d: %+v", shift.Offset, want, shift)
		}
	}
}

// TestApplyMakesTree makes the patched tree twice: every file that the series
// does not touch is the base's own, and the second time nothing is made.
func TestApplyMakesTree(t *testing.T) {
	base, s := pinned(t), ownSeries(t)
	c := kernelCache(t)
	made, report, err := s.Apply(t.Context(), base, Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	if report.Cached {
		t.Error("the first time is from the cache")
	}
	loaded, err := tree.Load(made.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, loaded); diff != "" {
		t.Errorf("the stored description (-made +loaded):\n%s", diff)
	}
	again, report, err := s.Apply(t.Context(), base, Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, again); diff != "" || !report.Cached {
		t.Errorf("the second time is another, cached %t:\n%s", report.Cached, diff)
	}
	files, others := 0, 0
	err = fs.WalkDir(os.DirFS(base.Dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		a, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.Lstat(filepath.Join(made.Dir, name))
		if err != nil || !os.SameFile(a, b) {
			others++
			if _, changed := slices.BinarySearch(made.Changed, name); !changed {
				t.Errorf("%s is not the base's file: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50000 || others == 0 {
		t.Errorf("%d files, %d changed", files, others)
	}
}

// kernelCache opens a cache for trees of the size of a kernel: inside the
// cache that the pinned tree is in, where files can be hard links to it.
func kernelCache(t testing.TB) *cache.Cache {
	t.Helper()
	parent := os.Getenv(cache.EnvDir)
	if parent == "" {
		parent = t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, ".test-series-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
