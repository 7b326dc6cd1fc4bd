// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/series"
	"vcpulab/tools/verify"
)

// good is a mutant's file.
const good = `# SPDX-License-Identifier: GPL-2.0-only

patch = "a/KVM: Hold vCPUs"
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

const patchLine = "patch = \"a/KVM: Hold vCPUs\"\n"

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
	if !strings.HasPrefix(string(m.diff), "diff --git a/virt") {
		t.Errorf("expected the diff, found %q", m.diff)
	}
	for set, dir := range map[string]string{"": "patches/", "walks": "patches/walks/"} {
		ofSeries := strings.ReplaceAll(strings.Replace(good, patchLine, "", 1), "virt/kvm/kvm_main.c", dir+"0001-a.patch")
		if m, err = Parse("x.patch", []byte(ofSeries)); err != nil || !m.OfSeries || m.Set != set {
			t.Errorf("expected one of the files of set %q, found %+v, %v", set, m, err)
		}
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
	ofSet := strings.NewReplacer(patchLine, "", "virt/kvm/kvm_main.c", "patches/b/0001-a.patch")
	more := "diff --git a/patches/0001-a.patch b/patches/0001-a.patch\n--- a/patches/0001-a.patch\n+++ b/patches/0001-a.patch\n@@ -1,1 +1,1 @@\n-a\n+b\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", `expected a line "---" between head and diff`},
		"no separator": {with("\n---\ndiff", "\ndiff"), `expected a line "---"`},
		"no toml":      {with("fault =", "fault"), "the head: "},
		"unknown":      {with("missed =", "why ="), "unknown key"},
		"no fault":     {with(`"The second vCPU is forgotten."`, `" "`), `the head has no "fault"`},
		"no finds":     {with("finds = 'found \\d+ of'\n", ""), `finds: "" matches anything`},
		"two lines":    {with("vCPU is", `vCPU\nis`), "more than one line"},
		"no check":     {with("selftest default  vcpu_growth_test", "luck"), `"luck -n 8" names no check`},
		"no regexp":    {with(`found \d+`, `found (`), "finds: error parsing regexp"},
		"fits all":     {with(`found \d+ of`, `.*`), `finds: ".*" matches anything`},
		"no diff":      {good[:strings.Index(good, "diff --git")], "there is no git diff"},
		"corrupt":      {with("@@ -1,3 +1,3 @@", "@@ -1,9 +1,3 @@"), "line 15: the diff is damaged"},
		"both":         {good + more, "a mutant is of the tree or of one set below patches/"},
		"two sets":     {ofSet.Replace(good) + more, "a mutant is of the tree or of one set below patches/"},
		"no patch":     {with(patchLine, ""), `expected "patch" in the head of a mutant of the tree`},
		"two patches":  {strings.Replace(ofSet.Replace(good), "fault =", patchLine+"fault =", 1), `and of no other, found "a/KVM: Hold vCPUs"`},
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
		want.Name = strings.Join(strings.Fields(text), " ")
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
		if !strings.HasSuffix(string(text), string(m.diff)) || m.Fault == "" || m.Missed == "" || m.Finds.MatchString("") {
			t.Errorf("expected a whole mutant, found %+v", m)
		}
		if again, err := ParseKiller(m.KilledBy.String()); err != nil || again.String() != m.KilledBy.String() {
			t.Errorf("%q names another check than %q: %v", again, m.KilledBy, err)
		}
		if len(m.change.Patches) != 1 {
			t.Errorf("expected a patch, found %d", len(m.change.Patches))
		}
	})
}

// own returns the project's own sets, and its mutants, those of rivals included.
func own(t *testing.T) (*series.Series, []*Mutant) {
	t.Helper()
	sets, err := series.LoadSets("../../patches")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sets.Load("")
	if err != nil {
		t.Fatal(err)
	}
	of := []*series.Series{s}
	for _, rival := range sets.Rivals {
		r, err := sets.Load(rival.Name)
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, r)
	}
	all, err := Load("../../ci/mutants", of...)
	if err != nil {
		t.Fatal(err)
	}
	for _, rival := range sets.Rivals {
		n := 0
		for _, m := range all {
			if m.Set == rival.Name {
				n++
			}
		}
		if n < 3 {
			t.Errorf("%s: expected at least 3 mutants of a rival, found %d", rival.Name, n)
		}
	}
	reverts, err := LoadReverts("../../ci/reverts.toml", s)
	if err != nil {
		t.Fatal(err)
	}
	return s, append(all, reverts...)
}

// TestProjectsOwn holds the project's own mutants to what they are for.
func TestProjectsOwn(t *testing.T) {
	s, all := own(t)
	const least = 100
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
	// A test that was weakened would no longer kill what it is listed for.
	killers := Tests(all)
	for _, p := range s.Patches {
		for _, f := range p.Files {
			if name, ok := kbuild.SelftestName(f.NewPath()); ok && f.OldPath() == "" && !slices.Contains(killers, name) {
				t.Errorf("%s adds %s, which kills no mutant", p.Name, name)
			}
		}
	}
}

// TestLoadReverts: each patch that was written by hand is listed once.
func TestLoadReverts(t *testing.T) {
	r := newLab(t)
	s, err := series.LoadStack(r.Patches, "")
	if err != nil {
		t.Fatal(err)
	}
	const (
		first  = "[[revert]]\npatch = \"KVM: Do what can fail before publishing a vCPU\"\nkilled-by = \"apply\"\nfinds = 'needs it'\n"
		second = "[[revert]]\npatch = \"KVM: Try the index first when looking up a vCPU by ID\"\nunnoticed = \"It is as good without.\"\n"
	)
	for name, c := range map[string]struct {
		list, want string
		code       int
	}{
		"good":     {first + second, "", exit.Good},
		"missing":  {first, `it is not listed which check notices that "KVM: Try the index`, exit.CheckFailed},
		"twice":    {first + second + second, "is listed twice", exit.CheckFailed},
		"no check": {first + strings.Replace(second, "unnoticed", "finds", 1), "names no check", exit.Usage},
		"unknown":  {first + second + strings.Replace(second, "Try", "Cry", 1), "is no patch that was written by hand", exit.CheckFailed},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "reverts.toml")
			if err := os.WriteFile(file, []byte(c.list), 0o644); err != nil {
				t.Fatal(err)
			}
			reverts, err := LoadReverts(file, s)
			if exit.Code(err) != c.code || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("expected %q and exit code %d, found %v", c.want, c.code, err)
			}
			if err != nil {
				return
			}
			report, err := r.Run(t.Context(), reverts)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(report.Results[0].Name, report.Results[0].Fate, report.Results[1].Name, report.Results[1].Fate)
			// Nothing needs the first one: the list and what happens differ.
			if want := fmt.Sprint("without-0001", Survived, "without-0002", Unnoticed); got != want || exit.Code(report.Err()) != exit.CheckFailed {
				t.Errorf("expected %s, found %s, %v: %v", want, got, report.Err(), report.Results)
			}
		})
	}
}

func columnNamed(name string) func(kbuild.ObjectSpec) bool {
	return func(c kbuild.ObjectSpec) bool { return c.Name == name }
}
