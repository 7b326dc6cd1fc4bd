// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGenerated compiles the programs again and compares the result with what
// is committed.
func TestGenerated(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^//go:generate go tool bpf2go (.*)\n//go:generate (sed .*)$`).FindSubmatch(doc)
	if m == nil {
		t.Fatal("doc.go: expected lines //go:generate with go tool bpf2go and sed, found none")
	}
	for _, program := range regexp.MustCompile(`-(?:cc|strip) (\S+)`).FindAllSubmatch(m[1], -1) {
		if _, err := exec.LookPath(string(program[1])); err != nil {
			t.Skipf("NOT RUN: there is no %s to compile the programs again; make test installs it", program[1])
		}
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "go tool bpf2go -output-dir "+dir+" "+string(m[1])+" && cd "+dir+" && "+string(m[2]))
	cmd.Env = append(os.Environ(), "GOPACKAGE=probe")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bpf2go: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != 2 {
		t.Errorf("expected an object and a Go file, found %q", made)
	}
	for _, name := range made {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Base(name))
		if err != nil {
			t.Errorf("%v; run make generate", err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what bpf2go makes of probe.bpf.c: run make generate", filepath.Base(name))
			if strings.HasSuffix(name, ".go") {
				diff, _ := exec.Command("diff", "-u", filepath.Base(name), name).Output()
				t.Logf("%s", diff)
			}
		}
	}
}
