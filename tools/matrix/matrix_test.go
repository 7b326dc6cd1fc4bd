// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/host"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/tree"
)

var update = flag.Bool("update", false, "write the golden files")

// columnsDir has the project's own columns.
const columnsDir = "../../ci/matrix"

func TestLoad(t *testing.T) {
	columns, err := Load(columnsDir)
	if err != nil {
		t.Fatal(err)
	}
	var arches []string
	list, err := host.Load("../../ci/packages.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range columns {
		arches = append(arches, c.Arch.Name)
		if _, err := list.Packages(Groups(c)...); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		last := filepath.Base(c.Fragments[len(c.Fragments)-1])
		if filepath.Base(c.Fragments[0]) != common || last != c.Name+ext {
			t.Errorf("%s: expected what is common first and its own last, found %v", c.Name, c.Fragments)
		}
		if _, err := kbuild.ReadFragments(c.Fragments...); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	for _, a := range arch.Arches() {
		if !strings.Contains(strings.Join(arches, " "), a.Name) {
			t.Errorf("no column is for %s", a.Name)
		}
	}
}

func TestLoadBad(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"no columns":       {common, "", "holds no *.config but common.config"},
		"no architecture":  {"x.config", "# base: defconfig\n", `x.config: no line "# arch: ..."`},
		"no configuration": {"x.config", "# arch: s390x\n", `x.config: no line "# base: ..."`},
		"unknown":          {"x.config", "# arch: vax\n# base: defconfig\n", `unknown architecture "vax"`},
		"duplicate":        {"x.config", "# base: a\n# base: b\n", `duplicate line "# base:"`},
		"like none":        {"x.config", "# like: y\n", `x.config: like y: open `},
		"like itself":      {"x.config", "# like: x\n", `like x, which is like x itself`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || exit.Code(err) != exit.Usage {
				t.Errorf("expected %q and exit code %d, found %v", c.want, exit.Usage, err)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	columns, err := Load(columnsDir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"s390x": {"s390x"}, "s390": {"s390x"}, "arm64": {"arm64"}, "aarch64": {"arm64"}, "x86_64": {"x86_64"}, "i386": {"i386"},
		"amd64": {"x86_64-clang", "x86_64-lockdep", "x86_64-module", "x86_64-rt", "x86_64"},
		"ppc32": {"ppc32"}, "powerpc": {"ppc32", "ppc64-e500", "ppc64le"}, "ppc64le": {"ppc64le"},
	} {
		got, err := Choose(columns, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var names []string
		for _, c := range got {
			names = append(names, c.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got, err := Choose(columns, arch.All); err != nil || len(got) != len(columns) {
		t.Errorf("all: %d of %d, %v", len(got), len(columns), err)
	}
	if _, err := Choose(columns, "vax"); exit.Code(err) != exit.Usage {
		t.Errorf("vax: expected exit code %d, found %v", exit.Usage, err)
	}
}

// fakeCompiler compiles trees whose IDs are their warnings; "!" does not
// compile. Real ones are in package kbuild's tests.
type fakeCompiler struct {
	lacks map[string]error
	fail  error // of all

	mu    sync.Mutex
	calls []string
}

func (s *fakeCompiler) CanBuildObjects(_ context.Context, spec kbuild.ObjectSpec) error {
	return s.lacks[spec.Name]
}

func (s *fakeCompiler) Objects(_ context.Context, name string, t tree.Tree, spec kbuild.ObjectSpec) (*kbuild.Objects, error) {
	s.mu.Lock()
	call := spec.Name + "/" + name
	if spec.Spare {
		call += ", spared"
	}
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	if t.ID == "!" {
		return nil, &kbuild.Error{
			Doing: "compile KVM of linux 7.3.4 (" + name + ") for " + spec.Name,
			Fault: kbuild.Fault{Kind: kbuild.Compile, File: "virt/kvm/a.c", Line: 3, Message: "error: expected ';'"},
			Log:   "/c/log", Command: "make", Err: errors.New("exit status 2"),
		}
	}
	found := &kbuild.Objects{Made: 3, All: 23, Seconds: 1.5, Checker: "sparse 0.6.4", Log: "/c/" + name + ".log"}
	for _, word := range strings.Fields(t.ID) {
		found.Warnings = append(found.Warnings, kbuild.Warning{File: "virt/kvm/a.c", Message: "warning: " + word})
	}
	return found, nil
}

// series returns rows of which the first is without patches.
func series(trees ...string) []Row {
	var rows []Row
	for i, id := range trees {
		rows = append(rows, Row{Patch: i, Subject: fmt.Sprintf("KVM: Change %d", i), Tree: func(context.Context) (tree.Tree, error) {
			return tree.Tree{ID: id}, nil
		}})
	}
	return rows
}

func TestRun(t *testing.T) {
	columns := []kbuild.ObjectSpec{{Name: "s390x"}, {Name: "riscv64"}}
	for name, c := range map[string]struct {
		trees []string
		want  []State // of one column
		code  int
	}{
		"good":                  {[]string{"a b", "a b", "b a"}, []State{baseline, Good, Good}, exit.Good},
		"fewer":                 {[]string{"a b", "a", ""}, []State{baseline, Good, Good}, exit.Good},
		"a new one":             {[]string{"a", "a b", "a b"}, []State{baseline, Warned, Good}, exit.CheckFailed},
		"one for another":       {[]string{"a", "b"}, []State{baseline, Warned}, exit.CheckFailed},
		"it comes again":        {[]string{"a", "", "a"}, []State{baseline, Good, Warned}, exit.CheckFailed},
		"does not compile":      {[]string{"a", "!", "a", "a b"}, []State{baseline, Failed, Good, Warned}, exit.BuildFailed},
		"the first does not":    {[]string{"!", "a", "a"}, []State{Failed, Unknown, Good}, exit.BuildFailed},
		"the last does not":     {[]string{"a", "!"}, []State{baseline, Failed}, exit.BuildFailed},
		"nothing but the first": {[]string{"a"}, []State{baseline}, exit.Good},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Run(t.Context(), &fakeCompiler{}, columns, series(c.trees...), 2)
			if err != nil {
				t.Fatal(err)
			}
			var got []State
			for _, cell := range r.Cells {
				got = append(got, cell.State)
			}
			if diff := cmp.Diff(append(c.want, c.want...), got); diff != "" {
				t.Error(diff)
			}
			if code := exit.Code(r.Err()); code != c.code {
				t.Errorf("expected exit code %d, found %d: %v", c.code, code, r.Err())
			}
		})
	}
}

func TestRunStops(t *testing.T) {
	var columns []kbuild.ObjectSpec
	for _, name := range []string{"s390x", "arm64", "x86_64"} {
		a, err := arch.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		columns = append(columns, kbuild.ObjectSpec{Name: name, Spec: kbuild.Spec{Arch: a}})
	}
	lacks := func(program string) error {
		return exit.With(exit.MachineLacks, fmt.Errorf("build: this machine lacks %s", program))
	}
	c := &fakeCompiler{lacks: map[string]error{"s390x": lacks("s390x-linux-gnu-gcc"), "arm64": lacks("aarch64-linux-gnu-gcc")}}
	_, err := Run(t.Context(), c, columns, series("a"), 2)
	if exit.Code(err) != exit.MachineLacks || len(c.calls) > 0 {
		t.Errorf("expected exit code %d before anything is compiled, found %v after %v", exit.MachineLacks, err, c.calls)
	}
	for _, want := range []string{"s390x: build: this machine lacks s390x-linux-gnu-gcc", "arm64: build: this machine lacks aarch64-", "vcpulab install build matrix s390x arm64"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected %q, found %v", want, err)
		}
	}
	for name, fail := range map[string]error{
		"interrupted": context.Canceled,
		"disk full":   &kbuild.Error{Fault: kbuild.Fault{Kind: kbuild.DiskFull}, Err: errors.New("exit status 2")},
		"config":      exit.With(exit.BuildFailed, errors.New("dropped")),
	} {
		if r, err := Run(t.Context(), &fakeCompiler{fail: fail}, columns, series("a", "a"), 2); !errors.Is(err, fail) || r != nil {
			t.Errorf("%s: expected an error, found %v", name, err)
		}
	}
}

// meeting is a compiler at which each column waits for the other.
type meeting struct {
	fakeCompiler
	here, there chan bool
}

func (m *meeting) Objects(ctx context.Context, name string, t tree.Tree, spec kbuild.ObjectSpec) (*kbuild.Objects, error) {
	if name == "base" {
		mine, other := m.here, m.there
		if spec.Name == "arm64" {
			mine, other = other, mine
		}
		close(mine)
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return m.fakeCompiler.Objects(ctx, name, t, spec)
}

// TestRunParallel compiles two columns at a time, and reports them in order.
func TestRunParallel(t *testing.T) {
	m := &meeting{here: make(chan bool), there: make(chan bool)}
	r, err := Run(t.Context(), m, []kbuild.ObjectSpec{{Name: "s390x"}, {Name: "arm64"}}, series("a", "a"), 2)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Cells {
		got = append(got, fmt.Sprintf("%s/%d", c.Column, c.Patch))
	}
	if diff := cmp.Diff([]string{"s390x/0", "s390x/1", "arm64/0", "arm64/1"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestRunSpared checks that nothing is spared in the first and the last row.
func TestRunSpared(t *testing.T) {
	for rows, want := range map[int][]string{
		1: {"s390x/base"},
		2: {"s390x/base", "s390x/patch 1"},
		4: {"s390x/base", "s390x/patch 1, spared", "s390x/patch 2, spared", "s390x/patch 3"},
	} {
		c := &fakeCompiler{}
		if _, err := Run(t.Context(), c, []kbuild.ObjectSpec{{Name: "s390x"}}, series("a", "a", "a", "a")[:rows], 1); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.calls); diff != "" {
			t.Errorf("%d rows: %s", rows, diff)
		}
	}
}

func TestWriteText(t *testing.T) {
	r, err := Run(t.Context(), &fakeCompiler{}, []kbuild.ObjectSpec{{Name: "s390x"}, {Name: "loongarch64"}}, series("a b", "a c", "!", "c", "a"), 2)
	if err != nil {
		t.Fatal(err)
	}
	r.Seconds = 12
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	const name = "testdata/report.txt"
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}
