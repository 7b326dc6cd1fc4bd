// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

func TestInstalledCompiler(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"gcc", "gcc-12", "clang-19", "clang"} {
		if err := os.WriteFile(filepath.Join(bin, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	for name, tt := range map[string]struct {
		config string
		want   []string
	}{
		"debian":        {"CONFIG_CC_IS_GCC=y\nCONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"", []string{"CC=gcc-12"}},
		"own":           {"CONFIG_CC_VERSION_TEXT=gcc (Debian 12.2.0-14) 12.2.0", nil},
		"another":       {"CONFIG_CC_VERSION_TEXT=\"gcc-99 (GCC) 99\"", nil},
		"old":           {"CONFIG_CC_IS_GCC=y", nil},
		"odd":           {"CONFIG_CC_VERSION_TEXT=\"gcc;12 (GCC) 12\"", nil},
		"clang":         {"CONFIG_CC_IS_CLANG=y\nCONFIG_CC_VERSION_TEXT=\"Debian clang version 19.1.4 (1)\"", []string{"LLVM=-19"}},
		"another clang": {"CONFIG_CC_IS_CLANG=y\nCONFIG_CC_VERSION_TEXT=\"clang version 21.0.0\"", []string{"LLVM=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "include", "config"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "include", "config", "auto.conf"), []byte(tt.config+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := installedConfig(dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, installedCompiler(c)); d != "" {
				t.Error(d)
			}
		})
	}
}

// installed makes what a distribution installs of the pinned kernel for those
// that build modules: all but vmlinux. It returns the kernel's types, too, as
// /sys has them.
func installed(t *testing.T) Installed {
	t.Helper()
	tree, image := os.Getenv("VCPULAB_TEST_TREE"), os.Getenv("VCPULAB_TEST_KERNEL")
	if tree == "" || image == "" {
		t.Skip("NOT RUN: VCPULAB_TEST_TREE and VCPULAB_TEST_KERNEL are not set: there is no kernel to build against; make test sets them")
	}
	build, dir := filepath.Join(filepath.Dir(image), dirBuild), t.TempDir()
	entries, err := os.ReadDir(build)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == fileVmlinux {
			continue
		}
		if err := os.Symlink(filepath.Join(build, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	makefile := fmt.Sprintf("export KBUILD_OUTPUT = %s\ninclude %s/Makefile\n", dir, tree)
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(filepath.Join(build, fileVmlinux))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.Section(sectionBTF).Data()
	if err != nil {
		t.Fatal(err)
	}
	types := filepath.Join(t.TempDir(), "vmlinux")
	if err := os.WriteFile(types, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return Installed{Release: "7.3.4", Dir: dir, BTF: types}
}

// TestBuildInstalled builds against a kernel that somebody else installed,
// without its vmlinux: the module has types all the same.
func TestBuildInstalled(t *testing.T) {
	k := installed(t)
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &Builder{Cache: c}
	src := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("Kbuild", "obj-m := one.o\n")
	write("one.c", "#include <linux/module.h>\nint one(void);\nnoinline int one(void)\n{\n\treturn 1;\n}\nMODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"One\");\n")
	ko, err := b.BuildInstalled(t.Context(), k, src, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if has, err := HasBTF(ko); err != nil || !has {
		t.Errorf("expected a module with types, found none: %v", err)
	}
	entries, err := os.ReadDir(src)
	if err != nil || len(entries) != 2 {
		t.Errorf("expected the source to be as it was, found %v, %v", entries, err)
	}

	k.BTF = filepath.Join(src, "none")
	if _, err := b.BuildInstalled(t.Context(), k, src, t.TempDir()); exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), "without which no probe attaches") {
		t.Errorf("no types of the kernel: %v", err)
	}
	write("one.c", "#include <linux/module.h>\nint one = \"one\" * 2;\n")
	if _, err := b.BuildInstalled(t.Context(), k, src, t.TempDir()); exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), filepath.Join(src, "one.c")+":2:") {
		t.Errorf("a source that does not compile: %v", err)
	}
	k.Dir = t.TempDir()
	if _, err := b.BuildInstalled(t.Context(), k, src, t.TempDir()); exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), "not built or prepared there") {
		t.Errorf("a folder without a kernel: %v", err)
	}
}
