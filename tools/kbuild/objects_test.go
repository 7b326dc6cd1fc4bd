// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/tree"
)

// tinyKVM is a kernel of two files that are really compiled and checked, and
// whose Makefile prints what kbuild prints.
func tinyKVM(arch arch.Arch) files {
	return files{
		"Makefile": `
objects := virt/kvm/a.o arch/` + arch.Source + `/kvm/b.o
tiny_defconfig:
	@echo CONFIG_TINY=y >$(O)/.config
olddefconfig:
	@echo '  GEN     .config'
prepare:
arch/` + arch.Source + `/kvm/: $(addprefix $(O)/,$(objects))
$(O)/%.o: %.c $(wildcard include/linux/*.h)
	@mkdir -p $(@D)
	@echo '  CC      $*.o'
	@cd $(O) && $(or $(CC),gcc) -I../include -Wall -Wextra -c ../$< -o $*.o
	@cd $(O) && { echo 'source_$*.o := ../$<'; echo; echo 'deps_$*.o := \'; printf '  ../%s \\\n' $(filter %.h,$^); echo; } >$(*D)/.$(*F).o.cmd
	@echo '  CHECK   ../$<'
	@cd $(O) && $(CHECK) -I../include ../$<
`,
		"include/linux/kvm_host.h":             "int get(int i);\n",
		"virt/kvm/a.c":                         "#include <linux/kvm_host.h>\nint get(int i)\n{\n\tint unused_a;\n\treturn i;\n}\n",
		"arch/" + arch.Source + "/kvm/b.c":     "#include <linux/kvm_host.h>\nint other(void);\nint other(void)\n{\n\treturn get(1);\n}\n",
		"arch/" + arch.Source + "/kvm/Kconfig": "config TINY\n",
	}
}

type kvmTrees struct {
	b       *Builder
	spec    ObjectSpec
	dir     string
	base    tree.Tree
	content files
}

func newKVMTrees(t *testing.T) *kvmTrees {
	t.Helper()
	if missing := missingPrograms("sparse", "gcc", "ld", "make", "flex", "bison", "bc", "pahole"); len(missing) > 0 {
		t.Skipf("NOT TESTED: this machine lacks %v", missing)
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	arch, err := arch.Host()
	if err != nil {
		t.Fatal(err)
	}
	k := &kvmTrees{b: &Builder{Cache: c}, dir: t.TempDir(), content: tinyKVM(arch)}
	fragment := filepath.Join(k.dir, "tiny.config")
	if err := os.WriteFile(fragment, []byte("CONFIG_TINY=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k.spec = ObjectSpec{Name: "tiny", Defconfig: "tiny_defconfig", Spec: Spec{Arch: arch, Fragments: []string{fragment}}}
	k.base = writeTree(t, filepath.Join(k.dir, "base"), "base", nil, nil, k.content)
	return k
}

// tree makes a tree that differs from the base in some files.
func (k *kvmTrees) tree(t *testing.T, id string, changed files) tree.Tree {
	t.Helper()
	content := maps.Clone(k.content)
	maps.Copy(content, changed)
	return writeTree(t, filepath.Join(k.dir, id), id, &k.base, k.content, content)
}

func (k *kvmTrees) compile(t *testing.T, tr tree.Tree) *Objects {
	t.Helper()
	found, err := k.b.Objects(t.Context(), tr.ID, tr, k.spec)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestObjects(t *testing.T) {
	k := newKVMTrees(t)
	b := "arch/" + k.spec.Arch.Source + "/kvm/b.c"
	ofA := Warning{"virt/kvm/a.c", "warning: unused variable 'unused_a' [-Wunused-variable]"}

	expect := func(what string, found *Objects, made int, want ...Warning) {
		t.Helper()
		if diff := cmp.Diff(sorted(want), found.Warnings); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if found.Made != made || found.All != 2 {
			t.Errorf("%s: expected %d of 2 objects to be made, found %d of %d", what, made, found.Made, found.All)
		}
		if _, err := os.Stat(found.Log); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	first := k.compile(t, k.base)
	expect("from nothing", first, 2, ofA)
	if !strings.HasPrefix(first.Checker, "sparse ") || first.Toolchain.Compiler == "" {
		t.Errorf("expected the names of the programs, found %+v", first)
	}

	// Only what differs is compiled; the warning about the other is remembered.
	worse := k.tree(t, "worse", files{b: "#include <linux/kvm_host.h>\nint other(void);\nint other(void)\n{\n\tint unused_b;\n\tchar *p = 0;\n\treturn get(p != 0);\n}\n"})
	ofB := Warning{b, "warning: unused variable 'unused_b' [-Wunused-variable]"}
	bySparse := Warning{b, "warning: Using plain integer as NULL pointer"}
	expect("one file", k.compile(t, worse), 1, ofA, ofB, bySparse)

	// A header is in both.
	header := k.tree(t, "header", files{"include/linux/kvm_host.h": "int get(int i);\nint more(void);\n"})
	expect("a header", k.compile(t, header), 2, ofA)

	// A tree that was compiled before is not compiled again.
	again := k.compile(t, worse)
	if !again.Cached || again.Seconds == 0 || again.Log == "" {
		t.Errorf("from the cache: %+v", again)
	}
	if diff := cmp.Diff([]Warning{ofA, ofB, bySparse}, again.Warnings, cmp.Transformer("sorted", sorted)); diff != "" {
		t.Errorf("from the cache: %s", diff)
	}

	// One that does not compile, and the next one.
	broken := k.tree(t, "broken", files{b: "int broken(\n"})
	_, err := k.b.Objects(t.Context(), "broken", broken, k.spec)
	var failed *Error
	if !errors.As(err, &failed) || failed.Fault.File != b || exit.Code(err) != exit.BuildFailed {
		t.Fatalf("expected an error in %s, found %v", b, err)
	}
	fixed := k.tree(t, "fixed", files{b: k.content[b] + "\n"})
	if found := k.compile(t, fixed); len(found.Warnings) != 1 || found.Warnings[0] != ofA {
		t.Errorf("after one that failed: %v", found.Warnings)
	}
}

// TestObjectsThatMatter checks that a tree is not compiled if it differs from
// another only in files that do not matter.
func TestObjectsThatMatter(t *testing.T) {
	k := newKVMTrees(t)
	a := "virt/kvm/a.c"
	k.compile(t, k.base)
	changed := k.content[a] + "/* two */\n"

	const known = -1 // make is not run
	for _, c := range []struct {
		name    string
		changed files
		made    int
	}{
		{"documentation", files{"Documentation/virt/kvm/locking.rst": "x"}, known},
		{"a selftest", files{"tools/testing/selftests/kvm/x.c": "int x;"}, known},
		{"another architecture", files{"arch/alpha/kvm/new.c": "int n;\n"}, known},
		{"its own architecture", files{"arch/" + k.spec.Arch.Source + "/kvm/new.c": "int n;\n"}, 0},
		{"all architectures", files{"arch/Kconfig": "config X\n"}, 0},
		{"another file", files{"drivers/d.c": "int d2;\n"}, 0},
		{"an object", files{a: changed}, 1},
		{"an object, and a selftest", files{a: changed, "tools/testing/selftests/kvm/x.c": "int y;"}, known},
	} {
		found := k.compile(t, k.tree(t, strings.ReplaceAll(c.name, " ", "-"), c.changed))
		if found.Cached != (c.made == known) {
			t.Errorf("%s: expected to know it before %t, found %t", c.name, c.made == known, found.Cached)
		}
		if !found.Cached && found.Made != c.made || len(found.Warnings) != 1 || found.All != 2 {
			t.Errorf("%s: expected %d of 2 objects to be made and 1 warning, found %d of %d, %v", c.name, c.made, found.Made, found.All, found.Warnings)
		}
		if _, err := os.Stat(found.Log); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestObjectsSpared checks that an object is not made if a header has changed that it
// mentions nothing of, and is made once all are to be.
func TestObjectsSpared(t *testing.T) {
	k := newKVMTrees(t)
	const header = "include/linux/kvm_host.h"
	a := "virt/kvm/a.c"
	k.content[header] += "int of_a(void);\nstatic inline int for_a(void)\n{\n\treturn of_a();\n}\n"
	k.content["Makefile"] = strings.Replace(k.content["Makefile"], "objects :=", "objects := virt/kvm/c.o", 1)
	k.content["virt/kvm/c.c"] = "#include <linux/kvm_host.h>\nint c(void);\nint c(void)\n{\n\treturn 1;\n}\n"
	k.content[a] += "int use(void);\nint use(void)\n{\n\treturn for_a();\n}\n"
	k.base = writeTree(t, filepath.Join(k.dir, "again"), "again", nil, nil, k.content)
	k.compile(t, k.base)

	changed := func(old, new string) files {
		if !strings.Contains(k.content[header], old) {
			t.Fatalf("the header lacks %q", old)
		}
		return files{header: strings.Replace(k.content[header], old, new, 1)}
	}
	k.spec.Spare = true
	type step struct {
		name string
		tree tree.Tree
		made int
	}
	ofA := k.tree(t, "of-a", changed("int of_a(void)", "int of_a()"))
	unused := k.tree(t, "unused", changed("int of_a(void);", "int of_a(void); int of_none_yet(void);"))
	noted := k.tree(t, "noted", changed("int get(int i);", "int get(int i); /* noted */"))
	for _, s := range []step{
		{"what one mentions", ofA, 2}, // and one of the other directory
		{"a comment", noted, 2},       // goes back to the other's declaration
		{"what two mention", k.tree(t, "two", changed("int get(int i)", "int get(int)")), 2},
		{"a file and a header", k.tree(t, "file", files{header: k.content[header] + "int of_file(void);\n", "virt/kvm/c.c": k.content["virt/kvm/c.c"] + "\n"}), 3},
		{"a failure", k.tree(t, "bad", changed("int of_a(void)", "none of_a(void)")), 0},
		{"after a failure", k.tree(t, "good", changed("int of_a(void);", "int of_a(void); int of_none(void);")), 3},
		{"what none mentions", unused, 2},
	} {
		found, err := k.b.Objects(t.Context(), s.name, s.tree, k.spec)
		if s.made == 0 {
			if exit.Code(err) != exit.BuildFailed {
				t.Errorf("%s: expected it to fail, found %v", s.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if found.Made != s.made || found.All != 3 || len(found.Warnings) != 1 {
			t.Errorf("%s: expected %d of 3 objects to be made, found %d of %d, %v", s.name, s.made, found.Made, found.All, found.Warnings)
		}
	}

	// What was spared is made when all is asked for, and once.
	k.spec.Spare = false
	if found := k.compile(t, unused); found.Cached || found.Made != 1 || found.All != 3 {
		t.Errorf("all: expected the other one to be made, found %+v", found)
	}
	k.spec.Spare = true
	if found := k.compile(t, unused); !found.Cached || found.Made != 1 {
		t.Errorf("all, again: expected what is known, found %+v", found)
	}
	if found := k.compile(t, noted); !found.Cached {
		t.Errorf("expected what is known, found %+v", found)
	}
}

// TestObjectsInterrupted checks that objects are made again if the warnings about
// them are unknown.
func TestObjectsInterrupted(t *testing.T) {
	k := newKVMTrees(t)
	k.compile(t, k.base)
	states, err := filepath.Glob(filepath.Join(k.b.Cache.Dir(), kindObjectArea, "*", "state.json"))
	if err != nil || len(states) != 1 {
		t.Fatalf("expected one state, found %v, %v", states, err)
	}
	for name, spoil := range map[string]func() error{
		"gone":    func() error { return os.Remove(states[0]) },
		"cut off": func() error { return os.WriteFile(states[0], []byte(`{"tar`), 0o644) },
		"without warnings": func() error {
			var state areaState
			err := jsonfile.Load(states[0], &state)
			state.Warnings = nil
			return errors.Join(err, jsonfile.Save(states[0], state))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			tr := k.tree(t, strings.ReplaceAll(name, " ", "-"), files{"include/linux/kvm_host.h": "int get(int i); /* " + name + " */\n"})
			if found := k.compile(t, tr); found.Made != 2 || len(found.Warnings) != 1 {
				t.Errorf("expected all to be made, and one warning, found %d and %v", found.Made, found.Warnings)
			}
		})
	}
}

func TestObjectsBad(t *testing.T) {
	k := newKVMTrees(t)
	t.Setenv("PATH", t.TempDir())
	if err := k.b.CanBuildObjects(t.Context(), k.spec); exit.Code(err) != exit.MachineLacks {
		t.Errorf("without programs: expected exit code %d, found %v", exit.MachineLacks, err)
	}
}

// TestObjectsElsewhere compiles a kernel that lacks what the fragment sets.
func TestObjectsElsewhere(t *testing.T) {
	k := newKVMTrees(t)
	makefile := strings.Replace(k.content["Makefile"], "olddefconfig:\n", "olddefconfig:\n\t@sed -i '/NOT_KNOWN/d; /KVM/d' $(O)/.config\n", 1)
	other := k.tree(t, "other", files{"Makefile": makefile})
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(k.spec.Fragments[0], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	set("CONFIG_TINY=y\nCONFIG_NOT_KNOWN=y\n")
	if _, err := k.b.Objects(t.Context(), "strict", other, k.spec); exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), "CONFIG_NOT_KNOWN=y became n") {
		t.Errorf("expected the setting to be missed, found %v", err)
	}
	before, err := k.b.Cache.Keys(kindObjectArea)
	if err != nil {
		t.Fatal(err)
	}

	k.spec.Elsewhere = true
	if found := k.compile(t, other); found.All != 2 {
		t.Errorf("expected two objects, found %d", found.All)
	}
	after, err := k.b.Cache.Keys(kindObjectArea)
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("the work areas of the matrix are others: %v\n%s", err, diff)
	}

	// KVM itself, and its objects, are not to be missing.
	set("CONFIG_TINY=y\nCONFIG_KVM=y\n")
	if _, err := k.b.Objects(t.Context(), "no KVM", other, k.spec); exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), "CONFIG_KVM=y became n") {
		t.Errorf("expected CONFIG_KVM to be missed, found %v", err)
	}
	set("CONFIG_TINY=y\n")
	none := k.tree(t, "none", files{"Makefile": strings.Replace(makefile, "kvm/: $(addprefix $(O)/,$(objects))", "kvm/:", 1)})
	if _, err := k.b.Objects(t.Context(), "no objects", none, k.spec); exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), "no object of KVM was made") {
		t.Errorf("expected an error for a kernel without KVM, found %v", err)
	}
}
