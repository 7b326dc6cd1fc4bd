// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

// TestGuestProgram builds it for all architectures and checks that it is
// static, whatever the host has.
func TestGuestProgram(t *testing.T) {
	c := testCache(t)
	for _, a := range arch.Bootable() {
		t.Run(a.Name, func(t *testing.T) {
			file, err := GuestProgram(t.Context(), c, a, "")
			if err != nil {
				t.Fatal(err)
			}
			f, err := elf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64}[a.GoArch]
			if f.Machine != want {
				t.Errorf("expected a program for %v, found one for %v", want, f.Machine)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("it is not static: it has a %v segment", p.Type)
				}
			}
			before, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			again, err := GuestProgram(t.Context(), c, a, "")
			if err != nil || again != file {
				t.Fatalf("expected %s again, found %s and %v", file, again, err)
			}
			if after, err := os.Stat(again); err != nil || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("it was built again (%v)", err)
			}
		})
	}
}

// TestGuestImports holds the key of the cached program to what it is built
// from: all of this project that the guest imports lies below ebpf/.
func TestGuestImports(t *testing.T) {
	root, err := SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", guestPackage)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(name, moduleGo+"/") && !strings.HasPrefix(name, moduleGo+"/ebpf/") {
			t.Errorf("the guest imports %s, which its key in the cache does not cover", name)
		}
	}
}

func TestSourceHash(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hash := func() string {
		t.Helper()
		h, err := sourceHash(root)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	write("go.mod", "module vcpulab\n")
	write("go.sum", "")
	write("ebpf/guest/main.go", "package main\n")
	first := hash()
	write("ebpf/guest/main_test.go", "package main\n")
	write("tools/vm/vm.go", "package vm\n")
	if hash() != first {
		t.Error("what the guest is not built from makes a difference")
	}
	write("ebpf/probe/probe_bpfel.o", "\x7fELF")
	second := hash()
	if second == first {
		t.Error("an embedded object makes no difference")
	}
	write("go.sum", "x")
	if hash() == second {
		t.Error("go.sum makes no difference")
	}
}

// TestSourceRoot: the first of several places counts that has the source.
func TestSourceRoot(t *testing.T) {
	if _, err := SourceRoot(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, module := range map[string]string{"a": "vcpulab", "b": "vcpulab", "other": "example.com/vcpulab"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "below"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "go.mod"), []byte("module "+module+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a, b, other := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "other")
	for name, tc := range map[string]struct {
		places []string
		want   string
	}{
		"there":                 {[]string{a, b, other}, a},
		"above":                 {[]string{filepath.Join(b, "below"), a}, b},
		"the second":            {[]string{other, filepath.Join(b, "below"), a}, b},
		"where it was compiled": {[]string{other, dir, filepath.Join(a, "tools", "vm")}, a},
		"nowhere":               {[]string{other, dir, filepath.Join(dir, "gone", "tools", "vm")}, ""},
		"a relative path":       {[]string{other, "", "vcpulab/tools/vm", "."}, ""},
	} {
		got, err := rootAbove(tc.places...)
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("%s: expected %q, found %q and %v", name, tc.want, got, err)
		}
		if tc.want == "" && (exit.Code(err) != exit.MachineLacks || !errors.Is(err, ErrNoSource) || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), "VCPULAB_ROOT=DIR")) {
			t.Errorf("%s: expected an error that names the directory and what to type, found %v", name, err)
		}
	}
}

// TestBrokenSource expects the compiler's error and a command that repeats it,
// and nothing in the cache.
func TestBrokenSource(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module vcpulab\n\ngo 1.26\n", "go.sum": "", "ebpf/guest/main.go": "package main\n\nfunc main() { nonsense }\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = GuestProgram(t.Context(), c, arch.X86_64(), "")
	for _, want := range []string{"main.go:3", "nonsense", "to repeat it: cd " + root, "GOARCH=amd64"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error with %q, found %v", want, err)
		}
	}
	if exit.Code(err) != exit.BuildFailed {
		t.Errorf("expected exit code %d, found %d", exit.BuildFailed, exit.Code(err))
	}
	if keys, _ := c.Keys(guestKind); len(keys) != 0 {
		t.Errorf("the cache holds %v", keys)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := GuestProgram(ctx, c, arch.X86_64(), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
}

// TestGuestProgramElsewhere builds the program from the source that is named, in a
// directory outside any clone.
func TestGuestProgramElsewhere(t *testing.T) {
	root, err := SourceRoot()
	if err != nil {
		t.Fatal(err)
	}
	c := testCache(t)
	t.Chdir(t.TempDir())
	if _, err := GuestProgram(t.Context(), c, arch.X86_64(), root); err != nil {
		t.Errorf("expected the program of %s, found %v", root, err)
	}
	other := t.TempDir()
	_, err = GuestProgram(t.Context(), c, arch.X86_64(), other)
	if exit.Code(err) != exit.Usage || !errors.Is(err, ErrNoSource) || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), "--root") {
		t.Errorf("expected wrong use of --root, found %v", err)
	}
}
