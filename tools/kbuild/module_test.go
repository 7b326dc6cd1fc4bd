// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

func TestReadSources(t *testing.T) {
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
	sources, err := readSources(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.name)
	}
	if d := cmp.Diff([]string{"Kbuild", "m.c", "m.h", "sub/s.S"}, names); d != "" {
		t.Error(d)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := writeSources(copied, sources); err != nil {
		t.Fatal(err)
	}
	want := files{"Kbuild": "Kbuild", "m.c": "m.c", "m.h": "m.h", "sub/s.S": "sub/s.S"}
	if d := cmp.Diff(want, harvest(t, copied)); d != "" {
		t.Error(d)
	}

	if _, err := readSources(t.TempDir()); err == nil {
		t.Error("a folder without sources was taken")
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &Builder{Cache: c}
	if _, err := b.BuildModule(t.Context(), &Kernel{}, filepath.Join(dir, "none")); exit.Code(err) != exit.Usage {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestRelate names files as the user knows them, not as they were copied.
func TestRelate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m.c"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"/work/m.c":                "m.c",
		"m.c":                      "m.c",
		"include/linux/kvm_host.h": "",
		"":                         "",
	}
	for file, want := range tests {
		err := relate(&Error{Fault: Fault{File: file}, Command: "make M=/work modules"}, "/work", dir)
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

// TestCacheFolderWithSpace uses a folder in which make cannot work.
func TestCacheFolderWithSpace(t *testing.T) {
	c, err := cache.Open(filepath.Join(t.TempDir(), "a b"))
	if err != nil {
		t.Fatal(err)
	}
	b := &Builder{Cache: c}
	g := newGarden(t)
	for name, call := range map[string]func() error{
		"kernel": func() error { _, err := b.Build(t.Context(), "base", g.trees["base"], Spec{}); return err },
		"module": func() error { _, err := b.BuildModule(t.Context(), &Kernel{}, "."); return err },
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
