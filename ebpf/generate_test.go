// SPDX-License-Identifier: GPL-2.0-only

package ebpf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGenerated runs the go:generate lines of each package in a copy of it, and
// compares the generated files with what is committed.
func TestGenerated(t *testing.T) {
	for pkg, tt := range map[string]struct {
		needs []string
		files []string
	}{
		"probe":   {[]string{"clang-19", "llvm-strip-19"}, []string{"bpf_bpfel.go", "bpf_bpfel.o"}},
		"payload": {[]string{"gcc", "objcopy"}, []string{"payload.bin"}},
	} {
		t.Run(pkg, func(t *testing.T) {
			for _, program := range tt.needs {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("NOT RUN: no %s to make the files again; make test installs it", program)
				}
			}
			source, err := os.ReadFile(filepath.Join(pkg, pkg+".go"))
			if err != nil {
				t.Fatal(err)
			}
			lines := regexp.MustCompile(`(?m)^//go:generate (.*)$`).FindAllStringSubmatch(string(source), -1)
			if len(lines) == 0 {
				t.Fatalf("%s.go: expected go:generate lines, found none", pkg)
			}

			// The copy is in the module, where bpf2go finds its dependencies.
			dir, err := os.MkdirTemp(".", "_generated")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.CopyFS(dir, os.DirFS(pkg)); err != nil {
				t.Fatal(err)
			}
			for _, name := range tt.files {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			for _, line := range lines {
				cmd := exec.Command("sh", "-c", line[1])
				cmd.Dir = dir
				cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PWD=") }), "GOPACKAGE="+pkg)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", line[1], err, out)
				}
			}

			for _, name := range tt.files {
				want, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join(pkg, name))
				if err != nil {
					t.Errorf("%v; run make generate", err)
				} else if !bytes.Equal(got, want) {
					t.Errorf("%s/%s differs from what its source makes: run make generate", pkg, name)
				}
			}
		})
	}
}
