// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

func TestReadModule(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"Kbuild", "m.c", "m.h", "sub/s.S", "m.o", "m.mod.c", ".m.o.cmd", "loops.go", "README"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := readModule(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	if d := cmp.Diff([]string{"Kbuild", "m.c", "m.h", "sub/s.S"}, names); d != "" {
		t.Error(d)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := txtar.Write(&m.Archive, copied); err != nil {
		t.Fatal(err)
	}
	want := files{"Kbuild": "Kbuild", "m.c": "m.c", "m.h": "m.h", "sub/s.S": "sub/s.S"}
	if d := cmp.Diff(want, readTree(t, copied)); d != "" {
		t.Error(d)
	}

	if _, err := readModule(t.TempDir()); err == nil {
		t.Error("a directory without sources was accepted")
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &Builder{Cache: c}
	if _, err := b.BuildModule(t.Context(), &Kernel{}, filepath.Join(dir, "none")); exit.Code(err) != exit.Usage {
		t.Errorf("a missing directory: %v", err)
	}
}

// TestRelate names files as the user knows them, not as they were copied.
func TestRelate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.c"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := readModule(dir)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"/work/m.c":                "m.c",
		"m.c":                      "m.c",
		"include/linux/kvm_host.h": "",
		"":                         "",
	}
	for file, want := range tests {
		err := m.relate(&Error{Fault: Fault{File: file}, Command: "make M=/work modules"}, "/work")
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if want == "" {
			want = file
		} else {
			want = filepath.Join(dir, want)
		}
		if e.Fault.File != want || e.Command != "make M="+dir+" modules" {
			t.Errorf("%q became %q, %q", file, e.Fault.File, e.Command)
		}
	}
}

// TestCacheWithSpace uses a directory in which make cannot work.
func TestCacheWithSpace(t *testing.T) {
	c, err := cache.Open(filepath.Join(t.TempDir(), "a b"))
	if err != nil {
		t.Fatal(err)
	}
	b := &Builder{Cache: c}
	g := newTestTrees(t)
	source := t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "Kbuild"), []byte("obj-m := x.o\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"kernel": func() error {
			_, err := b.Build(t.Context(), "base", g.trees["base"], Spec{Arch: arch.X86_64()})
			return err
		},
		"module": func() error {
			_, err := b.BuildModule(t.Context(), &Kernel{}, source)
			return err
		},
		"selftests": func() error {
			_, err := b.BuildSelftests(t.Context(), g.trees["base"], Spec{Arch: arch.X86_64()}, nil)
			return err
		},
	} {
		if err := call(); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), cache.EnvDir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

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

// installed makes what a distribution installs of the pinned kernel for building
// modules: everything except vmlinux. It returns the kernel's types, too, as
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

// TestBuildInstalled builds against an installed kernel without its vmlinux: the
// module has types even so.
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
		t.Errorf("expected the source to be unchanged, found %v, %v", entries, err)
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
		t.Errorf("a directory without a kernel: %v", err)
	}
}
