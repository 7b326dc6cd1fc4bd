// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
)

func TestCheck(t *testing.T) {
	edit := func(p *Patch, old, new string) *Patch {
		mails, err := parsePatches(p.Name, []byte(strings.ReplaceAll(string(p.Mail), old, new)))
		if err != nil {
			t.Fatal(err)
		}
		mails[0].Number = p.Number
		return mails[0]
	}
	tests := map[string]struct {
		mail     int // 0 is the cover letter
		old, new string
		want     []string // checks that find something
	}{
		"good":                 {1, "", "", nil},
		"another author":       {1, "From: vcpulab", "From: a", []string{"author"}},
		"not signed off":       {1, "Signed-off-by: vcpulab <series@vcpulab.invalid>\n", "", []string{"Signed-off-by"}},
		"signed off by others": {1, "Signed-off-by: vcpulab", "Signed-off-by: a", []string{"Signed-off-by"}},
		"short Fixes":          {1, "3c3c29fd0d7c (", "3c3c29f (", []string{"Fixes"}},
		"Fixes without title":  {1, ` ("kvm-vfio: do not use module_init")`, "", []string{"Fixes"}},
		"full stop":            {1, "that start it\n", "that start it.\n", []string{"subject", "cover letter"}},
		"small letter":         {1, "vfio: Rename", "vfio: rename", []string{"subject", "cover letter"}},
		"no scope":             {1, "KVM: vfio: Rename", "Rename", []string{"subject"}},
		"long subject":         {1, "that start it\n", "that start it and go on for longer than anyone reads\n a subject\n", []string{"subject", "cover letter"}},
		"no index line":        {1, "index e130a4a..634cd27 100644\n", "", []string{"index line"}},
		"no reason":            {1, "They do more than to initialize.\n\nFixes: 3c3c29fd0d7c (\"kvm-vfio: do not use module_init\")\n", "", []string{"message"}},
		"text after the patch": {1, "\n-- \n2.39.5\n", "\nand so on\n-- \n2.39.5\n", []string{"tail"}},
		"cover not filled in":  {0, "Three things", "*** BLURB HERE ***", []string{"cover letter"}},
		"cover by others":      {0, "From: vcpulab", "From: a", []string{"author"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := loadTest(t)
			if test.old != "" {
				if test.mail == 0 {
					s.Cover = edit(s.Cover, test.old, test.new)
				} else {
					s.Patches[test.mail-1] = edit(s.Patches[test.mail-1], test.old, test.new)
				}
			}
			got := make(map[string]bool)
			for _, f := range s.Check(Placeholder()) {
				got[f.Check] = true
				t.Log(f)
			}
			want := make(map[string]bool)
			for _, w := range test.want {
				want[w] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	s := loadTest(t)
	s.Cover = nil
	if f := s.Check(Placeholder()); len(f) != 1 || f[0] != (Objection{Check: "cover letter", Message: "there is none"}) {
		t.Errorf("without a cover letter: %v", f)
	}

	// What is wrong in the project's own is the signature of others.
	s = loadTest(t)
	s.Patches[0] = edit(s.Patches[0], "\n-- \n2.39.5\n", "\n-- \nA, Inc.\n\n_____\nhttps://lists.example.org\n")
	s.Patches[1] = edit(s.Patches[1], "\n-- \n2.39.5\n", "\nand so on\n-- \n2.39.5\n")
	tails := func(author Person) (patches []string) {
		for _, f := range s.Check(author) {
			if f.Check == "tail" {
				patches = append(patches, f.Patch)
			}
		}
		return patches
	}
	if diff := cmp.Diff([]string{s.Patches[0].Name, s.Patches[1].Name}, tails(Placeholder())); diff != "" {
		t.Errorf("patches with text after them, own (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{s.Patches[1].Name}, tails(Person{})); diff != "" {
		t.Errorf("patches with text after them, of others (-want +got):\n%s", diff)
	}
}

func TestParseCheckpatch(t *testing.T) {
	for _, name := range []string{"findings", "clean"} {
		r, err := parseCheckpatch(readFile(t, "testdata/checkpatch/"+name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		compareJSON(t, "testdata/checkpatch/"+name+".json", r)
		if (len(r.Findings) == 0) != (name == "clean") {
			t.Errorf("%s: %d findings", name, len(r.Findings))
		}
	}
}

// TestCheckpatchBrokenOff: output that ends early has not passed.
func TestCheckpatchBrokenOff(t *testing.T) {
	out := readFile(t, "testdata/checkpatch/findings.txt")
	tests := map[string]string{
		"nothing":                 "",
		"no closing line":         out[:strings.Index(out, "total:")],
		"in the middle":           out[:len(out)/3],
		"a finding less":          out[strings.Index(out, "\n\n")+2:],
		"closing line twice":      out + "\n" + out[strings.Index(out, "total:"):],
		"closing line of another": strings.Replace(out, "9 errors", "0 errors", 1),
	}
	for name, out := range tests {
		if r, err := parseCheckpatch(out); err == nil {
			t.Errorf("%s: passes: %+v", name, r)
		}
	}
}

// TestCheckpatch runs the real script.
func TestCheckpatch(t *testing.T) {
	base := pinned(t)
	for _, name := range []string{"findings", "clean"} {
		s, err := Load("testdata/checkpatch/" + name + ".patch")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Checkpatch(t.Context(), base.Dir, s.Patches[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := parseCheckpatch(readFile(t, "testdata/checkpatch/"+name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		want.Patch = name + ".patch"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-recorded +got):\n%s", name, diff)
		}
	}
}

func TestScriptFails(t *testing.T) {
	p := loadTest(t).Patches[0]
	if _, err := Checkpatch(t.Context(), t.TempDir(), p); err == nil || !strings.Contains(err.Error(), "is not a kernel tree") {
		t.Errorf("no tree: %v", err)
	}
	dir := userTree(t, files{checkpatchScript: "die \"no memory\\n\";\n"}).Dir
	if _, err := Checkpatch(t.Context(), dir, p); err == nil || !strings.Contains(err.Error(), "no memory") {
		t.Errorf("a script that dies: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Checkpatch(t.Context(), dir, p)
	if exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), "install the package perl") {
		t.Errorf("no perl: %v", err)
	}
	if errors.Is(err, nil) {
		t.Error("no error")
	}
}

func TestExplain(t *testing.T) {
	const reuse = "checkpatch: MACRO_ARG_REUSE: an iterator\n"
	finding := CheckpatchFinding{Level: "CHECK", Type: "MACRO_ARG_REUSE"}
	explained := finding
	explained.Reason = "an iterator"
	other := CheckpatchFinding{Level: "ERROR", Type: "SPACING"}
	stale := CheckpatchFinding{Level: "CHECK", Type: "MACRO_ARG_REUSE",
		Message: "the mail explains a finding that checkpatch does not have"}
	tests := map[string]struct {
		mail                      string
		findings, open, explained []CheckpatchFinding
	}{
		"none":              {"m\n---\ndiff --git a/f b/f\n", []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"explained":         {"m\n---\n" + reuse + "diff --git a/f b/f\n", []CheckpatchFinding{finding, other}, []CheckpatchFinding{other}, []CheckpatchFinding{explained}},
		"two of one type":   {"m\n---\n" + reuse, []CheckpatchFinding{finding, finding}, nil, []CheckpatchFinding{explained, explained}},
		"stale":             {"m\n---\n" + reuse, []CheckpatchFinding{other}, []CheckpatchFinding{other, stale}, nil},
		"in the message":    {reuse + "\n---\n", []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"in the patch":      {"m\n---\ndiff --git a/f b/f\n" + reuse, []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"without a reason":  {"m\n---\ncheckpatch: MACRO_ARG_REUSE: \n", []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"of all the others": {"m\n---\ncheckpatch: ALL: no\n", nil, []CheckpatchFinding{{Level: "CHECK", Type: "ALL", Message: stale.Message}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := CheckpatchResult{Findings: test.findings}
			r.explain(test.mail)
			if len(r.Findings) == 0 {
				r.Findings = nil
			}
			if diff := cmp.Diff(test.open, r.Findings); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.explained, r.Explained); diff != "" {
				t.Errorf("explained (-want +got):\n%s", diff)
			}
		})
	}
}
