// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"vcpulab/tools/arch"
	"vcpulab/tools/branch"
	"vcpulab/tools/exit"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/matrix"
	"vcpulab/tools/pin"
	"vcpulab/tools/progress"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/variant"
)

// versionsCmd builds and runs nothing without --run.
type versionsCmd struct {
	Old       string   `arg:"" help:"The old version: a directory of patches, an mbox, commits, TREE@A..B, or a revision of this repository."`
	New       string   `arg:"" optional:"" help:"The new one (default: the project's own patches)."`
	Set       string   `help:"Only this set or rival of both, and what it needs (default: all sets)." placeholder:"NAME"`
	OldBase   string   `help:"Base of the old version (default: that of --base)." placeholder:"BASE"`
	NoDiff    bool     `help:"Do not show how patches have changed."`
	Figures   []string `help:"What bench measured of the old and of the new version, to be compared." placeholder:"OLD,NEW"`
	Selftests []string `help:"What selftest wrote of the old and of the new version, to be compared." placeholder:"OLD,NEW"`
	Objects   []string `help:"What build --objects wrote of the old and of the new version, to compare the warnings." placeholder:"OLD,NEW"`
	Sizes     bool     `help:"Compare the sizes of the kernels for x86_64, which have to be built."`
	Runs      []string `name:"run" help:"Make these results of both versions first, on x86_64, and compare them: sizes (of the kernels), objects (warnings with the last patch), selftests (the quick ones), figures (bench --quick)." enum:"sizes,objects,selftests,figures" placeholder:"WHAT"`
	Out       string   `help:"With --run: directory for the results." default:"out/versions" placeholder:"DIR"`
}

type versions struct {
	Patches   []branch.Pair        `json:"patches"`
	Figures   *report.Comparison   `json:"figures,omitempty"`
	Selftests *selftest.Comparison `json:"selftests,omitempty"` // base is the old version
	Objects   *[]matrix.Difference `json:"objects,omitempty"`
	Sizes     []resized            `json:"sizes,omitempty"`
}

// resized is a kernel or a module in both versions.
type resized struct {
	Name string      `json:"name"`
	Old  kbuild.Size `json:"old"`
	New  kbuild.Size `json:"new"`
}

// Run prints what has become of each patch, then of figures and tests.
func (c versionsCmd) Run(ctx context.Context, l *lab) error {
	for _, k := range c.kinds() {
		switch n := len(*k.files); {
		case n > 0 && slices.Contains(c.Runs, k.name):
			return exit.With(exit.Usage, fmt.Errorf("--run %s makes the results that --%[1]s names: leave out one or the other", k.name))
		case n > 0 && n != 2:
			return exit.With(exit.Usage, fmt.Errorf("--%s %s: expected two files, OLD,NEW", k.name, strings.Join(*k.files, ",")))
		}
		for _, file := range *k.files {
			if _, err := os.Stat(file); err != nil {
				return exit.With(exit.Usage, fmt.Errorf("--%s: %w", k.name, err))
			}
		}
	}
	oldLab, newLab := *l, *l
	oldLab.Base = cmp.Or(c.OldBase, l.Base)
	old, err := oldLab.version(ctx, c.Old, c.Set)
	if err != nil {
		return err
	}
	new, err := newLab.version(ctx, c.New, c.Set)
	if err != nil {
		return err
	}
	if len(c.Runs) > 0 {
		if err := c.run(ctx, &oldLab, &newLab); err != nil {
			return err
		}
	}
	found, err := c.compare(ctx, l, old, new)
	if err != nil {
		return err
	}
	return l.show(found, func(w io.Writer) error { return c.write(w, found) })
}

// compare compares all that was asked for: first what takes no time.
func (c versionsCmd) compare(ctx context.Context, l *lab, old, new branch.Version) (found versions, err error) {
	if len(c.Figures) > 0 {
		if found.Figures, err = c.compareFigures(l, old.Series, new.Series); err != nil {
			return found, err
		}
	}
	if len(c.Selftests) > 0 {
		if found.Selftests, err = c.compareSelftests(); err != nil {
			return found, err
		}
	}
	if len(c.Objects) > 0 {
		var reports [2]matrix.Report
		for i, file := range c.Objects {
			if err := jsonfile.Load(file, &reports[i]); err != nil {
				return found, exit.With(exit.Usage, err)
			}
		}
		differ := matrix.Versions(&reports[0], &reports[1])
		found.Objects = &differ
	}
	if found.Patches, err = branch.RangeDiff(ctx, old, new); err == nil && c.Sizes {
		found.Sizes, err = l.compareSizes(ctx, old, new)
	}
	return found, err
}

// version opens a version of a series; "" is the project's own.
func (l *lab) version(ctx context.Context, name, set string) (v branch.Version, err error) {
	flags := seriesFlags{Series: name, Set: set}
	l.opened = nil
	_, notThere := os.Stat(inHome(name))
	_, _, isTree := pin.CutTree(inHome(name))
	if name != "" && notThere != nil && !isTree {
		var said string
		if l.opened, said, err = series.OpenRevision(ctx, l.root, name, "patches", l.cache); err != nil {
			return v, err
		}
		fmt.Fprintln(l.stderr, said)
	}
	w, err := l.open(ctx, flags)
	if err != nil {
		return v, err
	}
	v = branch.Version{Base: w.base, Options: w.options}
	v.Series, _, err = l.series(ctx, flags)
	return v, err
}

// compareFigures says, too, which results are of other patches than these.
func (c versionsCmd) compareFigures(l *lab, versions ...*series.Series) (*report.Comparison, error) {
	var measured []*results.Results
	for i, file := range c.Figures {
		r, err := results.Read(file)
		if err != nil {
			return nil, err
		}
		for _, k := range r.Kernels {
			if k.Name == variant.Patched && k.Series != versions[i].ID {
				fmt.Fprintf(l.stderr, "%s: measured with other patches, series %.12s, not %.12s\n", file, k.Series, versions[i].ID)
			}
		}
		measured = append(measured, r)
	}
	return report.Compare(measured[0], measured[1]), nil
}

func (c versionsCmd) compareSelftests() (*selftest.Comparison, error) {
	var patched [2][]selftest.Result
	var arches [2]string
	for i, file := range c.Selftests {
		var wrote selftest.Comparison
		if err := jsonfile.Load(file, &wrote); err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		arches[i] = strings.TrimSpace(wrote.Arch + " " + wrote.Params)
		for _, t := range wrote.Tests {
			if t.Patched != nil {
				patched[i] = append(patched[i], *t.Patched)
			}
		}
	}
	if arches[0] != arches[1] {
		return nil, exit.With(exit.Usage, fmt.Errorf("--selftests: expected results of the same kind, found %s and %s", arches[0], arches[1]))
	}
	compared := selftest.Compare(patched[0], patched[1], selftest.Expectations{})
	compared.Arch = arches[0]
	return &compared, nil
}

// compareSizes compares the kernels with two versions. It builds none.
func (l *lab) compareSizes(ctx context.Context, versions ...branch.Version) ([]resized, error) {
	var sizes [2]map[string]kbuild.Size
	spec, err := l.spec(kernelFlags{}, arch.X86_64().Name)
	if err != nil {
		return nil, err
	}
	for i, v := range versions {
		t, _, err := v.Series.Apply(ctx, v.Base, v.Options)
		var k *kbuild.Kernel
		if err == nil {
			k, err = l.builder().Built(ctx, t, spec)
		}
		if err == nil && k == nil {
			err = exit.With(exit.Usage, fmt.Errorf("--sizes: the kernel with %s is not built: use --run sizes", v.Series.Dir))
		}
		if err == nil {
			sizes[i], err = k.Sizes()
		}
		if err != nil {
			return nil, err
		}
	}

	var all []resized
	both := maps.Clone(sizes[0])
	maps.Copy(both, sizes[1])
	for _, name := range slices.Sorted(maps.Keys(both)) {
		all = append(all, resized{name, sizes[0][name], sizes[1][name]})
	}
	return all, nil
}

// write writes what is different for people: first what has become of the patches.
func (c versionsCmd) write(w io.Writer, v versions) error {
	for _, p := range v.Patches {
		fmt.Fprintf(w, "%-8s %-12s %-12s %s\n", p.Fate, place(p.Old), place(p.New), p.Subject)
		if !c.NoDiff && p.Diff != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(strings.TrimSuffix(p.Diff, "\n"), "\n", "\n    "))
		}
	}
	fmt.Fprintln(w, branch.Summary(v.Patches))
	var err error
	if v.Figures != nil {
		fmt.Fprintln(w)
		err = v.Figures.WriteText(w, false, report.Colours(w))
	}
	if v.Selftests != nil {
		fmt.Fprintln(w, "\nselftests, with the old version (base) and with the new one (patched):")
		err = errors.Join(err, v.Selftests.WriteText(w, "bin/vcpulab selftest --only %s"))
	}
	if v.Objects != nil {
		fmt.Fprintf(w, "\nwarnings differ in %s\n", progress.Count(len(*v.Objects), "column"))
		for _, d := range *v.Objects {
			fmt.Fprintf(w, "%s: %s, was %s\n", d.Column, cmp.Or(d.New, "not compiled"), cmp.Or(d.Old, "not compiled"))
			for _, warning := range d.Added {
				fmt.Fprintf(w, "  new: %s\n", warning)
			}
			for _, warning := range d.Removed {
				fmt.Fprintf(w, "  gone: %s\n", warning)
			}
		}
	}
	if len(v.Sizes) > 0 {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(table, "\nbytes\ttext\t\tdata\t\tbss\t\t")
		for _, s := range v.Sizes {
			fmt.Fprintf(table, "%s\t%d\t%+d\t%d\t%+d\t%d\t%+d\t\n", s.Name, s.New.Text, s.New.Text-s.Old.Text,
				s.New.Data, s.New.Data-s.Old.Data, s.New.BSS, s.New.BSS-s.Old.BSS)
		}
		err = errors.Join(err, table.Flush())
	}
	return err
}

// place is the set and the number in the name of a patch, as walks/3.
func place(name string) string {
	set, file := path.Split(name)
	number, _, _ := strings.Cut(strings.TrimLeft(file, "0"), "-")
	return set + number
}

// kind is a kind of results that both versions have, in a file of each.
type kind struct {
	name  string    // for --run, and of the flag for the files
	files *[]string // OLD, NEW
	file  string    // below the directory that run writes to
	run   func(ctx context.Context, l *lab, k kernelFlags, dir string) error
}

// kinds are those that are named, or made by --run.
func (c *versionsCmd) kinds() []kind {
	x86 := arch.X86_64().Name
	return []kind{
		{"objects", &c.Objects, "matrix.json", func(ctx context.Context, l *lab, k kernelFlags, dir string) error {
			return buildCmd{kernelFlags: k, Arch: x86, Objects: true, Out: dir}.Run(ctx, l)
		}},
		{"selftests", &c.Selftests, x86 + "/selftests.json", func(ctx context.Context, l *lab, k kernelFlags, dir string) error {
			return selftestCmd{kernelFlags: k, Arch: x86, Quick: true, Accel: "auto", Out: dir}.Run(ctx, l)
		}},
		{"figures", &c.Figures, "results.json", func(ctx context.Context, l *lab, k kernelFlags, dir string) error {
			return benchRunCmd{seriesFlags: k.seriesFlags, Quick: true, Accel: "auto", Seed: 1, Out: dir}.Run(ctx, l)
		}},
	}
}

// run builds, tests and measures both versions as asked for, and compares what came of
// it, as if the files had been named. A kernel that is built already is not built again.
func (c *versionsCmd) run(ctx context.Context, oldLab, newLab *lab) error {
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	if err := c.runVersion(ctx, oldLab, c.Old, filepath.Join(out, "old")); err != nil {
		return fmt.Errorf("the old version: %w", err)
	}
	if err := c.runVersion(ctx, newLab, c.New, filepath.Join(out, "new")); err != nil {
		return fmt.Errorf("the new version: %w", err)
	}
	return nil
}

// runVersion makes what was asked for of the version that a lab has opened. A test that fails
// or a goal that is missed is not an error: it is what is compared.
func (c *versionsCmd) runVersion(ctx context.Context, l *lab, name, dir string) error {
	quiet := *l
	quiet.stdout, quiet.JSON = io.Discard, false
	flags := kernelFlags{seriesFlags: seriesFlags{Series: name, Set: c.Set}, Config: configDefault}
	if slices.Contains(c.Runs, "sizes") {
		c.Sizes = true
		if err := (buildCmd{kernelFlags: flags, Arch: arch.X86_64().Name}).Run(ctx, &quiet); err != nil {
			return err
		}
	}
	for _, k := range c.kinds() {
		if !slices.Contains(c.Runs, k.name) {
			continue
		}
		own := filepath.Join(dir, k.name)
		file := filepath.Join(own, k.file)
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) { // an earlier run's
			return err
		}
		err := k.run(ctx, &quiet, flags, own)
		_, missing := os.Stat(file)
		compared := slices.Contains([]int{exit.CheckFailed, exit.BootFailed}, exit.Code(err))
		if err != nil && (missing != nil || ctx.Err() != nil || !compared) {
			return err
		}
		if err != nil {
			fmt.Fprintf(l.stderr, "%s: %v\n", own, err)
		}
		*k.files = append(*k.files, file)
	}
	return nil
}
