// SPDX-License-Identifier: GPL-2.0-only

package ebpf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// A recipe is how files are made from others of their package.
type recipe struct {
	line  string // of the package's doc.go: the command, its arguments, and what comes after it
	needs []string
	files []string
	// script is what is run for a match of line, in the package's folder, so
	// that the files are made in dir.
	script func(m [][]byte, dir string) string
}

var (
	programs = recipe{
		line:  `(?m)^//go:generate go tool bpf2go (.*)\n//go:generate (sed .*)$`,
		needs: []string{"clang-19", "llvm-strip-19"}, files: []string{"bpf_bpfel.go", "bpf_bpfel.o"},
		script: func(m [][]byte, dir string) string {
			return "go tool bpf2go -output-dir " + dir + " " + string(m[1]) + " && cd " + dir + " && " + string(m[2])
		},
	}
	payload = recipe{
		line:  `(?m)^//go:generate (gcc .*)\n//go:generate (objcopy .*)$`,
		needs: []string{"gcc", "objcopy"}, files: []string{"payload.bin"},
		script: func(m [][]byte, dir string) string {
			return "cp payload.S " + dir + " && cd " + dir + " && " + string(m[1]) + " && " + string(m[2])
		},
	}
)

// TestGenerated makes the generated files again, by the lines of each package's
// doc.go, and compares them with what is committed.
func TestGenerated(t *testing.T) {
	for name, tt := range map[string]struct {
		pkg string
		recipe
	}{
		"programs of probe":  {"probe", programs},
		"programs of stalls": {"stalls", programs},
		"programs of paths":  {"paths", programs},
		"payload of stalls":  {"stalls", payload},
		"payload of paths":   {"paths", payload},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := os.ReadFile(filepath.Join(tt.pkg, "doc.go"))
			if err != nil {
				t.Fatal(err)
			}
			m := regexp.MustCompile(tt.line).FindSubmatch(doc)
			if m == nil {
				t.Fatalf("doc.go: expected lines that match %s, found none", tt.line)
			}
			for _, program := range tt.needs {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("NOT RUN: there is no %s to make the files again; make test installs it", program)
				}
			}
			dir := t.TempDir()
			cmd := exec.Command("sh", "-c", tt.script(m, dir))
			cmd.Dir = tt.pkg
			cmd.Env = append(os.Environ(), "GOPACKAGE="+tt.pkg)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", cmd, err, out)
			}
			for _, name := range tt.files {
				want, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join(tt.pkg, name))
				if err != nil {
					t.Errorf("%v; run make generate", err)
				} else if !bytes.Equal(got, want) {
					t.Errorf("%s/%s is not what is made of its source: run make generate", tt.pkg, name)
				}
			}
		})
	}
}

// TestAllGenerated: no package of programs is left out above.
func TestAllGenerated(t *testing.T) {
	objects, err := filepath.Glob("*/*_bpfel.o")
	if err != nil || len(objects) != 3 {
		t.Errorf("expected the objects of probe, stalls and paths, found %q, error %v", objects, err)
	}
}
