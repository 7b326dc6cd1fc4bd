// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ko makes an object file with the .modinfo section of a module that depends
// on others, as the compiler makes it.
func ko(t *testing.T, dir, name, depends string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("SKIPPED FOR LACK OF gcc")
	}
	file := filepath.Join(dir, name+".ko")
	source := fmt.Sprintf(`__attribute__((section(".modinfo"), used)) static const char info[] =
		"license=GPL\0" "depends=%s\0\0\0" "name=%s\0" "vermagic=7.3.4 SMP preempt mod_unload ";`, depends, strings.ReplaceAll(name, "-", "_"))
	cmd := exec.Command(gcc, "-x", "c", "-c", "-o", file, "-")
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func TestOrderModules(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	for name, depends := range map[string]string{
		"irqbypass": "", "kvm": "irqbypass", "kvm-amd": "kvm,ccp", "ccp": "", "loops": "kvm", "a": "b", "b": "a", "lost": "nowhere",
	} {
		files[name] = ko(t, dir, name, depends)
	}
	for name, tt := range map[string]struct {
		modules []string
		dir     string
		want    string
		error   string
	}{
		"none": {want: ""},
		"given out of order": {modules: []string{"loops", "kvm-amd", "ccp", "kvm", "irqbypass"},
			want: "irqbypass kvm loops ccp kvm-amd"},
		"from the pool": {modules: []string{"kvm-amd"}, dir: dir, want: "irqbypass kvm ccp kvm-amd"},
		"missing":       {modules: []string{"kvm"}, error: "kvm depends on irqbypass"},
		"nowhere":       {modules: []string{"lost"}, dir: dir, error: "lost depends on nowhere"},
		"circle":        {modules: []string{"a", "b"}, error: "depend on each other"},
		"twice":         {modules: []string{"kvm", "kvm"}, error: "duplicate kvm"},
	} {
		t.Run(name, func(t *testing.T) {
			var modules []Module
			for _, m := range tt.modules {
				modules = append(modules, Module{Host: files[m], Args: "of=" + m})
			}
			ordered, err := OrderModules(modules, tt.dir)
			if tt.error != "" {
				if err == nil || !strings.Contains(err.Error(), tt.error) {
					t.Errorf("expected an error with %q, found %v", tt.error, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range ordered {
				name := strings.TrimSuffix(filepath.Base(m.Host), ".ko")
				got = append(got, name)
				if m.Args != "" && m.Args != "of="+name {
					t.Errorf("%s has the parameters %s", name, m.Args)
				}
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("expected %q, found %q", tt.want, s)
			}
		})
	}
}

func TestReadModule(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.ko")
	if err := os.WriteFile(bad, []byte("not an ELF file"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := dependencies(bad); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("expected an error that names the file, found %v", err)
	}
	if _, err := dependencies("/bin/sh"); err == nil || !strings.Contains(err.Error(), "not a kernel module") {
		t.Errorf("expected an error for a program, found %v", err)
	}
}

func FuzzParseDepends(f *testing.F) {
	f.Add([]byte("license=GPL\x00depends=kvm,irqbypass\x00name=kvm_amd\x00"))
	f.Add([]byte("depends=\x00\x00\x00=\x00depends=a-b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		depends := parseDepends(data)
		for _, d := range depends {
			if d == "" || strings.ContainsAny(d, "-,\x00") {
				t.Fatalf("a dependency named %q", d)
			}
		}
		if diff := cmp.Diff(depends, parseDepends(append([]byte("\x00"), data...))); diff != "" {
			t.Fatalf("padding in front makes a difference:\n%s", diff)
		}
	})
}
