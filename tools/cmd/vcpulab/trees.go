// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"vcpulab/tools/series"
)

// fetchCmd fetches the pinned kernel.
type fetchCmd struct{}

// Run prints where the unpacked tree is.
func (fetchCmd) Run(ctx context.Context, l *lab) error {
	t, err := l.base(ctx, sourceFlags{})
	if err != nil {
		return err
	}
	return l.print(t, "{{.Dir}}\n")
}

// applyCmd applies the series.
type applyCmd struct {
	sourceFlags
}

// Run prints what each patch did and, last, where the patched tree is.
func (c applyCmd) Run(ctx context.Context, l *lab) error {
	_, t, report, err := l.trees(ctx, c.sourceFlags)
	if err != nil {
		return err
	}
	if err := l.show(report, report.WriteText); err != nil || l.JSON {
		return err
	}
	l.printf("%s\n", t.Dir)
	return nil
}

// movesCmd says on which kernels the sets apply.
type movesCmd struct {
	Trees []string `arg:"" help:"Kernel trees to try them on, which are only read, directories or git checkouts."`
}

// kernelMoves is what becomes of the sets on one kernel.
type kernelMoves struct {
	Version string        `json:"version"`
	Sets    []series.Move `json:"sets"`
}

// Run prints a table in Markdown, a row for each set and a column for each kernel.
func (c movesCmd) Run(ctx context.Context, l *lab, sets *series.Sets) error {
	var kernels []kernelMoves
	for _, dir := range c.Trees {
		base, err := l.base(ctx, sourceFlags{KernelSrc: dir})
		if err != nil {
			return err
		}
		moves, err := sets.Moves(base)
		if err != nil {
			return err
		}
		kernels = append(kernels, kernelMoves{base.Version, moves})
	}

	return l.show(kernels, func(w io.Writer) error {
		head, rule := "| set |", "|---|"
		rows := make([]string, len(sets.All))
		for i, set := range sets.All {
			rows[i] = fmt.Sprintf("| `%s` |", cmp.Or(set.Name, "all"))
		}
		for _, k := range kernels {
			head += " " + k.Version + " |"
			rule += "---|"
			for i, m := range k.Sets {
				rows[i] += " " + m.String() + " |"
			}
		}
		_, err := fmt.Fprintln(w, strings.Join(append([]string{head, rule}, rows...), "\n"))
		return err
	})
}
