// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLike reads columns that add to another one.
func TestLike(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		common:           "CONFIG_WERROR=n\n",
		"x86_64.config":  "# arch: x86_64\n# base: x86_64_defconfig\nCONFIG_KVM=y\n",
		"clang.config":   "# like: x86_64\n# compiler: clang-19\n# sparse: no, it stumbles\n",
		"i386.config":    "# like: x86_64\n# kbuild: i386\n# base: i386_defconfig\n",
		"another.config": "# arch: s390x\n# base: defconfig\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	columns, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	type column struct {
		arch, kbuild, base, compiler, sparse string
		fragments, groups                    []string
	}
	got := make(map[string]column)
	for _, c := range columns {
		of := column{arch: c.Arch.Name, kbuild: c.Arch.Make, base: c.Defconfig, compiler: c.Compiler, sparse: c.WithoutSparse, groups: Groups(c)}
		for _, f := range c.Fragments {
			of.fragments = append(of.fragments, filepath.Base(f))
		}
		got[c.Name] = of
	}
	want := map[string]column{
		"x86_64":  {"x86_64", "x86_64", "x86_64_defconfig", "", "", []string{common, "x86_64.config"}, []string{"build", "matrix"}},
		"clang":   {"x86_64", "x86_64", "x86_64_defconfig", "clang-19", "it stumbles", []string{common, "x86_64.config", "clang.config"}, []string{"build", "matrix", "clang"}},
		"i386":    {"x86_64", "i386", "i386_defconfig", "", "", []string{common, "x86_64.config", "i386.config"}, []string{"build", "matrix"}},
		"another": {"s390x", "s390", "defconfig", "", "", []string{common, "another.config"}, []string{"build", "matrix", "s390x"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(column{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithoutSparse(t *testing.T) {
	const head = "# arch: s390x\n# base: defconfig\n"
	tests := map[string]struct{ text, why string }{
		"with it":         {head, ""},
		"without, a why":  {head + "# sparse: no, it crashes\n", "it crashes"},
		"no reason given": {head + "# sparse: no\n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.config")
			if err := os.WriteFile(file, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			fields, err := readFields(file)
			if err != nil {
				t.Fatal(err)
			}
			if fields["sparse"] != test.why {
				t.Errorf("got %q, want %q", fields["sparse"], test.why)
			}
		})
	}
}

// TestTextWithoutSparse shows which columns sparse did not check.
func TestTextWithoutSparse(t *testing.T) {
	r := &Report{Columns: []string{"a", "b"}, WithoutSparse: map[string]string{"b": "it crashes"}}
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "b: without sparse: it crashes\n") || strings.Contains(out.String(), "a: without") {
		t.Errorf("got\n%s", &out)
	}
}
