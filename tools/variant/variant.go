// SPDX-License-Identifier: GPL-2.0-only

// Package variant is about the kernels to measure besides the one without and
// the one with the series: milestones of the series, comparators, whose patches
// are in directories of their own, and rivals.
//
// The list is a TOML file. A milestone is named by the subject of its last
// patch, because numbers change whenever a patch is added.
package variant

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/results"
	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
	"vcpulab/tools/tree"
)

// The names of the kernels that are always measured, which no variant can have.
const (
	Base    = "base"
	Patched = "patched"
)

// Variant is one more kernel to measure: a milestone, a comparator or a rival.
type Variant struct {
	Name    string `toml:"name"`    // one word, as tables head a column with it
	About   string `toml:"about"`   // in a few words what it holds vCPUs in
	Through string `toml:"through"` // subject of the last patch of a milestone
	// Patches is the directory of a comparator's patches, below that of the
	// series, and On what they apply to: Base or Patched.
	Patches string `toml:"patches"`
	On      string `toml:"on"`
	// Limit says of a rival that no container can be faster than its own where
	// a vCPU is looked up by its index.
	Limit bool `toml:"-"`
	// Asked says that it is measured only if it is asked for by name: it is a
	// test of the measurement, not something to compare with.
	Asked   bool   `toml:"asked"`
	Lookups string `toml:"-"` // of a rival: where vCPUs may be looked up

	rival *series.Series // with what it needs
}

// Load reads a list of variants: a TOML file with a table [[variant]] for
// each. An error stands for exit.Usage.
func Load(name string) ([]Variant, error) {
	var file struct {
		Variant []Variant `toml:"variant"`
	}
	if err := tomlfile.Load(name, &file); err != nil {
		return nil, fmt.Errorf("read the list of variants: %w", err)
	}
	for i, v := range file.Variant {
		if err := v.check(file.Variant[:i]); err != nil {
			return nil, tomlfile.Invalid(name, fmt.Errorf("variant %d: %w", i+1, err))
		}
	}
	return file.Variant, nil
}

// check says what is wrong with a variant that comes after others.
func (v Variant) check(before []Variant) error {
	switch {
	case v.Name == "" || strings.Trim(v.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("expected a name of letters, digits and hyphens, found %q", v.Name)
	case v.Name == Base || v.Name == Patched:
		return fmt.Errorf("%s is always measured: expected another name", v.Name)
	// A column that ends so is the repetition of another.
	case strings.HasSuffix(v.Name, "-again"):
		return fmt.Errorf("%s: expected a name that does not end in -again", v.Name)
	case slices.ContainsFunc(before, func(o Variant) bool { return o.Name == v.Name }):
		return fmt.Errorf("duplicate name %s", v.Name)
	case v.About == "":
		return fmt.Errorf("%s: expected a word about what it is", v.Name)
	case (v.Through == "") == (v.Patches == ""):
		return fmt.Errorf("%s: expected through, the subject of a patch, or patches, a directory", v.Name)
	case v.Through != "" && v.On != "":
		return fmt.Errorf("%s: on is for variants with patches of their own", v.Name)
	case v.Patches != "" && v.On != Base && v.On != Patched:
		return fmt.Errorf("%s: expected on to be %s or %s, found %q", v.Name, Base, Patched, v.On)
	case v.Patches != "" && !filepath.IsLocal(v.Patches):
		return fmt.Errorf("%s: expected a directory below that of the series, found %q", v.Name, v.Patches)
	}
	return nil
}

// Choose returns the variants with these names, each once and in the order of
// all. The error of an unknown one stands for exit.Usage and lists those that
// are known.
func Choose(all []Variant, names []string) ([]Variant, error) { return choose("variant", all, names) }

func choose(what string, all []Variant, names []string) ([]Variant, error) {
	for _, n := range names {
		if !slices.Contains(Names(all), n) {
			return nil, exit.With(exit.Usage, fmt.Errorf("unknown %s %q: expected one of %s", what, n, strings.Join(Names(all), ", ")))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(v Variant) bool { return !slices.Contains(names, v.Name) }), nil
}

// WithRivals returns a list of variants and, after them, the rivals of sets. An
// error stands for exit.Usage, or is one of series.Load.
func WithRivals(list []Variant, sets *series.Sets) ([]Variant, error) {
	all := slices.Clone(list)
	for _, set := range sets.Rivals {
		if slices.ContainsFunc(list, func(v Variant) bool { return v.Name == set.Name }) {
			return nil, exit.With(exit.Usage, fmt.Errorf("%s is the name of a variant and of a rival: expected another name for one of them", set.Name))
		}
		s, err := sets.Load(set.Name)
		if err != nil {
			return nil, fmt.Errorf("variant %s: %w", set.Name, err)
		}
		all = append(all, Variant{Name: set.Name, About: "rival: " + set.About, Lookups: set.Lookups, Limit: set.Limit, rival: s})
	}
	return all, nil
}

// Names returns the names of variants, in their order.
func Names(all []Variant) []string {
	var names []string
	for _, v := range all {
		names = append(names, v.Name)
	}
	return names
}

// Applied is what was applied to make a variant's tree.
type Applied struct {
	Tree     tree.Tree
	Series   string // identifies all patches
	Subjects []string
}

// Apply makes a variant's tree of the unpatched one. s is the series; o.Through
// is not used. The errors are those of series.Load and series.Apply; that the
// series does not have the milestone's patch stands for exit.Usage.
func (v Variant) Apply(ctx context.Context, base tree.Tree, s *series.Series, o series.Options) (Applied, error) {
	o.Through = 0
	if v.rival != nil {
		t, _, err := v.rival.Apply(ctx, base, o)
		return Applied{t, v.rival.ID, subjects(v.rival, len(v.rival.Patches))}, err
	}
	if v.Through != "" {
		last := slices.IndexFunc(s.Patches, func(p *series.Patch) bool { return p.Subject == v.Through })
		if last < 0 {
			return Applied{}, exit.With(exit.Usage, fmt.Errorf("variant %s: expected a patch %q in %s, found none of that subject", v.Name, v.Through, s.Dir))
		}
		o.Through = s.Patches[last].Number
		t, _, err := s.Apply(ctx, base, o)
		return Applied{t, s.ID, subjects(s, o.Through)}, err
	}

	own, err := series.Load(filepath.Join(s.Dir, v.Patches))
	if err != nil {
		return Applied{}, fmt.Errorf("variant %s: %w", v.Name, err)
	}

	out := Applied{Tree: base, Series: own.ID}
	if v.On == Patched {
		if out.Tree, _, err = s.Apply(ctx, base, o); err != nil {
			return Applied{}, err
		}
		out.Series, out.Subjects = s.ID+"+"+own.ID, subjects(s, len(s.Patches))
	}
	if out.Tree, _, err = own.Apply(ctx, out.Tree, o); err != nil {
		return Applied{}, fmt.Errorf("variant %s: %w", v.Name, err)
	}
	out.Subjects = append(out.Subjects, subjects(own, len(own.Patches))...)
	return out, nil
}

// subjects returns those of the first n patches.
func subjects(s *series.Series, n int) []string {
	var out []string
	for _, p := range s.Patches[:n] {
		out = append(out, p.Subject)
	}
	return out
}

// IsDesign says that the variant holds vCPUs in a way of its own, as each rival
// does, and is not a milestone or a test of the measurement.
func (v Variant) IsDesign() bool { return v.rival != nil }

// ChooseDesigns returns the variants with these names, all designs without any. The
// error of one that is no design stands for exit.Usage.
func ChooseDesigns(all []Variant, names []string) ([]Variant, error) {
	designs := slices.DeleteFunc(slices.Clone(all), func(v Variant) bool { return !v.IsDesign() })
	if len(names) == 0 {
		return designs, nil
	}
	return choose("design", designs, names)
}

// Designs describes, by the names of kernels, that of the one without patches, that of
// all sets, and those of the variants. Errors are those of series.Load.
func Designs(sets *series.Sets, variants []Variant) (map[string]*results.Design, error) {
	out := map[string]*results.Design{Base: {About: sets.Base.About, Lookups: sets.Base.Lookups}}
	add := func(kernel, about, lookups string, own ...string) error {
		s, err := sets.LoadOwn(own...)
		if err != nil {
			return fmt.Errorf("design %s: %w", kernel, err)
		}
		c := s.Change()
		out[kernel] = &results.Design{About: about, Lookups: lookups, Added: c.Added, Removed: c.Removed, Architectures: c.Architectures}
		return nil
	}
	err := add(Patched, sets.Main.About, sets.Main.Lookups, sets.Main.Sets...)
	for _, v := range variants {
		if v.IsDesign() && err == nil {
			err = add(v.Name, v.About, v.Lookups, v.Name)
		}
	}
	return out, err
}
