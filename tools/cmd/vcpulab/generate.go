// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"vcpulab/tools/cocci"
	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
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

// Run compares, replaces or prints.
func (c generateCmd) Run(ctx context.Context, l *lab) error {
	s, err := l.series("")
	if err != nil {
		return err
	}
	rules, err := cocci.Load(s.Dir)
	if err != nil {
		return err
	}
	if rules, err = cocci.Choose(s, rules, c.Patch); err != nil {
		return err
	}

	switch {
	case c.KernelSrc == "" && c.Output != "":
		return exit.With(exit.Usage, errors.New("--output is for --kernel-src: the patches of the series have their files"))
	case c.KernelSrc == "":
		return c.compare(ctx, l, s, rules)
	case c.Write || c.Check:
		return exit.With(exit.Usage, errors.New("--write and --check are for the pinned kernel; --kernel-src (or KERNEL_SRC) prints a diff"))
	case len(rules) != 1:
		return exit.With(exit.Usage, fmt.Errorf("name one semantic patch to run on %s: there are %d in %s", c.KernelSrc, len(rules), s.Dir))
	}
	return c.convert(ctx, l, s, rules[0])
}

// compare runs rules on the pinned kernel with the patches before theirs, and
// compares with or replaces the patches that they generate.
func (c generateCmd) compare(ctx context.Context, l *lab, s *series.Series, rules []*cocci.Rule) error {
	list := []*cocci.Generated{}
	bad := 0
	for _, r := range rules {
		// Without a patch nothing needs to be fetched.
		if _, err := r.Patch(s); err != nil {
			return err
		}
		base, err := l.base(ctx, sourceFlags{})
		if err != nil {
			return err
		}
		g, patch, err := r.Generate(ctx, s, base, cocci.RunOptions{Cache: l.cache, Log: l.log})
		if err != nil {
			return err
		}
		if g.Status == cocci.Different && c.Write {
			if err := g.Write(s.Dir, patch); err != nil {
				return err
			}
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
func (c generateCmd) convert(ctx context.Context, l *lab, s *series.Series, r *cocci.Rule) error {
	version, err := pin.Version(c.KernelSrc)
	if err != nil {
		return err
	}
	out, err := r.Convert(ctx, s, tree.Tree{Dir: c.KernelSrc, Version: version}, cocci.RunOptions{Cache: l.cache, Log: l.log})
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
