// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"vcpulab/tools/branch"
	"vcpulab/tools/exit"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/matrix"
	"vcpulab/tools/pin"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

type ontoCmd struct {
	Bases    []string `arg:"" help:"Bases to try them on: pins, versions that Debian packages, kernel trees or git repositories, as DIR or DIR@REVISION."`
	Series   string   `help:"Try your own series: a directory of patches, an mbox, or commits, TREE@A..B." placeholder:"SERIES"`
	Compile  bool     `help:"Compile KVM with the sets that apply, for x86_64 and for the architectures that they change."`
	Markdown bool     `help:"Print the table in Markdown."`
	Into     string   `help:"Write the table into this Markdown file, between its markers." placeholder:"FILE" type:"existingfile"`
	Since    string   `help:"Compare with this earlier result, of --json: exit code 1 if a set got worse." placeholder:"FILE" type:"existingfile"`
	Checkout string   `help:"Make this directory, a git repository in which the set is picked onto the one base, until it conflicts: git goes on from there." placeholder:"DIR"`
	Set      string   `help:"With --checkout: the set or rival to pick, after what it needs (default: the last one)." placeholder:"NAME"`
}

// ontoBase is what becomes of the sets on one base.
type ontoBase struct {
	Version string        `json:"version"`
	Sets    []series.Move `json:"sets"`
	// Compiled is of those that apply, nil if that was not asked for.
	Compiled []matrix.Outcome `json:"compiled,omitempty"`
}

// ontoSection is where the table is put in a Markdown file.
var ontoSection = section{"onto", "onto --compile --into patches/README.md BASE..."}

// Run prints a table, a row for each set and a column for each kernel, or two.
func (c ontoCmd) Run(ctx context.Context, l *lab) error {
	if l.Base != "" || c.Checkout != "" && len(c.Bases) != 1 || c.Set != "" && c.Checkout == "" {
		return exit.With(exit.Usage, errors.New("onto: expected the bases as arguments, one with --checkout, and --set with --checkout alone"))
	}
	sets, err := l.setsOf(ctx, seriesFlags{Series: c.Series})
	if err != nil {
		return err
	}
	if c.Checkout != "" {
		return c.checkout(ctx, l, sets)
	}
	var was, kernels []ontoBase
	if c.Since != "" {
		if err := jsonfile.Load(c.Since, &was); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	// A wrong name is said before the others are fetched, and compiled.
	var found []*pin.Base
	for _, name := range c.Bases {
		l.Base = name
		b, err := l.findBase(ctx, seriesFlags{})
		if err != nil {
			return err
		}
		found = append(found, b)
	}
	for _, b := range found {
		base, err := b.Fetch(ctx, l.fetchOptions())
		if err != nil {
			return err
		}
		k := ontoBase{Version: base.Version}
		if k.Sets, err = sets.Moves(base); err != nil {
			return err
		}
		if c.Compile {
			if k.Compiled, err = l.compileMoved(ctx, sets, base, k.Sets); err != nil {
				return err
			}
		}
		kernels = append(kernels, k)
	}

	rows := c.table(sets, kernels)
	if c.Into != "" {
		err = ontoSection.insert(c.Into, func(w io.Writer) error { return writeMarkdown(w, rows) })
	} else {
		err = l.show(kernels, func(w io.Writer) error {
			if c.Markdown {
				return writeMarkdown(w, rows)
			}
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, row := range rows {
				fmt.Fprintln(t, strings.ReplaceAll(strings.Join(row, "\t"), "`", ""))
			}
			return t.Flush()
		})
	}
	return errors.Join(err, worse(was, kernels))
}

// worse returns an error if a set applied or compiled on a kernel, and does not any more.
func worse(was, is []ontoBase) error {
	good := make(map[[3]string]bool)
	var list []string
	each := func(kernels []ontoBase, see func(key [3]string, good bool, says string)) {
		for _, k := range kernels {
			for _, m := range k.Sets {
				see([3]string{k.Version, m.Set, "applied"}, m.Applies(), m.String())
			}
			for _, o := range k.Compiled {
				see([3]string{k.Version, o.Set, "compiled"}, len(o.Fails) == 0, o.String())
			}
		}
	}
	each(was, func(key [3]string, ok bool, _ string) { good[key] = ok })
	each(is, func(key [3]string, ok bool, says string) {
		if good[key] && !ok {
			list = append(list, fmt.Sprintf("%s on %s: %s, it %s", cmp.Or(key[1], "all"), key[0], says, key[2]))
		}
	})
	if len(list) == 0 {
		return nil
	}
	return exit.With(exit.CheckFailed, fmt.Errorf("onto: worse than it was:\n  %s", strings.Join(list, "\n  ")))
}

// checkout picks a set onto the base, in a git repository.
func (c ontoCmd) checkout(ctx context.Context, l *lab, sets *series.Sets) error {
	set, err := sets.Find(cmp.Or(c.Set, sets.All[len(sets.All)-1].Name))
	if err != nil {
		return err
	}
	w, err := l.open(ctx, seriesFlags{Series: c.Series})
	if err != nil {
		return err
	}
	l.Base = c.Bases[0]
	onto, err := l.base(ctx, seriesFlags{})
	if err != nil {
		return err
	}
	p, err := branch.Pick(ctx, c.Checkout, w.base, onto, sets, set, w.options)
	if err != nil {
		return err
	}
	err = l.show(p, func(out io.Writer) error {
		already := ""
		if p.Already > 0 {
			already = fmt.Sprintf(", %d there already", p.Already)
		}
		_, err := fmt.Fprintf(out, "%s: %d of %d commits are on Linux %s%s, on the branch %s\n%s", c.Checkout, p.Picked, p.Commits, onto.Version, already, p.Branch, p.Said)
		return err
	})
	if err == nil && p.Said != "" {
		err = exit.With(exit.PatchFailed, fmt.Errorf("onto: commit %d of %d conflicts; resolve that in %s, git add what was resolved, and git cherry-pick --continue", p.Picked+p.Already+1, p.Commits, c.Checkout))
	}
	return err
}

// compileMoved compiles KVM of a kernel with the sets that apply to it.
func (l *lab) compileMoved(ctx context.Context, sets *series.Sets, base tree.Tree, moves []series.Move) ([]matrix.Outcome, error) {
	columns, err := matrix.Load(l.path("ci", "matrix"))
	if err != nil {
		return nil, err
	}
	with := func(names ...string) func(context.Context) (tree.Tree, error) {
		return func(ctx context.Context) (t tree.Tree, err error) {
			stack, err := sets.Load(names...)
			if err == nil {
				t, _, err = stack.Apply(ctx, base, series.Options{Relocate: true, Cache: l.cache, Log: l.log})
			}
			return t, err
		}
	}

	var names []string
	var list []matrix.Candidate
	for _, m := range moves {
		if !m.Applies() {
			continue
		}
		own, err := sets.LoadOwn(m.Set)
		if err != nil {
			return nil, err
		}
		names = append(names, m.Set)
		list = append(list, matrix.Candidate{Set: m.Set, Paths: own.Paths(), Tree: with(m.Set)})
	}
	if len(list) == 0 {
		return nil, nil
	}
	return matrix.Elsewhere(ctx, l.builder(), columns, base, with(names...), list, parallelColumns)
}

// table returns the rows of the table, its head first.
func (c ontoCmd) table(sets *series.Sets, kernels []ontoBase) [][]string {
	rows := [][]string{{"set"}}
	for _, set := range sets.All {
		rows = append(rows, []string{"`" + cmp.Or(set.Name, "all") + "`"})
	}
	for _, k := range kernels {
		rows[0] = append(rows[0], k.Version)
		if c.Compile {
			rows[0] = append(rows[0], "compiles")
		}
		for i, m := range k.Sets {
			rows[i+1] = append(rows[i+1], m.String())
			if !c.Compile {
				continue
			}
			compiled := ""
			if at := slices.IndexFunc(k.Compiled, func(o matrix.Outcome) bool { return o.Set == m.Set }); at >= 0 {
				compiled = k.Compiled[at].String()
			}
			rows[i+1] = append(rows[i+1], compiled)
		}
	}
	return rows
}

func writeMarkdown(w io.Writer, rows [][]string) error {
	for i, row := range rows {
		for _, cell := range row {
			fmt.Fprint(w, strings.TrimRight("| "+strings.ReplaceAll(cell, "|", "\\|"), " ")+" ")
		}
		fmt.Fprintln(w, "|")
		if i == 0 {
			fmt.Fprintln(w, strings.Repeat("|---", len(row))+"|")
		}
	}
	return nil
}
