// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vcpulab/tools/cocci"
	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

type generateCmd struct {
	Patch  string `arg:"" optional:"" help:"Set and number of the patch, as walks/10, its file, or that of the semantic patch (default: all)."`
	Check  bool   `help:"Compare with the patches in the series. This is the default." xor:"what"`
	Write  bool   `help:"Replace diffstat and diff of the patches in the series." xor:"what"`
	Output string `short:"o" help:"File for that diff (default: standard output)." placeholder:"FILE"`
}

// Run compares, replaces or prints.
func (c generateCmd) Run(ctx context.Context, l *lab, sets *series.Sets) error {
	rules, err := c.rules(sets)
	if err != nil {
		return err
	}

	b, err := l.findBase(ctx, seriesFlags{})
	if err != nil {
		return err
	}
	switch {
	case b.Tree == "" && c.Output != "":
		return exit.With(exit.Usage, errors.New("--output is for another tree, see --base: the patches of the series have their files"))
	case b.Tree == "":
		return c.compare(ctx, l, rules)
	case c.Write || c.Check:
		return exit.With(exit.Usage, errors.New("--write and --check are for the pinned kernel; --base (or KERNEL_SRC) with a tree prints a diff"))
	case len(rules) != 1:
		return exit.With(exit.Usage, fmt.Errorf("name one semantic patch to run on %s: there are %d in %s", l.Base, len(rules), l.path("patches")))
	}
	return c.convert(ctx, l, b, rules[0])
}

// ruleOf is a semantic patch and the series of its patch: a set after those that it needs.
type ruleOf struct {
	*cocci.Rule
	series *series.Series
}

func (c generateCmd) rules(sets *series.Sets) ([]ruleOf, error) {
	var rules []ruleOf
	var known []string
	for _, set := range sets.All {
		found, err := cocci.Load(filepath.Join(sets.Dir, set.Name))
		if err != nil {
			return nil, err
		}
		s, err := sets.Load(set.Name)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			known = append(known, r.Name)
			if c.Patch == "" || r.Means(s, c.Patch) {
				rules = append(rules, ruleOf{r, s})
			}
		}
	}
	if c.Patch != "" && len(rules) == 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("%q is neither a semantic patch nor a generated one; in %s there are: %s",
			c.Patch, sets.Dir, cmp.Or(strings.Join(known, ", "), "none")))
	}
	return rules, nil
}

// compare runs rules on the pinned kernel with the patches before theirs, and
// compares with or replaces the patches that they generate.
func (c generateCmd) compare(ctx context.Context, l *lab, rules []ruleOf) error {
	list := []*cocci.Generated{}
	bad := 0
	for _, r := range rules {
		// Without a patch nothing needs to be fetched.
		if _, err := r.Patch(r.series); err != nil {
			return err
		}
		base, err := l.base(ctx, seriesFlags{})
		if err != nil {
			return err
		}
		g, patch, err := r.Generate(ctx, r.series, base, cocci.RunOptions{Cache: l.cache, Log: l.log})
		if err == nil && g.Status == cocci.Different && c.Write {
			err = g.Write(r.series.Dir, patch)
		}
		if err != nil {
			return err
		}
		if !g.Good() {
			bad++
		}
		list = append(list, g)
	}

	err := l.show(list, func(w io.Writer) error {
		for _, g := range list {
			g.WriteText(w)
		}
		fmt.Fprintf(w, "generated patches: %d, not as generated: %d\n", len(list), bad)
		return nil
	})
	if err == nil && bad > 0 {
		err = exit.With(exit.CheckFailed, fmt.Errorf(`generate: expected each patch to be what its semantic patch generates, and nothing left over; not so for %d of %d
vcpulab generate --write replaces them; what is left over needs a patch by hand before them`, bad, len(list)))
	}
	return err
}

// convert prints the diff that a rule makes in a tree of the user's.
func (c generateCmd) convert(ctx context.Context, l *lab, b *pin.Base, r ruleOf) error {
	at := tree.Tree{Dir: b.Tree}
	var err error
	if b.Rev == "" {
		at.Version, err = pin.Version(b.Tree)
	} else {
		at, err = b.Fetch(ctx, l.fetchOptions())
	}
	if err != nil {
		return err
	}
	out, err := r.Convert(ctx, r.series, at, cocci.RunOptions{Cache: l.cache, Log: l.log})
	if err != nil {
		return err
	}

	report := l.stderr
	if c.Output != "" {
		if err := os.WriteFile(c.Output, out.Change, 0o644); err != nil {
			return exit.With(exit.Usage, fmt.Errorf("write the diff: %w", err))
		}
		report = l.stdout
	}
	if l.JSON {
		return l.printJSON(out)
	}
	if c.Output == "" {
		l.printf("%s", out.Change)
	}
	out.WriteText(report)
	return nil
}
