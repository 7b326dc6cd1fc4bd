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

// TestCollect copies a kernel from an output directory.
func TestCollect(t *testing.T) {
	out := filepath.Join(t.TempDir(), "output")
	log := filepath.Join(t.TempDir(), "l")
	writeTree(t, out, "x", nil, nil, files{
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
	got := readTree(t, dir)
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
	loaded, err := kernelBuild{&build{tree: k.Tree}}.load(dir)
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
