// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/tree"
)

// Candidate is a set of patches that applies to another kernel than the one that
// it is made for.
type Candidate struct {
	Set   string
	Paths []string                                     // that its patches change
	Tree  func(ctx context.Context) (tree.Tree, error) // makes that kernel with the set and those that it needs
}

// Outcome says whether KVM of that kernel compiles with a set.
type Outcome struct {
	Set string `json:"set"`
	// Compiles are the columns for which it does, Fails those for which it does
	// not. Both are empty if the set changes nothing that is compiled.
	Compiles []string  `json:"compiles,omitempty"`
	Fails    []Failure `json:"fails,omitempty"`
}

// Failure is a column for which KVM does not compile.
type Failure struct {
	Column  string `json:"column"`
	Fault   string `json:"fault"`             // the first error
	Without bool   `json:"without,omitempty"` // it does not compile without the set either
}

// String says it in a few words.
func (o Outcome) String() string {
	var parts []string
	if len(o.Compiles) > 0 {
		parts = append(parts, strings.Join(o.Compiles, ", "))
	}
	for _, f := range o.Fails {
		format := "not %s: %s"
		if f.Without {
			format = "%s does not without it either: %s"
		}
		parts = append(parts, fmt.Sprintf(format, f.Column, f.Fault))
	}
	return strings.Join(parts, "; ")
}

// concerns tells whether what a set changes is compiled for a column: code of its
// architecture, or code of all, which x86_64 stands for.
func (c Candidate) concerns(column kbuild.ObjectSpec) bool {
	return slices.ContainsFunc(c.Paths, func(name string) bool {
		top, rest, _ := strings.Cut(name, "/")
		switch top {
		case "arch":
			return strings.HasPrefix(rest, column.Arch.Source+"/")
		case "Documentation", "tools":
			return false
		}
		return column.Arch.Name == "x86_64"
	})
}

// Elsewhere compiles KVM of another kernel with the sets that apply to it, for
// one column of each architecture that they change. all makes that kernel with
// all of them: where that compiles, each is taken to compile. Where it does not,
// or cannot be made, each is compiled on its own, with what it needs, and where
// that does not compile, so is the kernel without it. Warnings are not looked at.
func Elsewhere(ctx context.Context, c Compiler, columns []kbuild.ObjectSpec, base tree.Tree,
	all func(ctx context.Context) (tree.Tree, error), sets []Candidate, parallel int) ([]Outcome, error) {
	var chosen []kbuild.ObjectSpec
	for _, column := range columns {
		// Others of the architecture differ in the compiler or the configuration.
		if column.Name == column.Arch.Name && slices.ContainsFunc(sets, func(s Candidate) bool { return s.concerns(column) }) {
			column.Elsewhere, column.WithoutSparse = true, "it is compiled to see whether that works"
			chosen = append(chosen, column)
		}
	}
	if err := checkMachine(ctx, c, chosen); err != nil {
		return nil, err
	}

	together, err := all(ctx)
	if err != nil && exit.Code(err) != exit.PatchFailed {
		return nil, err
	}
	apart := err != nil
	failures := make([]map[string]Failure, len(chosen)) // by set
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, column := range chosen {
		g.Go(func() error {
			failures[i] = make(map[string]Failure)
			if !apart {
				fault, err := compile(ctx, c, "with the sets", together, column)
				if fault == "" || err != nil {
					return err
				}
			}
			for _, s := range sets {
				if !s.concerns(column) {
					continue
				}
				f, err := s.compile(ctx, c, base, column)
				if err != nil {
					return err
				}
				if f.Fault != "" {
					failures[i][s.Set] = f
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}

	var list []Outcome
	for _, s := range sets {
		o := Outcome{Set: s.Set}
		for i, column := range chosen {
			if f, failed := failures[i][s.Set]; failed {
				o.Fails = append(o.Fails, f)
			} else if s.concerns(column) {
				o.Compiles = append(o.Compiles, column.Name)
			}
		}
		list = append(list, o)
	}
	return list, nil
}

// compile compiles a set with what it needs, and if that fails the kernel without
// it. Fault of the result is "" if it compiles.
func (s Candidate) compile(ctx context.Context, c Compiler, base tree.Tree, column kbuild.ObjectSpec) (Failure, error) {
	t, err := s.Tree(ctx)
	if err != nil {
		return Failure{}, err
	}
	fault, err := compile(ctx, c, "with "+s.Set, t, column)
	if fault == "" || err != nil {
		return Failure{}, err
	}
	before, err := compile(ctx, c, "base", base, column)
	return Failure{Column: column.Name, Fault: fault, Without: before != ""}, err
}

// compile returns why a tree does not compile, "" if it does.
func compile(ctx context.Context, c Compiler, name string, t tree.Tree, column kbuild.ObjectSpec) (fault string, err error) {
	_, err = c.Objects(ctx, name, t, column)
	if exit.Code(err) != exit.BuildFailed {
		return "", err
	}
	if failed, ok := errors.AsType[*kbuild.Error](err); ok {
		return failed.Fault.String(), nil
	}
	fault, _, _ = strings.Cut(err.Error(), "\n")
	return fault, nil
}
