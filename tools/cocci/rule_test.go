// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
)

const good = `// SPDX-License-Identifier: GPL-2.0-only
//
// Generates: KVM: Do it: everywhere
// Paths: virt/kvm arch/*/kvm/*.c
// Places: \bold\(
// Options: --no-includes --timeout 10

@@ @@
- old();
// Paths: not a field any more
`

func TestParse(t *testing.T) {
	r, err := Parse("dir/do-it.cocci", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	type head struct {
		Name, File, Subject, Places string
		Paths, Options              []string
	}
	want := head{
		Name: "do-it.cocci", File: "dir/do-it.cocci", Subject: "KVM: Do it: everywhere", Places: `\bold\(`,
		Paths: []string{"virt/kvm", "arch/*/kvm/*.c"}, Options: []string{"--no-includes", "--timeout", "10"},
	}
	if diff := cmp.Diff(want, head{r.Name, r.File, r.Subject, r.Places.String(), r.Paths, r.Options}); diff != "" {
		t.Error(diff)
	}
}

func TestParseBad(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string // in good
		want     string
	}{
		"no subject":      {"// Generates: KVM: Do it: everywhere\n", "", `x.cocci: its leading comment has no line "// Generates: ..."`},
		"empty":           {"Places: \\bold\\(", "Places:", "x.cocci:5: Places is empty"},
		"twice":           {"// Options", "// Paths: a\n// Options", "x.cocci:6: duplicate Paths, see line 4"},
		"out of the tree": {"virt/kvm", "../kvm", `x.cocci:4: Paths: "../kvm" is not a path`},
		"absolute":        {"virt/kvm", "/kvm", `x.cocci:4: Paths: "/kvm" is not a path`},
		"bad pattern":     {"virt/kvm", "virt/[kvm", `x.cocci:4: Paths: "virt/[kvm": syntax error in pattern`},
		"bad regexp":      {`\bold\(`, `\bold(`, "x.cocci:5: Places: error parsing regexp"},
		"empty match":     {`\bold\(`, `(old)?`, `x.cocci:5: Places: "(old)?" also matches the empty string`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.cocci", []byte(strings.Replace(good, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected an error with %q, found %v", c.want, err)
			}
			if exit.Code(err) != exit.Usage {
				t.Errorf("expected exit code %d, found %d", exit.Usage, exit.Code(err))
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"b.cocci": good, "a.cocci": strings.Replace(good, "everywhere", "here", 1),
		".c.cocci": "hidden", "0001-x.patch": "no rule",
	})
	rules, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"a.cocci", "b.cocci"}, names); diff != "" {
		t.Error(diff)
	}
	write(t, dir, map[string]string{"c.cocci": good})
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "and so does b.cocci") {
		t.Errorf("two rules for one patch: expected an error, found %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expected %v, found %v", os.ErrNotExist, err)
	}
}

func TestPatch(t *testing.T) {
	r, err := Parse("x.cocci", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	other, its := &series.Patch{Subject: "KVM: Do it", Name: "1"}, &series.Patch{Subject: "KVM: Do it: everywhere", Name: "2"}
	if p, err := r.Patch(&series.Series{Patches: []*series.Patch{other, its}}); err != nil || p != its {
		t.Errorf("expected the second patch, found %v, %v", p, err)
	}
	if _, err := r.Patch(&series.Series{Patches: []*series.Patch{other}}); err == nil || !strings.Contains(err.Error(), "has that subject") {
		t.Errorf("no patch of that subject: %v", err)
	}
	if _, err := r.Patch(&series.Series{Patches: []*series.Patch{its, its}}); err == nil || !strings.Contains(err.Error(), "is both") {
		t.Errorf("two patches of the same subject: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("// Generates: \r\n// Paths: a/../b\n// Places: (?i)x"))
	if data, err := os.ReadFile("testdata/rename.cocci"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse("x.cocci", data)
		if err != nil {
			return
		}
		if r.Subject == "" || len(r.Paths) == 0 || r.Places == nil || strings.ContainsAny(r.Subject, "\n") {
			t.Errorf("taken without all that it needs: %+v", r)
		}
		places("x.c", data, r.Places)
	})
}

// write makes files in dir.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
