// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// files is the content of a small tree by path; an empty one is removed.
type files map[string]string

// with returns f with the changes of g.
func (f files) with(g files) files {
	out := maps.Clone(f)
	maps.Copy(out, g)
	return out
}

// write makes dir hold f.
func (f files) write(t testing.TB, dir string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		full := filepath.Join(dir, name)
		if f[name] == "" {
			if err := os.RemoveAll(full); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(f[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// mailSeries has git make the mails of a series that goes from one state to
// the next, and returns their directory.
func mailSeries(t testing.TB, states ...files) string {
	t.Helper()
	repo := t.TempDir()
	mustGit(t, repo, "init", "-q", "-b", "main")
	for i, s := range states {
		s.write(t, repo)
		mustGit(t, repo, "add", "-A", "-f")
		mustGit(t, repo, "commit", "-q", "--allow-empty", "-m", fmt.Sprintf("KVM: Step %d\n\nSigned-off-by: a <a@vcpulab.invalid>", i))
	}
	out := filepath.Join(t.TempDir(), "patches")
	mustGit(t, repo, "format-patch", "-q", "-n", "-M", "-o", out, fmt.Sprintf("-%d", len(states)-1))
	return out
}

// userTree makes a tree on disk.
func userTree(t testing.TB, f files) tree.Tree {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "linux")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.write(t, dir)
	return tree.Tree{Dir: dir, ID: "user"}
}

func openCache(t testing.TB) *cache.Cache {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// numbered returns lines "name 1" to "name n".
func numbered(name string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s %d\n", name, i+1)
	}
	return b.String()
}

// function returns a C function whose body is the same for every name.
func function(name string) string {
	return "static int " + name + "(struct kvm *kvm)\n{\n\tint r;\n\n\tmutex_lock(&kvm->lock);\n\tr = 0;\n\tmutex_unlock(&kvm->lock);\n\n\treturn r;\n}\n\n"
}

func TestRelocate(t *testing.T) {
	lines := numbered("line", 60)
	edit := func(s string, n ...int) string {
		for _, n := range n {
			s = strings.Replace(s, fmt.Sprintf("\nline %d\n", n), fmt.Sprintf("\nLINE %d\n", n), 1)
		}
		return s
	}
	after := func(s string, n int, more string) string {
		l := fmt.Sprintf("\nline %d\n", n)
		return strings.Replace(s, l, l+more, 1)
	}
	base := files{"f": lines, "g": numbered("other", 9)}
	three := []files{base, base.with(files{"f": edit(lines, 20, 50)}), base.with(files{"f": edit(lines, 20, 21, 50)})}
	functions := files{"f.c": function("first") + function("second") + function("third")}
	inSecond := functions.with(files{"f.c": strings.Replace(functions["f.c"], function("second"), strings.Replace(function("second"), "\tr = 0;\n", "\tr = 1;\n", 1), 1)})
	// The hunk's context does not reach the function's name, its heading does.
	inBoth := functions.with(files{"f.c": strings.Replace(functions["f.c"], "\tr = 0;\n", "\tr = 1;\n", 2)})

	tests := map[string]struct {
		states []files
		user   files
		// am says that git am has to come to the same tree.
		am     bool
		want   []Shift
		status []Status // where it is not all applied
		diff   Differences
		err    error
		check  func(t *testing.T, e *ApplyError)
	}{
		"the pinned tree": {
			states: three, user: base, am: true,
			diff: Differences{Same: []string{"f"}},
		},
		"lines above": {
			states: three, user: base.with(files{"f": "new 1\nnew 2\n" + lines}), am: true,
			want: []Shift{
				{Patch: "0001-KVM-Step-1.patch", File: "f", Hunk: 1, From: 17, To: 19, Offset: 2},
				{Patch: "0001-KVM-Step-1.patch", File: "f", Hunk: 2, From: 47, To: 49, Offset: 2},
				{Patch: "0002-KVM-Step-2.patch", File: "f", Hunk: 1, From: 18, To: 20, Offset: 2},
			},
			diff: Differences{Different: []Difference{{Path: "f"}}},
		},
		"lines taken away, and more between": {
			states: three[:2], user: base.with(files{"f": after(strings.Replace(lines, "line 2\n", "", 1), 30, "x\ny\nz\n")}), am: true,
			want: []Shift{
				{Patch: "0001-KVM-Step-1.patch", File: "f", Hunk: 1, From: 17, To: 16, Offset: -1},
				{Patch: "0001-KVM-Step-1.patch", File: "f", Hunk: 2, From: 47, To: 49, Offset: 2},
			},
			diff: Differences{Different: []Difference{{Path: "f"}}},
		},
		"another file differs": {
			states: three[:2], user: base.with(files{"g": "x\n"}), am: true,
			diff: Differences{Same: []string{"f"}},
		},
		"a line of the context differs": {
			states: three[:2], user: base.with(files{"f": strings.Replace(lines, "line 48\n", "line XLVIII\n", 1)}),
			err: ErrConflict,
			check: func(t *testing.T, e *ApplyError) {
				if e.Hunk != 2 || e.Line != 48 || e.Expected != "line 48" || e.Found != "line XLVIII" {
					t.Errorf("wrong place: %+v", e)
				}
			},
		},
		"in two places": {
			states: three[:2], user: base.with(files{"f": lines + "\n" + lines}),
			err: ErrAmbiguous,
			check: func(t *testing.T, e *ApplyError) {
				want := []Candidate{{Line: 17, Heading: "line 16"}, {Line: 78, Heading: "line 16"}}
				if diff := cmp.Diff(want, e.Candidates); diff != "" {
					t.Errorf("candidates (-want +got):\n%s", diff)
				}
			},
		},
		// A block of the same length was inserted before: what stands at the
		// line that the patch says is now another function's.
		"the wrong one stands at the line": {
			states: []files{functions, inSecond}, user: files{"f.c": function("zero") + functions["f.c"]},
			want: []Shift{{Patch: "0001-KVM-Step-1.patch", File: "f.c", Hunk: 1, From: 14, To: 25, Offset: 11, ByHeading: true}},
			diff: Differences{Different: []Difference{{Path: "f.c"}}},
		},
		"no function of that name": {
			states: []files{functions, inSecond}, user: files{"f.c": strings.ReplaceAll(functions["f.c"], "second", "renamed")},
			err: ErrAmbiguous,
		},
		"told by order": {
			states: []files{functions, inBoth}, user: files{"f.c": "/* new */\n" + strings.Replace(functions["f.c"], function("third"), "", 1)}, am: true,
			want: []Shift{
				{Patch: "0001-KVM-Step-1.patch", File: "f.c", Hunk: 1, From: 3, To: 4, Offset: 1},
				{Patch: "0001-KVM-Step-1.patch", File: "f.c", Hunk: 2, From: 14, To: 15, Offset: 1},
			},
			diff: Differences{Different: []Difference{{Path: "f.c"}}},
		},
		"fits only out of order": {
			states: three[:2], user: base.with(files{"f": numbered("line", 60)[strings.Index(lines, "line 40\n"):] + numbered("line", 39)}),
			err: ErrConflict,
		},
		"first line moved": {
			states: []files{base, base.with(files{"f": "new\n" + lines})}, user: base.with(files{"f": "// licence\n" + lines}),
			err: ErrConflict,
		},
		"last line moved": {
			states: []files{base, base.with(files{"f": lines + "end\n"})}, user: base.with(files{"f": lines + "more\n"}),
			err: ErrConflict,
		},
		"missing": {
			states: three, user: files{"g": "x\n"}, err: ErrFile,
		},
		"first patch is there already": {
			states: three, user: base.with(files{"f": "new\n" + edit(lines, 20, 50)}),
			want:   []Shift{{Patch: "0002-KVM-Step-2.patch", File: "f", Hunk: 1, From: 18, To: 19, Offset: 1}},
			status: []Status{Already, Applied},
			diff:   Differences{Different: []Difference{{Path: "f"}}},
		},
		"all is there already": {
			states: three, user: base.with(files{"f": "new\n" + edit(lines, 20, 21, 50)}),
			// What the first patch made is not there any more.
			status: []Status{Already, Already},
			diff:   Differences{Different: []Difference{{Path: "f"}}},
		},
		"all is there, with a new, a renamed and a removed file": {
			states: []files{base, base.with(files{"f": edit(lines, 20), "h": "h\n"}), {"f": "", "h": "h\nh\n", "moved": edit(lines, 20, 21), "g": ""}},
			user:   files{"h": "h\nh\n", "moved": "new\n" + edit(lines, 20, 21)},
			status: []Status{Already, Already},
			diff: Differences{
				Different: []Difference{{Path: "h"}, {Path: "moved"}}, Missing: []Difference{{Path: "f"}, {Path: "g"}},
			},
		},
		"a later patch is there, the first is not": {
			states: three, user: base.with(files{"f": edit(lines, 21)}), err: ErrConflict,
		},
		"one hunk is there already": {
			states: three[:2], user: base.with(files{"f": edit(lines, 20)}), err: ErrApplied,
			check: func(t *testing.T, e *ApplyError) {
				if e.Hunk != 1 || e.Line != 17 {
					t.Errorf("wrong place: %+v", e)
				}
			},
		},
		"new file is there already": {
			states: []files{base, base.with(files{"h": "h\n"})}, user: base.with(files{"h": "h\n"}),
			status: []Status{Already},
			diff:   Differences{Different: []Difference{{Path: "h", Expected: "no file"}}},
		},
		"new file is there, but another": {
			states: []files{base, base.with(files{"h": "h\n"})}, user: base.with(files{"h": "i\n"}), err: ErrFile,
		},
		"new file is there, the rest of the patch is not": {
			states: []files{base, base.with(files{"h": "h\n", "f": edit(lines, 20)})}, user: base.with(files{"h": "h\n"}), err: ErrApplied,
		},
		"removed file is gone already": {
			states: []files{base, base.with(files{"g": ""})}, user: files{"f": lines},
			status: []Status{Already},
			diff:   Differences{Missing: []Difference{{Path: "g"}}},
		},
		"removed file differs": {
			states: []files{base, base.with(files{"g": ""})}, user: base.with(files{"g": base["g"] + "more\n"}), err: ErrConflict,
		},
		"edit is there, rename is not": {
			states: []files{base, {"f": "", "moved": edit(lines, 20)}}, user: base.with(files{"f": "new\n" + edit(lines, 20)}), err: ErrApplied,
		},
		"renamed and edited file differs": {
			states: []files{base, {"f": "", "moved": edit(lines, 20)}}, user: base.with(files{"f": "new\n" + lines}), am: true,
			want: []Shift{{Patch: "0001-KVM-Step-1.patch", File: "moved", Hunk: 1, From: 17, To: 18, Offset: 1}},
			diff: Differences{Different: []Difference{{Path: "f"}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mails := mailSeries(t, test.states...)
			s, err := Load(mails)
			if err != nil {
				t.Fatal(err)
			}
			user := userTree(t, test.user)
			before := list(t, user.Dir)
			c := openCache(t)
			made, report, err := s.Apply(t.Context(), user, Options{Relocate: true, Cache: c})
			if now := list(t, user.Dir); now != before {
				t.Errorf("the user's tree was changed:\n%s", cmp.Diff(before, now))
			}
			if test.err != nil {
				var e *ApplyError
				if !errors.Is(err, test.err) || !errors.As(err, &e) {
					t.Fatalf("error %v, want %v", err, test.err)
				}
				if test.check != nil {
					test.check(t, e)
				}
				t.Logf("%v", err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, report.Shifts); diff != "" {
				t.Errorf("shifts (-want +got):\n%s", diff)
			}
			for i, p := range report.Patches {
				want := Applied
				if test.status != nil {
					want = test.status[i]
				}
				if p.Status != want {
					t.Errorf("patch %d: status %q, want %q", i+1, p.Status, want)
				}
			}
			ids := cmp.FilterPath(func(p cmp.Path) bool {
				f := p.Last().String()
				return f == ".Found" || f == ".Expected" && p.Index(-2).Type().Name() == "Difference"
			}, cmp.Ignore())
			if diff := cmp.Diff(test.diff, report.Differences, cmpopts.EquateEmpty(), ids); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if test.am {
				repo := repository(t, user.Dir)
				names, err := filepath.Glob(mails + "/*.patch")
				if err != nil {
					t.Fatal(err)
				}
				mustGit(t, repo, append([]string{"am", "-q"}, names...)...)
				if diff := cmp.Diff(gitList(t, repo), list(t, made.Dir)); diff != "" {
					t.Errorf("trees (-git am +ours):\n%s", diff)
				}
			}
		})
	}
}
