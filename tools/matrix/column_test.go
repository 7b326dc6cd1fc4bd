// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLike: a column that is like another one says only what is different.
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
