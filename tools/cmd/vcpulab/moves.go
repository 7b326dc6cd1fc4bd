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
func (c movesCmd) Run(ctx context.Context, l *lab) error {
	sets, err := l.sets()
	if err != nil {
		return err
	}
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
