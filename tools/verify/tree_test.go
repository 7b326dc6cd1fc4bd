// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/series"
)

func TestCheckpatch(t *testing.T) {
	s := own(t)
	var err error
	if s.Series, err = series.Load("../series/testdata/checkpatch/findings.patch"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from the cache
		want(t, findings(t, checkpatch, s), "findings.patch", "ERROR:", "checkpatch: ")
	}
	if keys, err := s.Cache.Keys(checkpatchKind); err != nil || len(keys) != 1 {
		t.Errorf("expected one result to be kept, found %v, %v", keys, err)
	}
	if s.Series, err = series.Load("../series/testdata/checkpatch/clean.patch"); err != nil {
		t.Fatal(err)
	}
	want(t, findings(t, checkpatch, s))
}

func TestOwnKernelDoc(t *testing.T) {
	const host = "include/linux/kvm_host.h"
	s := own(t)
	want(t, findings(t, kernelDoc, s))
	for name, c := range map[string]struct{ old, new, want string }{
		"a parameter that is not there": {" * @i: any number\n", " * @idx: any number\n", "'idx'"},
		"no return value":               {" * Return: the vCPU, which stays valid until the VM is destroyed, or NULL.\n */\nstatic inline struct kvm_vcpu *kvm_get_vcpu(", " * That is all.\n */\nstatic inline struct kvm_vcpu *kvm_get_vcpu(", "return value of 'kvm_get_vcpu'"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, findings(t, kernelDoc, edited(t, s, host, c.old, c.new)), host+":", c.want)
		})
	}
	if _, err := os.Stat(filepath.Join(s.Base.Dir, "tools/lib/python/kdoc/__pycache__")); err == nil {
		t.Error("Python left compiled files in the pinned tree")
	}
}

func TestKernelDocFails(t *testing.T) {
	s := sources(t, map[string]string{"a.c": "int a;\n"})
	if _, err := kernelDoc(t.Context(), s, new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "kernel-doc") {
		t.Errorf("no script: expected an error, found %v", err)
	}
	script := filepath.Join(s.Base.Dir, kernelDocScripts[0])
	if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"import sys; sys.exit('no memory')\n", "raise OSError\n"} {
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := kernelDoc(t.Context(), s, new(strings.Builder)); err == nil {
			t.Errorf("%q: a script that broke off has passed", text)
		}
	}
}

// TestKernelDocOfOldTrees runs the program where older kernels have it, in the language
// that it was written in there.
func TestKernelDocOfOldTrees(t *testing.T) {
	for name, c := range map[string]struct{ script, text, want string }{
		"Perl":   {"scripts/kernel-doc", "#!/usr/bin/env perl\nprint STDERR \"$_:1: warning: '$_' is bad\\n\" for grep { !/^-/ } @ARGV; exit 1;\n", "perl scripts/kernel-doc -none -Wall a.c"},
		"Python": {"scripts/kernel-doc.py", "import sys\nfor a in sys.argv[3:]: print('Warning: %s:1 it is bad' % a, file=sys.stderr)\n", "python3 scripts/kernel-doc.py -none -Wall a.c"},
	} {
		t.Run(name, func(t *testing.T) {
			language, _, _ := strings.Cut(c.want, " ")
			if _, err := exec.LookPath(language); err != nil {
				t.Skip(err)
			}
			s := sources(t, map[string]string{"a.c": "int a;\n"})
			script := filepath.Join(s.Base.Dir, c.script)
			if err := os.MkdirAll(filepath.Dir(script), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(script, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			found := findings(t, kernelDoc, s)
			want(t, found, "is bad")
			if found[0].File != "a.c" || found[0].Line != 1 || found[0].Do != c.want {
				t.Errorf("found %+v", found[0])
			}
		})
	}
}

func TestPairs(t *testing.T) {
	const good = "void f(void)\n{\n\tsmp_wmb();\n}\n"
	for name, c := range map[string]struct {
		comment string
		want    []string
	}{
		"good":           {"/* Pairs with smp_wmb() in f(). */", nil},
		"over two lines": {"/*\n * Pairs with smp_wmb()\n * in f().\n */", nil},
		"a dependency":   {"/* Pairs with the address dependency in f(). */", nil},
		"of others":      {"/* Pairs with whatever the guest does. */", nil},
		"no function":    {"/* Pairs with smp_wmb() in g(). */", []string{"virt/kvm/a.c:5", "names an unknown function: g()"}},
		"no barrier":     {"/* Pairs with smp_rmb() in f(). */", []string{"says that f() has smp_rmb()", "expected: smp_rmb() in f() of virt/kvm/a.c"}},
		"the second":     {"/* Pairs with smp_wmb() in f() and in h(). */", []string{"names an unknown function: h()"}},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, findings(t, pairs, sources(t, map[string]string{"virt/kvm/a.c": good + c.comment + "\n"})), c.want...)
		})
	}
	t.Run("known before", func(t *testing.T) {
		s := sources(t, map[string]string{"virt/kvm/a.c": good + "int a;\n/* Pairs with smp_wmb() in g(). */\n"})
		name := filepath.Join(s.Base.Dir, "virt/kvm/a.c")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("/* Pairs with smp_wmb() in g(). */\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		want(t, findings(t, pairs, s))
	})
}

func TestSpelling(t *testing.T) {
	mistakes := map[string]string{"recieve": "receive"}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"good":         {"To receive it, it, too, is here.\n", nil},
		"misspelt":     {"To Recieve it.\n", []string{`"Recieve" is misspelt`, "expected: receive"}},
		"twice":        {"It is in the the list.\n", []string{`"the" stands there twice`}},
		"over the end": {"It is in the\nthe list.\n", []string{"twice"}},
		"a new one":    {"It is in the.\nthe list.\n", nil},
		"a table":      {"  one one\n", nil},
		"that that":    {"Know that that is so.\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, misspelt(&series.Patch{Name: labCover, Mail: []byte(c.text)}, c.text, mistakes), c.want...)
		})
	}
	s := own(t)
	var err error
	if s.Series, err = series.Load("../../patches/walks"); err != nil {
		t.Fatal(err)
	}
	want(t, findings(t, spelling, s))
	s.Series.Cover.Message = "It is abitrary.\n" + s.Series.Cover.Message
	want(t, findings(t, spelling, s), labCover, `"abitrary" is misspelt`)
	s.Base.Dir = t.TempDir()
	if _, err := spelling(t.Context(), s, new(strings.Builder)); err == nil {
		t.Error("a tree without the list has passed")
	}
}

func TestOwnSelftests(t *testing.T) {
	s := own(t)
	t.Cleanup(func() { s.forget() })
	want(t, findings(t, selftests, s))
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"not listed":           {"TEST_GEN_PROGS_COMMON += vcpu_id_test\n", "", []string{"vcpu_id_test.c", "it is not in"}},
		"another architecture": {"TEST_GEN_PROGS_x86 += x86/vcpu_fd_install_test", "TEST_GEN_PROGS_s390 += x86/vcpu_fd_install_test", []string{"listed for another architecture", "TEST_GEN_PROGS_x86"}},
		"not there":            {"TEST_GEN_PROGS_COMMON += vcpu_id_test\n", "TEST_GEN_PROGS_COMMON += vcpu_id_test\nTEST_GEN_PROGS_COMMON += vcpu_no_test\n", []string{"listed test does not exist", "vcpu_no_test"}},
	} {
		t.Run(name, func(t *testing.T) {
			other := edited(t, s, selftestsMakefile, c.old, c.new)
			want(t, findings(t, selftests, other), c.want...)
			s.repo = other.repo // to be removed
		})
	}
	t.Run("ignored", func(t *testing.T) {
		other := edited(t, s, selftestsMakefile, "", "")
		if _, err := other.repository(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.repo = other.repo
		file := filepath.Join(other.repo.git.Dir, selftestsDir, ".gitignore")
		for text, message := range map[string]string{"*\n": ".gitignore leaves it out", "\n": "git lists the program"} {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			want(t, findings(t, selftests, other), message)
		}
		if err := os.WriteFile(file, []byte("*.c\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		found := slices.DeleteFunc(findings(t, selftests, other), func(f Finding) bool { return strings.Contains(f.File, "/lib/") })
		if len(found) == 0 {
			t.Error("expected findings, found none")
		}
		for i := 0; i+1 < len(found); i += 2 {
			if source, program := found[i].File, found[i+1].File; source != program+".c" {
				t.Errorf("expected a source and then its program, found %s and %s", source, program)
			}
		}
	})
}

// TestSelftestsOfOldTrees adds tests to a tree in which another file lists them.
func TestSelftestsOfOldTrees(t *testing.T) {
	for name, c := range map[string]struct {
		makefile string
		want     []string
	}{
		"listed":     {"TEST_GEN_PROGS_x86_64 += x86_64/new_test\n", nil},
		"not listed": {"LIBKVM += lib/kvm_util.c\n", []string{"new_test.c: it is not in " + oldSelftestsMakefile}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sources(t, map[string]string{
				oldSelftestsMakefile:                c.makefile,
				selftestsDir + "/x86_64/new_test.c": "int main(void) { return 0; }\n",
			})
			t.Cleanup(func() { s.forget() })
			r, err := s.repository(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(r.git.Dir, selftestsDir), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(r.git.Dir, selftestsDir, ".gitignore"), []byte("*\n!/**/\n!*.c\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			want(t, findings(t, selftests, s), c.want...)
		})
	}
}

// TestMissingSelftests lists tests that do not exist: findings of two runs can be compared.
func TestMissingSelftests(t *testing.T) {
	s := sources(t, map[string]string{selftestsMakefile: "TEST_GEN_PROGS_COMMON += e d c b a f g h\n"})
	var found []string
	for _, f := range findings(t, selftests, s) {
		found = append(found, f.Found)
	}
	if got := strings.Join(found, " "); got != "a b c d e f g h" {
		t.Errorf("expected them in order, found %s", got)
	}
}
