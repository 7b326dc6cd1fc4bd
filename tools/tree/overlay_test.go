// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	dir := t.TempDir()
	o := &Overlay{Dir: dir, Over: map[string][]byte{
		"arch/x86/kvm/a.c": {}, "arch/x86/kvm/a.S": {}, "arch/x86/mm/a.c": {}, "virt/kvm/b.h": {}, "include/linux/kvm_host.h": {}, "virt/kvm/gone.c": nil,
	}}
	for _, name := range []string{"virt/kvm/sub/c.c", "virt/kvm/gone.c", "virt/other.c", "virt/kvm/Makefile"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := o.Names([]string{"arch/*/kvm", "virt/kvm", "include/linux/kvm_host.h", "none"}, ".c", ".h")
	want := []string{"arch/x86/kvm/a.c", "include/linux/kvm_host.h", "virt/kvm/b.h", "virt/kvm/sub/c.c"}
	if o.Err != nil || !slices.Equal(got, want) {
		t.Errorf("expected %v, found %v, %v", want, got, o.Err)
	}
	for _, bad := range []string{"../a", "/a", "[", ""} {
		if o.Err = nil; o.Names([]string{bad}, ".c") != nil || o.Err == nil {
			t.Errorf("%q: expected an error, found none", bad)
		}
	}
}

func TestNamesOfPattern(t *testing.T) {
	for name, c := range map[string]struct {
		pattern, name string
		want          bool
	}{
		"directory":   {"virt/kvm", "virt/kvm/kvm_main.c", true},
		"deeper":      {"arch/*/kvm", "arch/x86/kvm/svm/sev.c", true},
		"file":        {"arch/*/kvm/*.c", "arch/x86/kvm/x86.c", true},
		"itself":      {"virt/kvm/a.c", "virt/kvm/a.c", true},
		"beside":      {"virt/kvm", "virt/lib/a.c", false},
		"longer name": {"virt/kvm", "virt/kvm2/a.c", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Overlay{Dir: t.TempDir(), Over: map[string][]byte{c.name: {}}}
			if got := o.Names([]string{c.pattern}, ".c"); (len(got) == 1) != c.want {
				t.Errorf("expected %v, found %v", c.want, got)
			}
		})
	}
}
