// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/tree"
)

// columnsOf returns columns for architectures, each by its name, and another one
// for x86_64.
func columnsOf(t *testing.T, names ...string) []kbuild.ObjectSpec {
	t.Helper()
	var columns []kbuild.ObjectSpec
	for _, name := range names {
		a, err := arch.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		columns = append(columns, kbuild.ObjectSpec{Name: name, Spec: kbuild.Spec{Arch: a}})
		if name == "x86_64" {
			columns = append(columns, kbuild.ObjectSpec{Name: "x86_64-clang", Spec: kbuild.Spec{Arch: a}})
		}
	}
	return columns
}

// makes returns a function that makes a tree; fakeCompiler does not compile "!".
func makes(id string) func(context.Context) (tree.Tree, error) {
	return func(context.Context) (tree.Tree, error) {
		if id == "conflict" {
			return tree.Tree{}, exit.With(exit.PatchFailed, errors.New("does not apply"))
		}
		return tree.Tree{ID: id}, nil
	}
}

func TestElsewhere(t *testing.T) {
	const fault = "virt/kvm/a.c:3: error: expected ';'"
	// What each set changes; the last one nothing that is compiled.
	common := []string{"virt/kvm/kvm_main.c", "arch/s390/kvm/a.c"}
	mips := []string{"arch/mips/kvm/mips.c", "tools/testing/selftests/kvm/a.c"}
	text := []string{"Documentation/virt/kvm/api.rst", "tools/testing/selftests/kvm/b.c"}

	for name, test := range map[string]struct {
		base, all, common, mips string // trees
		want                    []string
		calls                   []string
	}{
		"all together": {
			base: "b", all: "a", common: "!", mips: "!", // are not compiled
			want:  []string{"x86_64, s390x", "mips64el", ""},
			calls: []string{"mips64el/with the sets", "s390x/with the sets", "x86_64/with the sets"},
		},
		"one of them does not": {
			base: "b", all: "!", common: "!", mips: "m",
			want: []string{"not x86_64: " + fault + "; not s390x: " + fault, "mips64el", ""},
			calls: []string{
				"mips64el/with mips", "mips64el/with the sets", "s390x/base", "s390x/with common", "s390x/with the sets",
				"x86_64/base", "x86_64/with common", "x86_64/with the sets",
			},
		},
		"each on its own": {
			base: "b", all: "conflict", common: "c", mips: "m",
			want:  []string{"x86_64, s390x", "mips64el", ""},
			calls: []string{"mips64el/with mips", "s390x/with common", "x86_64/with common"},
		},
		"nor the kernel itself": {
			base: "!", all: "!", common: "!", mips: "m",
			want: []string{"x86_64 does not without it either: " + fault + "; s390x does not without it either: " + fault, "mips64el", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &fakeCompiler{}
			sets := []Candidate{{"common", common, makes(test.common)}, {"mips", mips, makes(test.mips)}, {"text", text, makes("!")}}
			got, err := Elsewhere(t.Context(), c, columnsOf(t, "x86_64", "s390x", "arm64", "mips64el"), tree.Tree{ID: test.base}, makes(test.all), sets, 2)
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, o := range got {
				words = append(words, o.String())
			}
			if diff := cmp.Diff(test.want, words); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			slices.Sort(c.calls)
			if diff := cmp.Diff(test.calls, c.calls); test.calls != nil && diff != "" {
				t.Errorf("compiled (-want +got):\n%s", diff)
			}
		})
	}
}

func TestElsewhereStops(t *testing.T) {
	sets := []Candidate{{"mips", []string{"arch/mips/kvm/mips.c"}, makes("m")}}
	run := func(c *fakeCompiler) ([]Outcome, error) {
		return Elsewhere(t.Context(), c, columnsOf(t, "x86_64", "mips64el"), tree.Tree{ID: "b"}, makes("a"), sets, 2)
	}

	// What is not compiled for need not be there.
	lacks := exit.With(exit.MachineLacks, errors.New("no compiler"))
	if _, err := run(&fakeCompiler{lacks: map[string]error{"x86_64": lacks}}); err != nil {
		t.Errorf("x86_64 is not needed: %v", err)
	}
	c := &fakeCompiler{lacks: map[string]error{"mips64el": lacks}}
	if _, err := run(c); exit.Code(err) != exit.MachineLacks || len(c.calls) > 0 {
		t.Errorf("expected exit code %d before anything is compiled, found %v after %v", exit.MachineLacks, err, c.calls)
	}
	if _, err := run(&fakeCompiler{fail: context.Canceled}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: expected %v, found %v", context.Canceled, err)
	}

	// A configuration that this kernel does not have is one more way to fail.
	got, err := run(&fakeCompiler{fail: exit.With(exit.BuildFailed, errors.New("configure mips64el: Kconfig did not keep CONFIG_KVM\nset what"))})
	if err != nil || !strings.Contains(got[0].String(), "mips64el does not without it either: configure mips64el: Kconfig did not keep CONFIG_KVM") {
		t.Errorf("found %v, %v", got, err)
	}
}
