// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

func testBase(t testing.TB) tree.Tree {
	t.Helper()
	dir, err := filepath.Abs("testdata/series/base.src")
	if err != nil {
		t.Fatal(err)
	}
	return tree.Tree{Dir: dir, ID: "base", Version: "7.3.4"}
}

func loadTest(t testing.TB) *Series {
	t.Helper()
	s, err := Load(testSeries)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestApply(t *testing.T) {
	s, base, c := loadTest(t), testBase(t), openCache(t)
	var ids []string
	for through, want := range []int{3, 1, 2, 3} { // 0 is all
		made, report, err := s.Apply(t.Context(), base, Options{Through: through, Cache: c})
		if err != nil {
			t.Fatal(err)
		}
		if report.Through != want || len(report.Patches) != want || report.Total != 3 {
			t.Errorf("--through %d: through %d, %d patches", through, report.Through, len(report.Patches))
		}
		if cached := through == 3; report.Cached != cached {
			t.Errorf("--through %d: cached %t, want %t", through, report.Cached, cached)
		}
		if made.Base != base.Dir || made.Version != base.Version || made.ID != report.TreeID || made.Dir != report.TreeDir {
			t.Errorf("--through %d: %+v", through, made)
		}
		ids = append(ids, made.ID)
	}
	if ids[0] != ids[3] || ids[1] == ids[2] || ids[2] == ids[3] {
		t.Errorf("ids: %q", ids)
	}

	made, report, err := s.Apply(t.Context(), base, Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"virt/kvm/Makefile.common", "virt/kvm/Makefile.kvm", "virt/kvm/binary_stats.c", "virt/kvm/vcpu_map.h", "virt/kvm/vfio.h"}
	if diff := cmp.Diff(want, made.Changed); diff != "" {
		t.Errorf("changed files (-want +got):\n%s", diff)
	}
	// The golden file has no paths of this machine.
	report.BaseDir, report.TreeDir = "BASE", "TREE"
	data, err := json.MarshalIndent(report, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "testdata/series/report.json", string(data)+"\n")
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "testdata/series/report.txt", text.String())
}

// TestReportText shows the parts that only a user's own tree brings.
func TestReportText(t *testing.T) {
	r := Report{
		Total: 2,
		Patches: []PatchReport{
			{Number: 1, Subject: "KVM: One", Status: Already},
			{Number: 2, Subject: "KVM: Two", Status: Applied, Files: make([]FileReport, 1), Insertions: 3, Deletions: 1},
		},
		Shifts: []Shift{
			{Patch: "0002-two.patch", File: "virt/kvm/kvm_main.c", Hunk: 1, From: 100, To: 90, Offset: -10},
			{Patch: "0002-two.patch", File: "virt/kvm/kvm_main.c", Hunk: 2, From: 200, To: 203, Offset: 3, ByHeading: true},
		},
		Differences: Differences{
			Same:      []string{"include/linux/kvm_host.h"},
			Different: []Difference{{Path: "virt/kvm/kvm_main.c", Expected: "0123456", Found: "1234567"}},
			Missing:   []Difference{{Path: "arch/mips/kvm/mips.c", Expected: "2345678"}},
		},
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "testdata/series/report-user.txt", text.String())
}

// TestSameTreeByOtherMails: a tree made by patches with other messages is the
// same tree.
func TestSameTreeByOtherMails(t *testing.T) {
	c, dir := openCache(t), t.TempDir()
	s := loadTest(t)
	for _, p := range s.mails() {
		data := bytes.ReplaceAll(p.Mail, []byte("They do more than to initialize."), []byte("They start it."))
		if err := os.WriteFile(filepath.Join(dir, p.Name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if other.ID == s.ID {
		t.Error("another message is the same series")
	}
	if _, _, err := s.Apply(t.Context(), testBase(t), Options{Cache: c}); err != nil {
		t.Fatal(err)
	}
	if _, report, err := other.Apply(t.Context(), testBase(t), Options{Cache: c}); err != nil || !report.Cached {
		t.Errorf("the tree was made again: %v", err)
	}
}

func TestApplyLeavesNothingWhenCancelled(t *testing.T) {
	dir := t.TempDir()
	c, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = loadTest(t).Apply(ctx, testBase(t), Options{Cache: c})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if keys, err := c.Keys(treeKind); err != nil || len(keys) > 0 {
		t.Errorf("left in the cache: %v, %v", keys, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTryChangesNothing(t *testing.T) {
	base := testBase(t)
	before := list(t, base.Dir)
	report, err := loadTest(t).Try(base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.TreeDir != "" || len(report.Patches) != 3 {
		t.Errorf("report: %+v", report)
	}
	if diff := cmp.Diff(before, list(t, base.Dir)); diff != "" {
		t.Errorf("the base was changed:\n%s", diff)
	}
}

// TestSecondPatchFails: the first patch applies, the second does not, and
// nothing is left of the first.
func TestSecondPatchFails(t *testing.T) {
	base := userTree(t, files{
		"virt/kvm/vfio.h":         readFile(t, "testdata/series/base.src/virt/kvm/vfio.h"),
		"virt/kvm/binary_stats.c": strings.Replace(readFile(t, "testdata/series/base.src/virt/kvm/binary_stats.c"), "loff_t pos = *offset;", "loff_t pos = 0;", 1),
		"virt/kvm/Makefile.kvm":   readFile(t, "testdata/series/base.src/virt/kvm/Makefile.kvm"),
	})
	for name, opts := range map[string]Options{"strict": {}, "relocate": {Relocate: true}} {
		before := list(t, base.Dir)
		opts.Cache = openCache(t)
		_, _, err := loadTest(t).Apply(t.Context(), base, opts)
		var e *ApplyError
		if !errors.As(err, &e) || exit.Code(err) != exit.PatchFailed {
			t.Fatalf("%s: error %v", name, err)
		}
		want := &ApplyError{
			Patch: "0002-KVM-Add-a-map-of-vCPUs.patch", Number: 2, PatchLine: 22, File: "virt/kvm/binary_stats.c", Hunk: 1, Line: 63,
			Expected: "\tloff_t pos = *offset;", Found: "\tloff_t pos = 0;",
		}
		got := &ApplyError{Patch: e.Patch, Number: e.Number, PatchLine: e.PatchLine, File: e.File, Hunk: e.Hunk, Line: e.Line, Expected: e.Expected, Found: e.Found}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(e.Around) != 2*linesAround+1 || e.Around[linesAround].Text != e.Found {
			t.Errorf("%s: lines around: %+v", name, e.Around)
		}
		if diff := cmp.Diff(before, list(t, base.Dir)); diff != "" {
			t.Errorf("%s: the base was changed:\n%s", name, diff)
		}
		if keys, err := opts.Cache.Keys(treeKind); err != nil || len(keys) > 0 {
			t.Errorf("%s: left in the cache: %v, %v", name, keys, err)
		}
	}
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOverlay holds what is made in memory to what is made on disk.
func TestOverlay(t *testing.T) {
	s, base := loadTest(t), testBase(t)
	for through := 1; through <= len(s.Patches); through++ {
		made, _, err := s.Apply(t.Context(), base, Options{Through: through, Cache: openCache(t)})
		if err != nil {
			t.Fatal(err)
		}
		files, report, err := s.Overlay(base, Options{Through: through})
		if err != nil {
			t.Fatal(err)
		}
		if report.Through != through {
			t.Errorf("expected %d patches, found %d", through, report.Through)
		}
		if diff := cmp.Diff(made.Changed, slices.Sorted(maps.Keys(files))); diff != "" {
			t.Errorf("through %d: %s", through, diff)
		}
		for name, data := range files {
			want, err := os.ReadFile(filepath.Join(made.Dir, name))
			if data == nil && errors.Is(err, os.ErrNotExist) {
				continue
			}
			if diff := cmp.Diff(string(want), string(data)); err != nil || diff != "" {
				t.Errorf("through %d: %s: %v: %s", through, name, err, diff)
			}
		}
	}
}

// TestLoadLeavesOthers loads a series that has semantic patches, a README and
// pictures beside it.
func TestLoadLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(testSeries)); err != nil {
		t.Fatal(err)
	}
	files{"rule.cocci": "@@ @@\n- x\n", "README.md": "# The series\n", "lookups.svg": "<svg/>\n"}.write(t, dir)
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := loadTest(t); s.ID != want.ID || len(s.Patches) != len(want.Patches) {
		t.Errorf("expected the series %s, found %s", want.ID, s.ID)
	}
}
