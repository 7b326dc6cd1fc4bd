// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentCommands runs the commands of the documents, in a copy of the
// repository, as a reader would.
func TestDocumentCommands(t *testing.T) {
	clone := cloneRoot(t)
	env := cloneEnv(t, clone)
	t.Chdir(clone)
	for _, c := range documentCommands {
		t.Run(c.line, func(t *testing.T) {
			parse := func() {
				if words := splitWords(t, c.line); len(words) > 1 && words[0] == "bin/vcpulab" {
					if err := parses(t, words[1:]); err != nil {
						t.Fatal(err)
					}
				}
			}
			switch {
			case c.run == "":
				parse()
				t.Logf("takes minutes; .ci/run runs it: %s", c.why)
				return
			case os.Getenv(envTree) == "" || c.kernel && os.Getenv(envKernel) == "":
				t.Skip("NOT RUN: the pinned tree and the unpatched kernel are needed: run make test")
			}
			shell := func(line string) string {
				cmd := exec.Command("bash", "-c", line)
				cmd.Dir, cmd.Env = clone, env
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v\n%s%s", line, err, out, stderr.String())
				}
				return string(out)
			}
			if c.prepare != "" {
				shell(c.prepare)
			}
			t.Setenv("HOME", filepath.Join(filepath.Dir(clone), "home"))
			parse()
			if out := shell(c.line); !regexp.MustCompile(c.run).MatchString(out) {
				t.Errorf("expected it to print %s, found\n%s", c.run, out)
			}
		})
	}
}

// cloneRoot copies the repository as one that was just cloned, with the
// results of a measurement in out/, and those of one before it.
func cloneRoot(t *testing.T) string {
	clone := filepath.Join(t.TempDir(), "clone")
	for _, name := range []string{"ci", "ebpf", "kernel-src-pin", "patches", "tools"} {
		if err := os.CopyFS(filepath.Join(clone, name), os.DirFS(filepath.Join("../../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	measured := readRoot(t, "tools/results/testdata/results.json")
	files := map[string]string{"out/results.json": measured, "before.json": measured}
	for _, name := range []string{"go.mod", "go.sum", "Makefile", "README.md"} {
		files[name] = readRoot(t, name)
	}
	program, err := exec.LookPath("vcpulab")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	files["bin/vcpulab"] = string(data)
	for name, text := range files {
		name = filepath.Join(clone, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return clone
}

// cloneEnv is the environment of a reader whose home is beside the clone, and
// who has the cache already.
func cloneEnv(t *testing.T, clone string) []string {
	home := filepath.Join(filepath.Dir(clone), "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+home, "TREE="+os.Getenv(envTree), "VCPULAB_CACHE="+realCache(),
		"KERNEL_SRC=", "ACCEL=", "MAKEFLAGS=", "MAKELEVEL=")
	vars, err := goEnv()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	return env
}
