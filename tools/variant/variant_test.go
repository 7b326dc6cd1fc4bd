// SPDX-License-Identifier: GPL-2.0-only

package variant

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

const (
	list    = "../../ci/variants.toml"
	patches = "../../patches"
)

// TestLoad reads the committed list: each milestone is a patch of the committed
// series, each comparator has patches, and the order is that of the series.
func TestLoad(t *testing.T) {
	all, err := Load(list)
	if err != nil {
		t.Fatal(err)
	}
	s, err := series.LoadStack(patches, "")
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, v := range all {
		if v.Patches != "" {
			own, err := series.Load(filepath.Join(patches, v.Patches))
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
				continue
			}
			for _, p := range own.Patches {
				if !strings.Contains(p.Message, "Not for merging") {
					t.Errorf("%s: %s: expected it to say that it is not for merging", v.Name, p.Name)
				}
			}
			continue
		}
		n := 1 + slices.IndexFunc(s.Patches, func(p *series.Patch) bool { return p.Subject == v.Through })
		if n <= last {
			t.Errorf("%s: through patch %d, and the one before through %d: expected the order of the series", v.Name, n, last)
		}
		last = n
	}
	if last == 0 {
		t.Errorf("expected milestones, found %v", Names(all))
	}
}

func TestLoadBad(t *testing.T) {
	for name, tt := range map[string]struct{ text, says string }{
		"no TOML":           {"[[variant", "variants.toml"},
		"unknown key":       {"[[variant]]\nnom = 'a'", "unknown field"},
		"no name":           {"[[variant]]\nabout = 'a'", `expected a name of letters, digits and hyphens, found ""`},
		"name of two words": {"[[variant]]\nname = 'a b'", `found "a b"`},
		"the baseline":      {"[[variant]]\nname = 'base'", "base is always measured"},
		"a repetition":      {"[[variant]]\nname = 'list-again'", "does not end in -again"},
		"twice":             {"[[variant]]\nname = 'a'\nabout = 'a'\nthrough = 'x'\n[[variant]]\nname = 'a'", "variant 2: duplicate name a"},
		"about nothing":     {"[[variant]]\nname = 'a'\nthrough = 'x'", "a: expected a word about what it is"},
		"of nothing":        {"[[variant]]\nname = 'a'\nabout = 'a'", "expected through, the subject of a patch, or patches, a directory"},
		"of both":           {"[[variant]]\nname = 'a'\nabout = 'a'\nthrough = 'x'\npatches = 'y'", "expected through, the subject"},
		"milestone on":      {"[[variant]]\nname = 'a'\nabout = 'a'\nthrough = 'x'\non = 'base'", "on is for variants with patches of their own"},
		"on nothing":        {"[[variant]]\nname = 'a'\nabout = 'a'\npatches = 'y'", `expected on to be base or patched, found ""`},
		"elsewhere":         {"[[variant]]\nname = 'a'\nabout = 'a'\npatches = '../y'\non = 'base'", "expected a directory below"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "variants.toml")
			if err := os.WriteFile(file, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Load(file)
			if err == nil || !strings.Contains(err.Error(), tt.says) || exit.Code(err) != exit.Usage {
				t.Errorf("expected wrong use that says %q, found %v", tt.says, err)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); exit.Code(err) != exit.Usage {
		t.Errorf("no file: expected wrong use, found %v", err)
	}
}

// TestWithRivals: each committed rival is a variant, and is made of what it needs
// and its own patches alone.
func TestWithRivals(t *testing.T) {
	sets, err := series.LoadSets(patches)
	if err != nil {
		t.Fatal(err)
	}
	all, err := WithRivals([]Variant{{Name: "a"}}, sets)
	if err != nil {
		t.Fatal(err)
	}
	if got := Names(all); len(sets.Rivals) == 0 || len(got) != 1+len(sets.Rivals) || got[0] != "a" || got[1] != sets.Rivals[0].Name {
		t.Errorf("expected a and the rivals, found %v", got)
	}
	limits := slices.DeleteFunc(slices.Clone(all), func(v Variant) bool { return !v.Limit })
	if len(limits) != 1 {
		t.Errorf("expected one limit, found %v", Names(limits))
	}
	_, err = WithRivals([]Variant{{Name: sets.Rivals[0].Name}}, sets)
	if err == nil || !strings.Contains(err.Error(), "the name of a variant and of a rival") || exit.Code(err) != exit.Usage {
		t.Errorf("expected wrong use, found %v", err)
	}
}

func TestChoose(t *testing.T) {
	all := []Variant{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	got, err := Choose(all, []string{"c", "a", "c"})
	if diff := cmp.Diff([]string{"a", "c"}, Names(got)); err != nil || diff != "" {
		t.Errorf("%v, chosen (-expected +found):\n%s", err, diff)
	}
	if got, err := Choose(all, nil); err != nil || len(got) > 0 {
		t.Errorf("expected none, found %v, %v", got, err)
	}
	_, err = Choose(all, []string{"a", "d"})
	if err == nil || !strings.Contains(err.Error(), `unknown variant "d": expected one of a, b, c`) || exit.Code(err) != exit.Usage {
		t.Errorf("expected wrong use that lists the variants, found %v", err)
	}
}

// TestMilestoneIsGone: a patch that was renamed is not replaced by another.
func TestMilestoneIsGone(t *testing.T) {
	s, err := series.LoadStack(patches, "")
	if err != nil {
		t.Fatal(err)
	}
	v := Variant{Name: "odd", Through: "KVM: Hold vCPUs in a bucket"}
	_, err = v.Apply(t.Context(), tree.Tree{}, s, series.Options{})
	if err == nil || exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), `variant odd: expected a patch "KVM: Hold vCPUs in a bucket"`) {
		t.Errorf("expected an error that names variant and subject, found %v", err)
	}
}

// envTree is where make test says the pinned kernel's tree is.
const envTree = "VCPULAB_TEST_TREE"

// TestApply makes the trees of all committed variants and rivals, strictly: a comparator
// that the series has left behind is found here.
func TestApply(t *testing.T) {
	dir := os.Getenv(envTree)
	if dir == "" {
		t.Skipf("NOT RUN: %s is not set: there is no kernel to apply patches to; make test sets it", envTree)
	}
	c, err := cache.Open(filepath.Dir(filepath.Dir(filepath.Dir(dir)))) // <cache>/pin/<key>/linux
	if err != nil {
		t.Fatal(err)
	}
	base, err := tree.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Load(list)
	if err != nil {
		t.Fatal(err)
	}
	sets, err := series.LoadSets(patches)
	if err != nil {
		t.Fatal(err)
	}
	if all, err = WithRivals(all, sets); err != nil {
		t.Fatal(err)
	}
	s, err := sets.Load("")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, v := range all {
		made, err := v.Apply(t.Context(), base, s, series.Options{Cache: c})
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if other := seen[made.Tree.ID]; other != "" || made.Tree.ID == base.ID {
			t.Errorf("%s: expected a tree of its own, found that of %q", v.Name, other)
		}
		seen[made.Tree.ID] = v.Name
		if n := len(made.Subjects); n == 0 || v.Through != "" && made.Subjects[n-1] != v.Through {
			t.Errorf("%s: expected its last patch last, found %q", v.Name, made.Subjects)
		}
	}
}
