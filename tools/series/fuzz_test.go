// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// addFiles adds the content of files to the corpus.
func addFiles(f *testing.F, pattern string, add func(data []byte)) {
	f.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		f.Fatalf("%s: %v", pattern, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		add(data)
	}
}

func FuzzSplitMbox(f *testing.F) {
	addFiles(f, "testdata/apply/*.mbox", func(d []byte) { f.Add(d) })
	addFiles(f, "testdata/apply/*mail*.patch", func(d []byte) { f.Add(d) })
	f.Add([]byte("From a Mon Sep 17 00:00:00 2001\r\n\nFrom b 1:00:00 99\nFrom c 10:00:00 2001\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mails, err := splitMbox(data)
		if err != nil {
			return
		}
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		var all []byte
		for i, m := range mails {
			if len(m.data) == 0 {
				t.Fatalf("mail %d is empty", i+1)
			}
			if want := 1 + bytes.Count(data[:len(data)-len(bytes.TrimLeft(data, " \t\n\r\v\f"))+len(all)], []byte("\n")); m.line != want {
				t.Fatalf("mail %d is said to be at line %d, it is at %d", i+1, m.line, want)
			}
			all = append(all, m.data...)
		}
		if !bytes.Equal(all, bytes.TrimLeft(data, " \t\n\r\v\f")) {
			t.Fatalf("the mails are not the file: %q", all)
		}
	})
}

func FuzzParseMail(f *testing.F) {
	addFiles(f, "testdata/apply/*.patch", func(d []byte) { f.Add(d) })
	addFiles(f, "testdata/series/*/*.patch", func(d []byte) { f.Add(d) })
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMail(data)
		if err != nil {
			return
		}
		if len(m.diff) > len(data) || len(m.Message) > len(data)+1 {
			t.Fatalf("%d bytes of mail became %d of diff and %d of text", len(data), len(m.diff), len(m.Message))
		}
		mails, err := parsePatches("x.patch", data)
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			return
		}
		for _, p := range mails {
			lines := bytes.Count(data, []byte("\n")) + 1
			for _, d := range p.Files {
				if d.line > lines {
					t.Fatalf("line %d of %d", d.line, lines)
				}
			}
			(&Series{Patches: []*Patch{p}}).Check(placeholder)
		}
	})
}

// FuzzApply applies a random diff to a random file, strictly and with search.
// Whatever it is: no panic, typed errors, nothing outside of the tree is
// touched, and what was done can be undone.
func FuzzApply(f *testing.F) {
	addFiles(f, "testdata/apply/*.patch", func(d []byte) {
		src := []byte("line 16\nline 17\nline 18\nline 19\nline 20\nline 21\nline 22\nline 23\n")
		f.Add(src, d, false)
		f.Add(src, d, true)
	})
	addFiles(f, "testdata/apply/[n-z]*.src/f", func(src []byte) {
		f.Add(src, []byte("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -17,7 +17,7 @@ line 16\n line 17\n line 18\n line 19\n-line 20\n+LINE 20\n line 21\n line 22\n line 23\n"), true)
	})
	outer := f.TempDir()
	dir := filepath.Join(outer, "linux")
	for _, d := range []string{"d", "virt/kvm"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	for name, text := range map[string]string{"linux/d/g": "g\n", "linux/virt/kvm/vfio.h": "h\n", "outside": "o\n"} {
		if err := os.WriteFile(filepath.Join(outer, name), []byte(text), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink("..", filepath.Join(dir, "up")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src, patch []byte, relocate bool) {
		if len(src) > 1<<16 || len(patch) > 1<<16 {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), src, 0o644); err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(patch, []byte("diff --git")); i > 0 {
			patch = patch[i:]
		}
		files, tail, err := parseDiff(patch, 1)
		if err != nil || len(files) == 0 {
			return
		}
		p := &Patch{Number: 1, Name: "x.patch", Files: files, tail: tail}
		s := &Series{Patches: []*Patch{p}}
		img, report, err := s.inMemory(tree.Tree{Dir: dir}, Options{Relocate: relocate})
		if err != nil {
			var e *ApplyError
			if !errors.As(err, &e) || e.Err == nil || e.Reason == "" || e.Patch == "" {
				t.Fatalf("%T: %+v", err, err)
			}
			_ = err.Error()
			return
		}
		for name, n := range img.now {
			if checkPath(name) != nil {
				t.Fatalf("the path %q was taken", name)
			}
			if n != nil && n.Mode == tree.ModeSymlink && img.base[name] == nil && checkTarget(name, string(n.Data)) != nil {
				t.Fatalf("the link %q to %q was taken", name, n.Data)
			}
		}
		if err := report.WriteText(new(bytes.Buffer)); err != nil {
			t.Fatal(err)
		}
		undo(t, img, p, report)
		writeOut(t, outer, dir, img)
	})
}

// undo takes a patch back that was applied, and checks that the files are what
// they were.
func undo(t *testing.T, img *image, p *Patch, report *Report) {
	back, can := p.Reversed()
	if !can || report.Patches[0].Status != Applied || len(p.Files) > 1 || len(report.Shifts) > 0 {
		return
	}
	g := p.Files[0].git
	if g.OldMode != 0 && (g.NewMode == 0) != (g.IsDelete) || g.OldMode&0o777 != 0o644 || g.NewMode&0o777 != 0o644 {
		return // modes that are not the file's own are not undone
	}
	root, err := os.OpenRoot(img.root.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	a := &applier{image: &image{root: root, base: img.base, now: map[string]*File{}}, report: new(Report)}
	for name, n := range img.now {
		a.image.now[name] = n
	}
	if err := a.applyPatch(back); err != nil {
		return // a reversed hunk may lack what tells its place
	}
	for name, n := range a.image.now {
		if !n.same(img.base[name]) {
			t.Fatalf("%q was %+v, after the patch and back it is %+v", name, img.base[name], n)
		}
	}
}

// writeOut makes the patched tree and looks whether anything else changed.
func writeOut(t *testing.T, outer, dir string, img *image) {
	out := filepath.Join(outer, "out")
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	changed := img.changed()
	if err := img.write(out, changed); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	made := newImage(root)
	for _, name := range changed {
		n, err := made.load(name)
		if err != nil || !n.same(img.now[name]) {
			t.Fatalf("%q is not as it was made: %v", name, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(outer, "outside")); err != nil || string(got) != "o\n" {
		t.Fatalf("a file outside was changed: %q, %v", got, err)
	}
	if entries, err := os.ReadDir(outer); err != nil || len(entries) != 3 {
		t.Fatalf("something was made outside: %v, %v", entries, err)
	}
}

func FuzzParseCheckpatch(f *testing.F) {
	addFiles(f, "testdata/checkpatch/*.txt", func(d []byte) { f.Add(string(d)) })
	f.Fuzz(func(t *testing.T, out string) {
		r, err := parseCheckpatch(out)
		if err == nil && r.Errors+r.Warnings+r.Checks != len(r.Findings) {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzParseMaintainers(f *testing.F) {
	addFiles(f, "testdata/maintainers/*.txt", func(d []byte) {
		for line := range bytes.Lines(d) {
			f.Add(string(line))
		}
	})
	f.Fuzz(func(t *testing.T, out string) {
		list, err := parseMaintainers(out)
		if err != nil {
			return
		}
		for _, r := range list {
			if r.Address == "" || len(r.Roles) == 0 || bytes.ContainsAny([]byte(r.String()), "\n") {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// FuzzThread chooses a series among mails. Whatever they are: no panic, and what is
// chosen is one version, each number once, and nothing that is an answer.
func FuzzThread(f *testing.F) {
	addFiles(f, "testdata/apply/*.mbox", func(d []byte) { f.Add(d) })
	from := "From a@b Thu Jan  1 00:00:00 2026\nMessage-ID: <%s>\nIn-Reply-To: <1>\nSubject: %s\n\nx\n"
	f.Add(fmt.Appendf(fmt.Appendf(fmt.Appendf(nil, from, "1", "[PATCH 0/1] a"), from, "2", "Re: [PATCH 0/1] a"), from, "3", "[RFC PATCH v2 1/1] a"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mails, err := readThread(data)
		if err != nil {
			return
		}
		chosen, said, err := newest(mails)
		if err != nil {
			return
		}
		if len(chosen) == 0 || said == "" {
			t.Fatalf("%d mails chosen, %q said", len(chosen), said)
		}
		for i, m := range chosen {
			if m.answer || m.Version != chosen[0].Version || i > 0 && m.Number <= chosen[i-1].Number {
				t.Fatalf("mail %d: number %d after %d, version %d of %d, answer: %t", i, m.Number, chosen[max(i-1, 0)].Number, m.Version, chosen[0].Version, m.answer)
			}
		}
	})
}

// FuzzSets: a list of sets that cannot be used is wrong use.
func FuzzSets(f *testing.F) {
	text, err := os.ReadFile(filepath.Join(patchesDir, SetsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("[[set]]\nname = 'a'\nneeds = ['b']\n[[set]]\nname = 'b'\nneeds = ['a']\n"))
	parent := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := filepath.Join(parent, fmt.Sprint(os.Getpid()))
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, SetsFile), text, 0o644)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSets(dir); err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("%v", err)
		}
	})
}
