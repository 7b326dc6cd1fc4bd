// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"vcpulab/tools/cocci"
	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// conversion is what a rule makes of another kernel.
type conversion struct {
	generated
	KernelSrc string `json:"kernel_src"`
	Version   string `json:"version"`
	// Before says whether the patches that stand before this one were applied
	// first, and Why why not.
	Before bool   `json:"before"`
	Diff   string `json:"diff"`
}

// convert prints what one rule makes of a tree of the user's. Where the
// patches before it apply there, they are applied first, in memory.
func (c generateCmd) convert(ctx context.Context, l *lab, s *series.Series, rules []*cocci.Rule) error {
	if c.Write || c.Check {
		return exit.With(exit.Usage, errors.New("--write and --check are for the pinned kernel; --kernel-src (or KERNEL_SRC) prints a diff"))
	}
	if len(rules) != 1 {
		return exit.With(exit.Usage, fmt.Errorf("name one semantic patch to run on %s: there are %d in %s", c.KernelSrc, len(rules), s.Dir))
	}
	r := rules[0]
	version, err := pin.Version(c.KernelSrc)
	if err != nil {
		return err
	}
	base := tree.Tree{Dir: c.KernelSrc, Version: version}
	out := conversion{KernelSrc: c.KernelSrc, Version: version, generated: generated{cocci.Generated{Rule: r.Name, Subject: r.Subject, Status: cocci.Written}}}
	src := cocci.Source{Dir: base.Dir}
	p, err := r.Patch(s)
	if err == nil {
		out.Patch, out.Number = p.Name, p.Number
		if src, err = cocci.Before(s, p, base, true); err == nil {
			out.Before = true
		}
	}
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		out.Why, src = why, cocci.Source{Dir: base.Dir}
	}
	if out.Result, err = r.Run(ctx, src, cocci.RunOptions{Cache: l.cache, Log: l.log}); err != nil {
		return err
	}
	if out.Places == 0 {
		return exit.With(exit.CheckFailed, fmt.Errorf("run %s on %s: found nothing to change below %s", r.Name, c.KernelSrc, strings.Join(r.Paths, " ")))
	}
	return c.deliver(l, &out)
}

// deliver writes the diff and says what it is.
func (c generateCmd) deliver(l *lab, out *conversion) error {
	report := l.stderr
	switch {
	case c.Output != "":
		if err := os.WriteFile(c.Output, out.Change, 0o644); err != nil {
			return exit.With(exit.Usage, fmt.Errorf("write the diff: %w", err))
		}
		report = l.stdout
	case !l.JSON:
		if _, err := l.stdout.Write(out.Change); err != nil {
			return err
		}
	}
	if l.JSON {
		out.Diff = string(out.Change)
		return l.printJSON(out)
	}
	fmt.Fprintf(report, "Linux %s in %s: %s changes %d of %s, in %s\n",
		out.Version, out.KernelSrc, out.Rule, out.Converted(), count(out.Places, "place"), count(len(out.Files), "file"))
	if out.Before {
		fmt.Fprintf(report, "  to be applied after what stands before %s in the series\n", out.Patch)
	} else {
		fmt.Fprintf(report, "  of the tree as it is: %s\n", out.Why)
	}
	out.printLeft(report)
	return nil
}
