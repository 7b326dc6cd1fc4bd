// SPDX-License-Identifier: GPL-2.0-only

package paths

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGenerated makes the generated files again, by the lines of doc.go, and
// compares them with what is committed.
func TestGenerated(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		line  string // what makes the files
		needs []string
		files []string
	}{
		"programs": {`(?m)^//go:generate (go tool bpf2go) (.*)\n//go:generate (sed .*)$`, []string{"clang-19", "llvm-strip-19"}, []string{"bpf_bpfel.go", "bpf_bpfel.o"}},
		"payload":  {`(?m)^//go:generate (gcc) (.*)\n//go:generate (objcopy .*)$`, []string{"gcc", "objcopy"}, []string{"payload.bin"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := regexp.MustCompile(tt.line).FindSubmatch(doc)
			if m == nil {
				t.Fatalf("doc.go: expected a line that matches %s, found none", tt.line)
			}
			for _, program := range tt.needs {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("NOT RUN: there is no %s to make the files again; make test installs it", program)
				}
			}
			dir := t.TempDir()
			script := string(m[1]) + " -output-dir " + dir + " " + string(m[2]) + " && cd " + dir + " && " + string(m[3])
			if name == "payload" {
				script = "cp payload.S " + dir + " && cd " + dir + " && " + string(m[1]) + " " + string(m[2]) + " && " + string(m[3])
			}
			cmd := exec.Command("sh", "-c", script)
			cmd.Env = append(os.Environ(), "GOPACKAGE=paths")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", script, err, out)
			}
			for _, name := range tt.files {
				want, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(name)
				if err != nil {
					t.Errorf("%v; run make generate", err)
				} else if !bytes.Equal(got, want) {
					t.Errorf("%s is not what is made of its source: run make generate", name)
				}
			}
		})
	}
}
