// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/matrix"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// movesCmd says on which kernels the sets apply.
type movesCmd struct {
	Trees   []string `arg:"" help:"Kernel trees to try them on, which are only read, directories or git checkouts."`
	Compile bool     `help:"Compile KVM with the sets that apply, for x86_64 and for the architectures that they change."`
	Into    string   `help:"Write the table into this Markdown file, between its markers." placeholder:"FILE" type:"existingfile"`
}

// kernelMoves is what becomes of the sets on one kernel.
type kernelMoves struct {
	Version string        `json:"version"`
	Sets    []series.Move `json:"sets"`
	// Compiled is of those that apply, nil if that was not asked for.
	Compiled []matrix.Outcome `json:"compiled,omitempty"`
}

// The markers in a Markdown file, between which the table is put.
const (
	movesBegin = "<!-- moves: vcpulab moves --compile --into patches/README.md TREE... -->\n"
	movesEnd   = "<!-- end of moves -->\n"
)

// Run prints a table in Markdown, a row for each set and a column for each kernel,
// or two.
func (c movesCmd) Run(ctx context.Context, l *lab, sets *series.Sets) error {
	var kernels []kernelMoves
	for _, dir := range c.Trees {
		l.Base = dir
		base, err := l.base(ctx, seriesFlags{})
		if err != nil {
			return err
		}
		k := kernelMoves{Version: base.Version}
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

	if c.Into != "" {
		return insert(c.Into, movesBegin, c.table(sets, kernels), movesEnd)
	}
	return l.show(kernels, func(w io.Writer) error {
		_, err := io.WriteString(w, c.table(sets, kernels))
		return err
	})
}

// compileMoved compiles KVM of a kernel with the sets that apply to it.
func (l *lab) compileMoved(ctx context.Context, sets *series.Sets, base tree.Tree, moves []series.Move) ([]matrix.Outcome, error) {
	columns, err := matrix.Load(l.path("ci", "matrix"))
	if err != nil {
		return nil, err
	}
	o := series.Options{Relocate: true, Cache: l.cache, Log: l.log}
	apply := func(ctx context.Context, s *series.Series, err error) (tree.Tree, error) {
		if err != nil {
			return tree.Tree{}, err
		}
		t, _, err := s.Apply(ctx, base, o)
		return t, err
	}

	var names []string
	var list []matrix.Candidate
	for _, m := range moves {
		if !m.Applies() {
			continue
		}
		own, err := series.Load(filepath.Join(sets.Dir, m.Set))
		if err != nil {
			return nil, err
		}
		names = append(names, m.Set)
		list = append(list, matrix.Candidate{Set: m.Set, Paths: own.Paths(), Tree: func(ctx context.Context) (tree.Tree, error) {
			stack, err := sets.Load(m.Set)
			return apply(ctx, stack, err)
		}})
	}
	if len(list) == 0 {
		return nil, nil
	}
	all := func(ctx context.Context) (tree.Tree, error) {
		s, err := sets.LoadThese(names)
		return apply(ctx, s, err)
	}
	return matrix.Elsewhere(ctx, l.builder(), columns, base, all, list, parallelColumns)
}

// table returns the table in Markdown.
func (c movesCmd) table(sets *series.Sets, kernels []kernelMoves) string {
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
		if !c.Compile {
			continue
		}
		head += " compiles |"
		rule += "---|"
		for i, m := range k.Sets {
			compiled := ""
			if at := slices.IndexFunc(k.Compiled, func(o matrix.Outcome) bool { return o.Set == m.Set }); at >= 0 {
				compiled = strings.ReplaceAll(k.Compiled[at].String(), "|", "\\|")
			}
			rows[i] += strings.TrimRight(" "+compiled, " ") + " |"
		}
	}
	return strings.Join(append([]string{head, rule}, rows...), "\n") + "\n"
}
