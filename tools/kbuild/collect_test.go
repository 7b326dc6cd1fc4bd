// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/tree"
)

// TestCollect takes what was built out of an output folder.
func TestCollect(t *testing.T) {
	out := filepath.Join(t.TempDir(), "output")
	log := filepath.Join(t.TempDir(), "l")
	plant(t, out, "x", nil, nil, files{
		"vmlinux": "elf", ".config": "CONFIG_KVM=m\n# CONFIG_X is not set\n", "System.map": "map", "Module.symvers": "sym",
		"modules.order":                  "arch/x86/kvm/kvm.o\nvirt/lib/irqbypass.o\n",
		"arch/x86/kvm/kvm.ko":            "kvm",
		"virt/lib/irqbypass.ko":          "byp",
		"include/config/kernel.release":  "7.3.4\n",
		"include/generated/autoconf.h":   "a",
		"arch/x86/include/generated/x.h": "x", "arch/x86/kernel/x.o": "not taken",
		"scripts/mod/modpost": "program", "scripts/mod/modpost.o": "not taken", "scripts/mod/.modpost.cmd": "not taken",
		"scripts/module.lds": "lds", "tools/objtool/objtool": "program", "tools/objtool/check.o": "not taken",
	})
	if err := os.WriteFile(log, []byte("log"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	k := &Kernel{Key: "key", Arch: arch.X86_64(), Tree: tree.Tree{Dir: "/t", ID: "id"}}
	if err := k.collect(out, dir, log); err != nil {
		t.Fatal(err)
	}
	got := harvest(t, dir)
	want := []string{
		"System.map", "build.log", "build/.config", "build/Module.symvers", "build/arch/x86/include/generated/x.h",
		"build/include/config/kernel.release", "build/include/generated/autoconf.h", "build/scripts/mod/modpost",
		"build/scripts/module.lds", "build/tools/objtool/objtool", "build/vmlinux", "config", "kernel.json",
		"modules/irqbypass.ko", "modules/kvm.ko", "Module.symvers", "vmlinux",
	}
	slices.Sort(want)
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(got))); d != "" {
		t.Error(d)
	}
	loaded, err := loadKernel(dir)
	if err != nil {
		t.Fatal(err)
	}
	loaded.Dir = ""
	if d := cmp.Diff(k, loaded, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Toolchain" }, cmp.Ignore())); d != "" {
		t.Error(d)
	}
	k.Dir = dir
	if k.Release != "7.3.4" || k.ImagePath() != filepath.Join(dir, "vmlinux") || len(k.SHA256) != 3 {
		t.Errorf("%+v", k)
	}
	if p, err := k.ModulePath("kvm"); err != nil || p != filepath.Join(dir, "modules/kvm.ko") {
		t.Error(p, err)
	}
	if _, err := k.ModulePath("nope"); err == nil || !strings.Contains(err.Error(), "modules/kvm.ko") {
		t.Error(err)
	}
	c, err := k.Config()
	if err != nil || c.Value("CONFIG_KVM") != "m" {
		t.Error(c, err)
	}
}

// TestSeenByTests says which changes of a tree make its selftests others.
func TestSeenByTests(t *testing.T) {
	dir := t.TempDir()
	base := files{"virt/kvm/kvm_main.c": "a", "include/uapi/linux/kvm.h": "a", "arch/x86/kvm/x86.c": "a"}
	b := plant(t, filepath.Join(dir, "base"), "id", nil, nil, base)
	tests := map[string]struct {
		change files
		same   bool
	}{
		"the kernel's side": {files{"virt/kvm/kvm_main.c": "b", "arch/x86/kvm/x86.c": "b"}, true},
		"user space's view": {files{"include/uapi/linux/kvm.h": "b"}, false},
		"a new test":        {files{"tools/testing/selftests/kvm/new.c": "b"}, false},
	}
	want, err := seenByTests(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			content := maps.Clone(base)
			maps.Copy(content, tc.change)
			changed := plant(t, filepath.Join(dir, name), "id-"+name, &b, base, content)
			got, err := seenByTests(changed)
			if err != nil {
				t.Fatal(err)
			}
			if same := slices.Equal(want, got); same != tc.same {
				t.Errorf("same %v: %q, %q", same, want, got)
			}
		})
	}
}
