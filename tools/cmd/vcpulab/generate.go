// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vcpulab/tools/cocci"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// generateCmd makes patches from semantic patches.
type generateCmd struct {
	Patch     string `arg:"" optional:"" help:"Number or file of the patch, or file of the semantic patch (default: all)."`
	Check     bool   `help:"Compare with the patches in the series. This is the default." xor:"what"`
	Write     bool   `help:"Replace diffstat and diff of the patches in the series." xor:"what"`
	KernelSrc string `help:"Another kernel tree, which is only read: print the diff that the semantic patch makes there." placeholder:"DIR" env:"KERNEL_SRC" type:"existingdir"`
	Output    string `short:"o" help:"File for that diff (default: standard output)." placeholder:"FILE"`
}

// generated is a patch that a semantic patch generates.
type generated struct{ cocci.Generated }

// Run compares, replaces or prints.
func (c generateCmd) Run(ctx context.Context, l *lab) error {
	s, err := l.series()
	if err != nil {
		return err
	}
	rules, err := cocci.Load(s.Dir)
	if err != nil {
		return err
	}
	if c.Patch != "" {
		if rules, err = c.choose(s, rules); err != nil {
			return err
		}
	}
	if c.KernelSrc != "" {
		return c.convert(ctx, l, s, rules)
	}
	if c.Output != "" {
		return exit.With(exit.Usage, errors.New("--output is for --kernel-src: the patches of the series have their files"))
	}
	list, err := l.generate(ctx, s, rules, c.Write)
	if err != nil {
		return err
	}
	bad := 0
	for i := range list {
		if !list[i].Good() {
			bad++
		}
	}
	if l.JSON {
		err = l.printJSON(list)
	} else {
		for i := range list {
			list[i].print(l)
		}
		l.printf("%s, %d not as generated\n", count(len(list), "generated patch"), bad)
	}
	if err == nil && bad > 0 {
		err = exit.With(exit.CheckFailed, fmt.Errorf(`generate: expected each patch to be what its semantic patch generates, and nothing left over; not so for %d of %d
vcpulab generate --write replaces them; what is left over wants a patch by hand before`, bad, len(list)))
	}
	return err
}

// choose returns the one rule that the user has named.
func (c generateCmd) choose(s *series.Series, rules []*cocci.Rule) ([]*cocci.Rule, error) {
	name := filepath.Base(c.Patch)
	var names []string
	for _, r := range rules {
		if name == r.Name || name+cocci.Ext == r.Name {
			return []*cocci.Rule{r}, nil
		}
		names = append(names, r.Name)
		if p, err := r.Patch(s); err == nil {
			if name == p.Name || c.Patch == fmt.Sprint(p.Number) {
				return []*cocci.Rule{r}, nil
			}
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		names = []string{"no semantic patch"}
	}
	return nil, exit.With(exit.Usage, fmt.Errorf("%q is neither a semantic patch nor one that is generated; in %s there are: %s",
		c.Patch, s.Dir, strings.Join(names, ", ")))
}

// generate runs rules on the pinned kernel with what stands before their
// patches in the series, and compares with or replaces those patches.
func (l *lab) generate(ctx context.Context, s *series.Series, rules []*cocci.Rule, write bool) ([]generated, error) {
	list := []generated{}
	var base tree.Tree
	for i, r := range rules {
		p, err := r.Patch(s)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if base, err = l.base(ctx, sourceFlags{}); err != nil {
				return nil, err
			}
		}
		g, mail, err := r.Generate(ctx, s, base, cocci.RunOptions{Cache: l.cache, Log: l.log})
		if err != nil {
			return nil, err
		}
		if g.Status == cocci.Different && write {
			if err := replacePatch(s, p, mail); err != nil {
				return nil, err
			}
			g.Status, g.Difference = cocci.Written, nil
		}
		list = append(list, generated{*g})
	}
	return list, nil
}

// replacePatch writes a patch of the series anew.
func replacePatch(s *series.Series, p *series.Patch, mail []byte) error {
	name := filepath.Join(s.Dir, p.Name)
	if strings.Contains(p.Name, "#") {
		return exit.With(exit.Usage, fmt.Errorf("write %s: it shares its file with other mails; give it one of its own", p.Name))
	}
	err := os.WriteFile(name+".new", mail, 0o644)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("write a generated patch: %w", err)
	}
	return nil
}

// print shows what became of a patch.
func (g *generated) print(l *lab) {
	l.printf("%s: %s", g.Patch, g.Status)
	l.printf(", %s changes %s in %s\n", g.Rule, count(g.Converted(), "place"), count(len(g.Files), "file"))
	if d := g.Difference; d != nil {
		l.printf("  line %d of the patch\n    committed: %s\n    generated: %s\n", d.Line, d.Committed, d.Generated)
		if d.HeadingsOnly {
			l.printf("  Only names of functions after @@ differ: another git than %s made the patch.\n", g.Git)
		}
	}
	g.printLeft(l.stdout)
}

// count returns a number of things.
func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "ch"):
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printLeft shows what a rule has not changed and what spatch said.
func (g *generated) printLeft(w io.Writer) {
	for _, left := range g.Left {
		fmt.Fprintf(w, "  left over: %s:%d: %s\n", left.File, left.Line, left.Text)
	}
	for _, line := range g.Said {
		fmt.Fprintf(w, "  spatch: %s\n", line)
	}
}
