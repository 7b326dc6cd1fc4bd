// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/matrix"
	"vcpulab/tools/verify"
)

// good is a mutant's file.
const good = `# SPDX-License-Identifier: GPL-2.0-only

fault = "The second vCPU is forgotten."
missed = """
It is one
of many."""
killed-by = "selftest default  vcpu_growth_test -n 8"
finds = 'found \d+ of'
---
diff --git a/virt/kvm/kvm_main.c b/virt/kvm/kvm_main.c
--- a/virt/kvm/kvm_main.c
+++ b/virt/kvm/kvm_main.c
@@ -1,3 +1,3 @@
 a
-b
+c
 d
`

func TestParse(t *testing.T) {
	m, err := Parse("ci/mutants/a-b.patch", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{m.Name, m.Fault, m.Missed, m.KilledBy.String(), m.Finds.String()}
	want := []string{"a-b", "The second vCPU is forgotten.", "It is one of many.", "selftest default vcpu_growth_test -n 8", `found \d+ of`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m.OfSeries || !m.Fast() || m.Slow {
		t.Errorf("expected a fast one of the tree, found %+v", m)
	}
	if !strings.HasPrefix(string(m.diff()), "diff --git a/virt") {
		t.Errorf("expected the diff, found %q", m.diff())
	}
	ofSeries := strings.ReplaceAll(good, "virt/kvm/kvm_main.c", "patches/0001-a.patch")
	if m, err = Parse("x.patch", []byte(ofSeries)); err != nil || !m.OfSeries {
		t.Errorf("expected one of the series' files, found %+v, %v", m, err)
	}
	slow := strings.Replace(good, "\n---\n", "\nslow = true\n---\n", 1)
	if m, err = Parse("x.patch", []byte(slow)); err != nil || m.Fast() {
		t.Errorf("expected one that is not fast, found %+v, %v", m, err)
	}
}

func TestParseBad(t *testing.T) {
	with := func(old, now string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the mutant", old)
		}
		return strings.Replace(good, old, now, 1)
	}
	more := "diff --git a/patches/0001-a.patch b/patches/0001-a.patch\n--- a/patches/0001-a.patch\n+++ b/patches/0001-a.patch\n@@ -1,1 +1,1 @@\n-a\n+b\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", `expected a line "---" between head and diff`},
		"no separator": {with("\n---\ndiff", "\ndiff"), `expected a line "---"`},
		"no toml":      {with("fault =", "fault"), "the head: "},
		"unknown":      {with("missed =", "why ="), "unknown key"},
		"no fault":     {with(`"The second vCPU is forgotten."`, `" "`), `the head has no "fault"`},
		"no finds":     {with("finds = 'found \\d+ of'\n", ""), `the head has no "finds"`},
		"two lines":    {with("vCPU is", `vCPU\nis`), "more than one line"},
		"no check":     {with("selftest default  vcpu_growth_test", "luck"), `"luck -n 8" names no check`},
		"no regexp":    {with(`found \d+`, `found (`), "finds: error parsing regexp"},
		"fits all":     {with(`found \d+ of`, `.*`), `finds: ".*" matches anything`},
		"no diff":      {good[:strings.Index(good, "diff --git")], "there is no git diff"},
		"corrupt":      {with("@@ -1,3 +1,3 @@", "@@ -1,9 +1,3 @@"), "line 14: the diff is damaged"},
		"both":         {good + more, "a mutant is of the tree or of patches/, not of both"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("ci/mutants/x.patch", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || exit.Code(err) != exit.Usage {
				t.Errorf("expected %q and exit code %d, found %v", c.want, exit.Usage, err)
			}
			if err != nil && !strings.Contains(err.Error(), "ci/mutants/x.patch: ") {
				t.Errorf("expected the file's name, found %v", err)
			}
		})
	}
}

func TestParseKiller(t *testing.T) {
	for text, want := range map[string]Killer{
		"apply":                   {Kind: Apply},
		"verify  mails":           {Kind: Verify, Check: "mails"},
		"matrix s390x":            {Kind: Matrix, Column: "s390x"},
		"matrix ppc64le each":     {Kind: Matrix, Column: "ppc64le", Each: true},
		"selftest debug x86/a -n": {Kind: Selftest, Config: "debug", Test: "x86/a", Args: []string{"-n"}},
		"selftest default a":      {Kind: Selftest, Config: "default", Test: "a", Args: []string{}},
	} {
		got, err := ParseKiller(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if again, err := ParseKiller(got.String()); err != nil || !cmp.Equal(got, again) {
			t.Errorf("%s: %q comes back as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", " ", "apply all", "verify", "verify a b", "matrix", "matrix a b", "matrix a each b", "selftest", "selftest default", "boot"} {
		if k, err := ParseKiller(text); err == nil {
			t.Errorf("%q: expected an error, found %+v", text, k)
		}
	}
	for text, fast := range map[string]bool{"verify mails": true, "matrix s390x": true, "selftest default a": true, "selftest debug a": false, "selftest kcsan a": false} {
		if k, _ := ParseKiller(text); k.Fast() != fast {
			t.Errorf("%s: expected fast to be %v", text, fast)
		}
	}
}

// FuzzParse looks for heads and diffs that are taken for another mutant than
// they say.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("---\n---\n"))
	f.Add([]byte("fault = 1\n---\n"))
	files, err := filepath.Glob("../../ci/mutants/*" + Ext)
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 8<<10 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse("x.patch", text)
		if err != nil {
			if exit.Code(err) != exit.Usage {
				t.Errorf("expected exit code %d: %v", exit.Usage, err)
			}
			return
		}
		if !strings.HasSuffix(string(text), string(m.diff())) || m.Fault == "" || m.Missed == "" || m.Finds.MatchString("") {
			t.Errorf("expected a whole mutant, found %+v", m)
		}
		if again, err := ParseKiller(m.KilledBy.String()); err != nil || again.String() != m.KilledBy.String() {
			t.Errorf("%q names another check than %q: %v", again, m.KilledBy, err)
		}
		mail, err := m.patch()
		if err != nil || len(mail.Patches) != 1 {
			t.Errorf("expected a patch, found %v", err)
		}
	})
}

// TestProjectsOwn holds the project's own mutants to what they are for.
func TestProjectsOwn(t *testing.T) {
	all, err := Load("../../ci/mutants")
	if err != nil {
		t.Fatal(err)
	}
	const least = 20
	if len(all) < least {
		t.Errorf("expected %d mutants at least, found %d", least, len(all))
	}
	columns, err := matrix.Load("../../ci/matrix")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		switch k := m.KilledBy; k.Kind {
		case Verify:
			if _, err := verify.Choose(k.Check); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		case Matrix:
			if !slices.ContainsFunc(columns, columnNamed(k.Column)) {
				t.Errorf("%s: there is no column %s", m.Name, k.Column)
			}
		}
		if !strings.HasSuffix(m.Fault, ".") {
			t.Errorf("%s: the fault is no sentence: %q", m.Name, m.Fault)
		}
	}
}

// TestChanges checks that results do not depend on the messages of patches, but
// on what they do.
func TestChanges(t *testing.T) {
	const mail = "From 0 Mon Sep 17\nSubject: [PATCH 1/1] %\n\nWhy.\n---\n a.c | 2 +-\n\ndiff --git a/a.c b/a.c\n--- a/a.c\n"
	for name, tt := range map[string]struct{ one, other string }{
		"subject":      {strings.Replace(mail, "%", "a", 1), strings.Replace(mail, "%", "b", 1)},
		"cover letter": {"From 0 Mon Sep 17\n\nOne\n", "From 0 Mon Sep 17\n\nOther\n"},
	} {
		if a, b := string(changes([]byte(tt.one))), string(changes([]byte(tt.other))); a != b {
			t.Errorf("%s: expected no difference, found %q and %q", name, a, b)
		}
	}
	for name, tt := range map[string]struct{ one, other string }{
		"path":  {mail, strings.Replace(mail, "--- a/a.c", "--- a/b.c", 1)},
		"patch": {mail, strings.Replace(mail, "diff --git a/a.c b/a.c", "diff --git a/b.c b/a.c", 1)},
		"rule":  {"@@\n@@\n- a\n", "@@\n@@\n- b\n"},
	} {
		if a, b := string(changes([]byte(tt.one))), string(changes([]byte(tt.other))); a == b {
			t.Errorf("%s: expected a difference, found %q twice", name, a)
		}
	}
}
