// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"vcpulab/ebpf/loops"
	"vcpulab/tools/arch"
	"vcpulab/tools/bench"
	"vcpulab/tools/series"
	"vcpulab/tools/variant"
)

// variantsFile lists the kernels that can be measured besides base and patched.
const variantsFile = "variants.toml"

// variants returns those with these names, or all but those that have to be
// asked for.
func (l *lab) variants(names []string, all bool) ([]variant.Variant, error) {
	if len(names) == 0 && !all {
		return nil, nil
	}
	list, err := variant.Load(l.path("ci", variantsFile))
	if err != nil {
		return nil, err
	}
	chosen, err := variant.Choose(list, names)
	if err == nil && all {
		return slices.DeleteFunc(list, func(v variant.Variant) bool { return v.Asked && !slices.Contains(names, v.Name) }), nil
	}
	return chosen, err
}

// candidates builds both kernels and those of the variants, and the loops against
// each.
func (l *lab) candidates(ctx context.Context, f kernelFlags, chosen []variant.Variant) ([]bench.Candidate, error) {
	candidates, err := l.builds(ctx, f, arch.X86_64().Name, chosen)
	if err != nil {
		return nil, err
	}
	return candidates, l.addLoops(ctx, candidates)
}

// builds builds both kernels and those of the variants. Milestones stand before
// the whole series, comparators after it.
func (l *lab) builds(ctx context.Context, f kernelFlags, arch string, chosen []variant.Variant) ([]bench.Candidate, error) {
	s, err := l.series()
	if err != nil {
		return nil, err
	}
	// A patch that does not apply is found before the first kernel is built.
	trees, err := l.variantTrees(ctx, f.sourceFlags, s, chosen)
	if err != nil {
		return nil, err
	}
	base, patched, err := l.kernels(ctx, f, arch)
	if err != nil {
		return nil, err
	}
	whole := bench.Candidate{Name: namePatched, Kernel: patched, Series: s.ID}
	for _, p := range s.Patches {
		if p.Number <= f.lastPatch(s) {
			whole.Patches = append(whole.Patches, p.Subject)
		}
	}
	spec, err := l.spec(f, arch)
	if err != nil {
		return nil, err
	}
	candidates := []bench.Candidate{{Name: nameBase, Kernel: base}}
	var comparators []bench.Candidate
	for i, v := range chosen {
		kernel, err := l.builder().Build(ctx, v.Name, trees[i].Tree, spec)
		if err != nil {
			return nil, err
		}
		made := bench.Candidate{
			Name: v.Name, About: v.About, Limit: v.Limit, Kernel: kernel, Series: trees[i].Series, Patches: trees[i].Subjects,
		}
		if v.Through != "" {
			candidates = append(candidates, made)
		} else {
			comparators = append(comparators, made)
		}
	}
	return append(append(candidates, whole), comparators...), nil
}

// variantTrees makes the trees of variants, in their order.
func (l *lab) variantTrees(ctx context.Context, f sourceFlags, s *series.Series, chosen []variant.Variant) ([]variant.Applied, error) {
	if len(chosen) == 0 {
		return nil, nil
	}
	base, err := l.base(ctx, f)
	if err != nil {
		return nil, err
	}
	var all []variant.Applied
	for _, v := range chosen {
		made, err := v.Apply(ctx, base, s, l.seriesOptions(f))
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}

// addLoops builds the module with the loops against each kernel.
func (l *lab) addLoops(ctx context.Context, candidates []bench.Candidate) error {
	tmp, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	src := filepath.Join(tmp, "vcpuloops")
	if err := os.CopyFS(src, loops.Source); err != nil {
		return fmt.Errorf("write the loops' source: %w", err)
	}
	for i := range candidates {
		built, err := l.builder().BuildModule(ctx, candidates[i].Kernel, src)
		if err != nil {
			return err
		}
		candidates[i].Loops = built[0]
	}
	return nil
}
