// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/program"
	"vcpulab/tools/tree"
)

const faultyHeader = "include/linux/kvm_host.h"

// TestRealSpare puts faults into kvm_host.h, at random, and compiles KVM with each of
// them twice: as the matrix does, which spares objects, and all of it. What the compiler
// and sparse say must be the same, and so must the objects be. It needs an unpacked tree
// of the pinned kernel, the compiler for riscv64, and half a minute for each fault:
//
//	VCPULAB_TEST_FAULTS=30 VCPULAB_TEST_TREE=$(bin/vcpulab fetch) go test -run RealSpare -timeout 2h -v ./tools/matrix
//
// VCPULAB_TEST_SEED=N has the same faults again.
func TestRealSpare(t *testing.T) {
	dir, number := os.Getenv("VCPULAB_TEST_TREE"), os.Getenv("VCPULAB_TEST_FAULTS")
	if dir == "" || number == "" {
		t.Skip("NOT TESTED: VCPULAB_TEST_TREE and VCPULAB_TEST_FAULTS are not both set: compiling KVM for each of many faults takes too long for every run")
	}
	faults, err := strconv.Atoi(number)
	if err != nil || faults < 1 {
		t.Fatalf("VCPULAB_TEST_FAULTS=%s: expected a number of faults", number)
	}
	seed := rand.Uint64()
	if again := os.Getenv("VCPULAB_TEST_SEED"); again != "" {
		if seed, err = strconv.ParseUint(again, 10, 64); err != nil {
			t.Fatalf("VCPULAB_TEST_SEED: %v", err)
		}
	}
	t.Logf("VCPULAB_TEST_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	base, err := tree.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	header, err := os.ReadFile(filepath.Join(dir, faultyHeader))
	if err != nil {
		t.Fatal(err)
	}
	columns, err := Load("../../ci/matrix")
	if err != nil {
		t.Fatal(err)
	}
	columns, err = Choose(columns, "riscv64")
	if err != nil {
		t.Fatal(err)
	}
	all, some := newArea(t, columns[0]), newArea(t, columns[0])
	some.spec.Spare = true
	for _, a := range []*area{all, some} {
		if found, _ := a.compile(t, "base", base); found == nil {
			t.Fatal("the kernel does not compile without a fault")
		}
	}
	some.keep(t)

	clone := filepath.Join(all.dir, "faulty")
	if err := tree.Clone(t.Context(), base.Dir, clone); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(clone)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	made, madeOfAll, noticed := 0, 0, 0
	for n := range faults {
		text, what := putFault(random, string(header))
		faulty := tree.Tree{Dir: clone, ID: tree.BlobID([]byte(text)), Version: base.Version, Base: base.Dir, Changed: []string{faultyHeader}}
		if err := errors.Join(tree.Put(root, faultyHeader, tree.ModeFile, []byte(text)), tree.Save(faulty)); err != nil {
			t.Fatal(err)
		}
		some.bringBack(t)
		want, wanted := all.compile(t, fmt.Sprintf("fault %d", n), faulty)
		got, gotten := some.compile(t, fmt.Sprintf("fault %d", n), faulty)
		switch {
		case (want == nil) != (got == nil):
			t.Errorf("%s: it compiles: %v, with objects spared: %v", what, want != nil, got != nil)
			continue
		case want == nil:
			t.Logf("%s: it does not compile", what)
			noticed++
			continue
		}
		differ := 0
		for name, data := range wanted {
			if !bytes.Equal(data, all.base[name]) {
				differ++
			}
			if !bytes.Equal(data, gotten[name]) {
				t.Errorf("%s: %s was spared and is not what it has to be", what, name)
			}
		}
		if d := cmp.Diff(want.Warnings, got.Warnings); d != "" {
			t.Errorf("%s: warnings, without and with objects spared:\n%s", what, d)
		}
		t.Logf("%s: %d objects differ from those of the kernel, %d of %d targets made", what, differ, got.Made, want.Made)
		made, madeOfAll, noticed = made+got.Made, madeOfAll+want.Made, noticed+min(differ, 1)
	}
	t.Logf("%d of %d faults made a difference; of those that compile, %d of %d targets were made", noticed, faults, made, madeOfAll)
	if noticed == 0 || made >= madeOfAll {
		t.Error("this shows nothing: no fault made a difference, or no object was spared")
	}
}

// area is where KVM is compiled, in a cache directory of its own.
type area struct {
	*kbuild.Builder
	spec kbuild.ObjectSpec
	dir  string
	base map[string][]byte // the objects of the first tree
}

func newArea(t *testing.T, spec kbuild.ObjectSpec) *area {
	t.Helper()
	shared, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	// On the disk of the cache: temporary directories may be in memory.
	dir, err := os.MkdirTemp(shared.Dir(), "spare-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	own, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &area{Builder: &kbuild.Builder{Cache: own}, spec: spec, dir: dir}
}

// compile returns what was found and the objects, nil if the tree does not compile.
func (a *area) compile(t *testing.T, name string, tr tree.Tree) (*kbuild.Objects, map[string][]byte) {
	t.Helper()
	found, err := a.Objects(t.Context(), name, tr, a.spec)
	if exit.Code(err) == exit.BuildFailed {
		return nil, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	objects := make(map[string][]byte)
	err = filepath.WalkDir(filepath.Join(a.dir, "kbuild-objects"), func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".o" || !strings.Contains(name, "/kvm/") {
			return err
		}
		_, below, _ := strings.Cut(name, "/out/")
		objects[below], err = os.ReadFile(name)
		return err
	})
	if err != nil || len(objects) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	if a.base == nil {
		a.base = objects
	}
	return found, objects
}

// kept is what an area has of its own, apart from other files of the kernel.
var kept = []string{"state.json", "src/out", "src/" + faultyHeader}

// keep keeps what an area is now, and bringBack brings it back: after a tree that does
// not compile, or one that was not compiled, nothing would be spared.
func (a *area) keep(t *testing.T) { a.copyKept(t, a.path(t), filepath.Join(a.dir, "kept")) }

func (a *area) bringBack(t *testing.T) { a.copyKept(t, filepath.Join(a.dir, "kept"), a.path(t)) }

func (a *area) path(t *testing.T) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(a.dir, "kbuild-objects", "*", "state.json"))
	if err != nil || len(list) != 1 {
		t.Fatalf("work areas: %v, %v; expected one", list, err)
	}
	return filepath.Dir(list[0])
}

func (a *area) copyKept(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range kept {
		err := os.RemoveAll(filepath.Join(to, name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755)
		}
		if err == nil {
			_, _, err = program.Program{Name: "cp"}.Run(t.Context(), "--archive", filepath.Join(from, name), filepath.Join(to, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// word matches what a fault renames, and change pairs of what one takes for the other.
var (
	word   = regexp.MustCompile(`[A-Za-z_]\w+`)
	change = []struct{ from, to string }{
		{"unsigned long", "unsigned int"}, {"int", "long"}, {"bool", "int"}, {"u64", "u32"}, {"struct kvm_vcpu *", "void *"},
		{"<", "<="}, {"&&", "||"}, {"1", "2"}, {"0", "1"}, {", ", "; "}, {"static inline", "static"},
	}
)

// putFault returns a header with a fault in one of its lines, and what it is. The lines
// keep their numbers, which WARN_ON() puts into objects.
func putFault(random *rand.Rand, text string) (faulty, what string) {
	lines := strings.SplitAfter(text, "\n")
	for {
		n := random.IntN(len(lines))
		old := strings.TrimRight(lines[n], "\n\\")
		trimmed := strings.TrimSpace(old)
		if trimmed == "" || strings.HasPrefix(trimmed, "*") || strings.HasPrefix(trimmed, "/*") {
			continue
		}
		now := old
		switch random.IntN(3) {
		case 0:
			now = ""
		case 1:
			words := word.FindAllStringIndex(old, -1)
			if len(words) > 0 {
				end := words[random.IntN(len(words))][1]
				now = old[:end] + "_x" + old[end:]
			}
		case 2:
			c := change[random.IntN(len(change))]
			now = strings.Replace(old, c.from, c.to, 1)
		}
		if now == old {
			continue
		}
		lines[n] = now + lines[n][len(old):]
		return strings.Join(lines, ""), fmt.Sprintf("line %d is %q, was %q", n+1, strings.TrimSpace(now), trimmed)
	}
}
