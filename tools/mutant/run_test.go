// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
	"vcpulab/tools/program"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
	"vcpulab/tools/verify"
	"vcpulab/tools/vm"
)

var update = flag.Bool("update", false, "rewrite the expected files")

// labDir has a small kernel and a series for it.
const labDir = "../cmd/vcpulab/testdata/lab"

// newLab returns a runner of mutants of the small series, of which there is a
// copy that may be changed.
func newLab(t *testing.T) *Runner {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"linux", PatchesDir} {
		if err := os.CopyFS(filepath.Join(dir, d), os.DirFS(filepath.Join(labDir, d))); err != nil {
			t.Fatal(err)
		}
	}
	c, err := cache.Open(filepath.Join(dir, "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{
		Root: dir, Patches: filepath.Join(dir, PatchesDir), Cache: c, Out: filepath.Join(dir, "out"),
		Verify: verify.Submission{
			Base: tree.Tree{Dir: filepath.Join(dir, "linux"), ID: "lab", Version: "7.3.4"}, Author: series.Placeholder(), Pin: &pin.Pin{}, Cache: c,
		},
	}
}

// labFiles are the files that mutants of the small series change.
const (
	labPatch = "patches/0001-KVM-Do-what-can-fail-before-publishing-a-vCPU.patch"
	labC     = "virt/kvm/kvm_main.c"
)

// change returns a mutant that changes one text in a file.
func (r *Runner) change(t *testing.T, name, by, finds, file, old, now string) *Mutant {
	t.Helper()
	if _, err := r.original(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := r.patched.Dir
	if strings.HasPrefix(file, PatchesDir) {
		dir = r.Root
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(text, []byte(old)) != 1 {
		t.Fatalf("%q is not in %s", old, file)
	}
	diff, err := diffFiles(t.Context(), dir, map[string][]byte{file: bytes.Replace(text, []byte(old), []byte(now), 1)})
	if err != nil {
		t.Fatal(err)
	}
	of := "patch = \"KVM: Do what can fail before publishing a vCPU\"\n"
	if strings.HasPrefix(file, PatchesDir) {
		of = ""
	}
	head := of + fmt.Sprintf("fault = %q\nmissed = \"It is small.\"\nkilled-by = %q\nfinds = %q\n---\n", "Fault of "+name+".", by, finds)
	file = filepath.Join(r.Root, name+Ext)
	if err := os.WriteFile(file, append([]byte(head), diff...), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Parse(file, append([]byte(head), diff...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// indexLine is left out of mutants.
var indexLine = regexp.MustCompile(`(?m)^index [0-9a-f]+\.\.[0-9a-f]+.*\n`)

// diffFiles returns the diff from files below dir to their new content.
func diffFiles(ctx context.Context, dir string, files map[string][]byte) ([]byte, error) {
	work, err := os.MkdirTemp("", "vcpulab-mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	before, now := make(map[string][]byte), make(map[string][]byte)
	for name, data := range files {
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil {
			before[name] = old
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if data != nil {
			now[name] = data
		}
	}
	for side, files := range map[string]map[string][]byte{"a": before, "b": now} {
		err := os.Mkdir(filepath.Join(work, side), 0o755)
		if err == nil {
			err = writeFiles(filepath.Join(work, side), files)
		}
		if err != nil {
			return nil, err
		}
	}

	git := program.Program{Name: "git", Dir: work, Env: []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}}
	out, _, err := git.Run(ctx, "diff", "--no-index", "--no-prefix", "--no-color", "--no-ext-diff", "--no-renames", "a", "b")
	if status, ok := errors.AsType[*program.StatusError](err); ok && status.Status == 1 {
		err = nil // there are differences
	}
	return indexLine.ReplaceAll(out, nil), err
}

// writeFiles writes files below dir.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil {
			err = os.WriteFile(name, data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const signed = "Signed-off-by: vcpulab <series@vcpulab.invalid>\n"

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		by, finds, file, old, now string
		want                      Fate
		found                     string // what one of the findings has
	}{
		"killed":               {"verify mails", "Signed-off-by", labPatch, signed, "", Killed, "0001-"},
		"killed, of a tree":    {"verify applies", "fits nowhere", labC, "return -EEXIST;", "return -EINVAL;", Survived, ""},
		"survived":             {"verify mails", "Signed-off-by", labPatch, "Look first.", "Look last.", Survived, ""},
		"caught by another":    {"verify applies", "index line", labPatch, signed, "", Otherwise, "verify mails: 0001-"},
		"found something else": {"verify mails", "Fixes", labPatch, signed, "", Otherwise, "Signed-off-by"},
		"killed when read":     {"apply", "is number 2, but number 1 is missing", labPatch, "PATCH 1/2", "PATCH 2/2", Killed, "number 2"},
		"not even read":        {"verify mails", "number", labPatch, "PATCH 1/2", "PATCH 2/2", Otherwise, "the sets cannot be read"},
		"killed when applied":  {"apply", "index line", labPatch, "..e2f0226", "..e2f0227", Killed, "0001-"},
		"does not apply":       {"verify applies", "index line", labPatch, "..e2f0226", "..e2f0227", Killed, "0001-"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLab(t)
			m := r.change(t, "x", c.by, c.finds, c.file, c.old, c.now)
			report, err := r.Run(t.Context(), []*Mutant{m})
			if err != nil {
				t.Fatal(err)
			}
			res := report.Results[0]
			if res.Fate != c.want {
				t.Errorf("expected %s, found %+v", c.want, res)
			}
			if text := fmt.Sprint(res.Findings); !strings.Contains(text, c.found) {
				t.Errorf("expected %q, found %s", c.found, text)
			}
			if code := exit.Code(report.Err()); (code == exit.Good) != (c.want == Killed) || code > exit.CheckFailed {
				t.Errorf("exit code %d of %v", code, report.Err())
			}
			log, err := os.ReadFile(res.Log)
			if err != nil || !strings.Contains(string(log), string(res.Fate)) {
				t.Errorf("expected a log with the verdict, found %q, %v", log, err)
			}
		})
	}
}

// TestRunUnfounded: a check that finds something in the series itself kills
// nothing.
func TestRunUnfounded(t *testing.T) {
	r := newLab(t)
	m := r.change(t, "x", "verify mails", "Signed-off-by", labPatch, "Look first.", "Look last.")
	other := filepath.Join(r.Patches, "0002-KVM-Try-the-index-first-when-looking-up-a-vCPU-by-ID.patch")
	text, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, bytes.Replace(text, []byte(signed), nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	report, err := r.Run(t.Context(), []*Mutant{m})
	if err != nil {
		t.Fatal(err)
	}
	if res := report.Results[0]; res.Fate != Unfounded || exit.Code(report.Err()) != exit.CheckFailed {
		t.Errorf("expected %s, found %+v", Unfounded, res)
	}
}

// TestRunStale: nothing is run if a mutant is of another series, and Refresh
// mends what has but moved.
func TestRunStale(t *testing.T) {
	r := newLab(t)
	moved := r.change(t, "moved", "verify mails", "Signed-off-by", labC, "return -EEXIST;", "return -EINVAL;")
	good := r.change(t, "good", "verify mails", "Signed-off-by", labPatch, signed, "")
	gone := r.change(t, "gone", "verify mails", "Signed-off-by", labPatch, "Look first.", "Look last.")
	rewrite := func(m *Mutant, replacer *strings.Replacer) *Mutant {
		t.Helper()
		text := string(m.head) + string(m.diff)
		edited := replacer.Replace(text)
		again, err := Parse(m.File, []byte(edited))
		if err != nil || edited == text {
			t.Fatalf("%s has not changed: %v\n%s", m.File, err, text)
		}
		return again
	}
	fresh := slices.Concat(moved.head, moved.diff)
	moved = rewrite(moved, strings.NewReplacer("@@ -11,", "@@ -9,", "+11,", "+9,"))
	gone = rewrite(gone, strings.NewReplacer("-Look first.", "-Look twice."))
	_, err := r.Run(t.Context(), []*Mutant{moved, good, gone})
	if exit.Code(err) != exit.PatchFailed || strings.Contains(err.Error(), good.File) {
		t.Fatalf("expected moved and gone to be stale, found %v", err)
	}
	for _, want := range []string{"vcpulab mutants --refresh", moved.File, gone.File, "Look twice."} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q, found %v", want, err)
		}
	}
	if logs, err := os.ReadDir(r.Out); err != nil || len(logs) > 0 {
		t.Error("something was run", logs, err)
	}

	written, err := r.Refresh(t.Context(), []*Mutant{moved, good, gone})
	if exit.Code(err) != exit.PatchFailed || strings.Contains(err.Error(), moved.File) || !strings.Contains(err.Error(), gone.File) {
		t.Errorf("expected gone to be beyond that, found %v", err)
	}
	if strings.Join(names(written), " ") != "moved" {
		t.Errorf("expected moved to be rewritten, found %v", names(written))
	}
	text, err := os.ReadFile(moved.File)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(fresh), string(text)); diff != "" {
		t.Error(diff)
	}
}

// wordCheck finds a word in a file of the last tree. It counts how often it
// looks.
type wordCheck struct {
	file, word string
	looks      *int
}

func (c wordCheck) parts(*Specimen, pair) ([]string, error) { return []string{c.word}, nil }

func (c wordCheck) inspect(ctx context.Context, s *Specimen, _ pair) (*observation, error) {
	*c.looks++
	tr, err := s.Tree(ctx)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(tr.Dir, c.file))
	if err != nil {
		return nil, err
	}
	l := &observation{Details: string(data)}
	if strings.Contains(string(data), c.word) {
		l.Findings = append(l.Findings, Complaint{c.file, "it has " + c.word})
	}
	return l, nil
}

// splatCheck has the kernels complain of different things.
type splatCheck struct{ base, series, mutant []vm.Splat }

func (splatCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

func (c splatCheck) inspect(_ context.Context, s *Specimen, _ pair) (*observation, error) {
	switch {
	case s.base:
		return &observation{Splats: c.base}, nil
	case s.Mutant == nil:
		return &observation{Splats: c.series}, nil
	}
	return &observation{Splats: c.mutant}, nil
}

// TestKnownSplats: a mutant is killed by what it adds, also where the base kernel
// complains of something, but not where the series does.
func TestKnownSplats(t *testing.T) {
	one := func(processor int) []vm.Splat {
		return []vm.Splat{{Kind: vm.KernelWarning, Title: fmt.Sprintf("WARNING: a.c:1 at f+0x1/0x2, CPU#%d: t/1", processor), Func: "f"}}
	}
	other := []vm.Splat{{Kind: vm.KernelWarning, Title: "WARNING: a.c:9 at g+0x1/0x2, CPU#0: t/1", Func: "g"}}
	for name, tc := range map[string]struct {
		check splatCheck
		finds string
		want  Fate
		found []Complaint
	}{
		"adds one":             {splatCheck{nil, nil, one(0)}, "at f", Killed, []Complaint{{"a_test", "kernel warning: " + one(0)[0].Title}}},
		"adds one to the base": {splatCheck{one(0), one(1), slices.Concat(one(0), other)}, "at g", Killed, []Complaint{{"a_test", "kernel warning: " + other[0].Title}}},
		"only the base's":      {splatCheck{one(0), one(1), one(0)}, "at f", Survived, nil},
		"the series adds one":  {splatCheck{one(0), slices.Concat(one(1), other), other}, "at g", Unfounded, []Complaint{{"a_test", "kernel warning: " + other[0].Title}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLab(t)
			m := r.change(t, "x", "selftest debug a_test", tc.finds, labC, "return -EEXIST;", "return -EBUSY;")
			original, err := r.original(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			res, err := r.runMutant(t.Context(), m, tc.check, original)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.found, res.Findings); res.Fate != tc.want || diff != "" {
				t.Errorf("expected %s, found %s %s", tc.want, res.Fate, diff)
			}
		})
	}
}

// TestResultsAreKept: what takes long is looked at once, as long as the mutant
// and the series are the same. No tree of a mutant stays.
func TestResultsAreKept(t *testing.T) {
	r := newLab(t)
	m := r.change(t, "x", "matrix s390x", "EBUSY", labC, "return -EEXIST;", "return -EBUSY;")
	looks := 0
	c := wordCheck{labC, "EBUSY", &looks}
	original, err := r.original(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := func(m *Mutant) *Result {
		t.Helper()
		res, err := r.runMutant(t.Context(), m, c, original)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := one(m); res.Fate != Killed || res.Cached || looks != 2 {
		t.Errorf("expected to look at the series and the mutant, found %+v after %d", res, looks)
	}
	if res := one(m); res.Fate != Killed || !res.Cached || looks != 2 {
		t.Errorf("expected to look at nothing, found %+v after %d", res, looks)
	}
	trees, err := r.Cache.Keys("patched")
	if err != nil || len(trees) != 1 {
		t.Errorf("expected the tree of the series alone to stay, found %v, %v", trees, err)
	}
	other := r.change(t, "y", "matrix s390x", "EBUSY", labC, "return -EEXIST;", "return -EBUSY; /* y */")
	if res := one(other); res.Fate != Killed || res.Cached || looks != 3 {
		t.Errorf("expected to look at the other mutant, found %+v after %d", res, looks)
	}
	survivor := r.change(t, "z", "matrix s390x", "EBUSY", labC, "return -EEXIST;", "return -ENOSPC;")
	if res := one(survivor); res.Fate != Survived || looks != 4 {
		t.Errorf("expected it to survive, found %+v after %d", res, looks)
	}
	r.Again, r.clean = true, make(map[string]func() (*observation, error))
	if res := one(m); res.Fate != Killed || res.Cached || looks != 5 {
		t.Errorf("expected to look at the mutant again, found %+v after %d", res, looks)
	}
}

func TestReport(t *testing.T) {
	mutant := func(name, fault, by, finds string) *Mutant {
		m := &Mutant{Name: name, Fault: fault}
		if err := m.setKiller(by, finds); err != nil {
			t.Fatal(err)
		}
		return m
	}
	r := Report{Results: []Result{
		{Mutant: mutant("a", "One is left out.", "verify mails", "x"), Fate: Killed, Found: &Complaint{"", "0001-a.patch: x"}, Seconds: 0.25},
		{Mutant: mutant("b", "One is there twice.", "selftest default a_test", "y"), Fate: Survived, Seconds: 61.4, Cached: true, Log: "/o/b.log"},
		{
			Mutant: mutant("c", "One is late.", "matrix s390x", "z"), Fate: Otherwise, Seconds: 5,
			Findings: []Complaint{{"s390x", "error: " + strings.Repeat("long ", 50) + "\nmore"}}, Log: "/o/c.log",
		},
		{Mutant: mutant("d", "One is early.", "apply", "z"), Fate: Unfounded, Findings: []Complaint{{"", "was so before"}}, Log: "/o/d.log"},
		{Mutant: &Mutant{Name: "e", Fault: "There is no patch.", Unnoticed: "It is a comment.", Revert: true}, Fate: Unnoticed, Log: "/o/e.log"},
	}}
	var b bytes.Buffer
	dir := t.TempDir()
	if err := errors.Join(r.WriteText(&b), r.Save(dir)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"mutants.xml", "mutants.json"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n" + string(data))
	}
	b.WriteByte('\n')
	const name = "testdata/report.txt"
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
	if err := (&Report{}).Err(); exit.Code(err) != exit.CheckFailed {
		t.Errorf("a run of nothing is not good, found %v", err)
	}
}

// full is a file on a disk without space, and counts what was tried.
type full struct{ tried int }

var errFull = errors.New("no space left")

func (f *full) Write([]byte) (int, error) {
	f.tried++
	return 0, errFull
}

func TestWriteTextStops(t *testing.T) {
	r := Report{Results: []Result{{Mutant: &Mutant{Name: "a"}, Fate: Killed}}}
	var f full
	if err := r.WriteText(&f); err != errFull || f.tried != 1 {
		t.Errorf("expected one try and %q, found %d and %q", errFull, f.tried, err)
	}
}

func names(mutants []*Mutant) []string {
	var names []string
	for _, m := range mutants {
		names = append(names, m.Name)
	}
	return names
}
