// SPDX-License-Identifier: GPL-2.0-only

// Package matrix compiles KVM, patch by patch, for every architecture.
//
// The columns are the files of ci/matrix, see [Load]: an architecture, a
// compiler and a configuration each. The rows are the tree without the series
// and then one for each patch, see [Run]. A cell is good if KVM compiles and if
// neither the compiler, at W=1, nor sparse prints a warning that the last row
// that did compile does not have. Warnings are compared as sets of file and
// message: a count would hide one that replaced another.
//
// Between the first and the last row objects are spared that mention nothing of what a
// header has changed, see [kbuild.ObjectSpec]. In the last one nothing is: what had
// wrongly been spared before shows there.
package matrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/tree"
)

// Compiler compiles KVM's objects. A *kbuild.Builder is one.
type Compiler interface {
	CanBuildObjects(ctx context.Context, spec kbuild.ObjectSpec) error
	Objects(ctx context.Context, name string, t tree.Tree, spec kbuild.ObjectSpec) (*kbuild.Objects, error)
}

// Row is a tree that is compiled.
type Row struct {
	Patch   int                                          `json:"patch"`   // the last one in it, 0 for none
	Subject string                                       `json:"subject"` // of that patch
	Tree    func(ctx context.Context) (tree.Tree, error) `json:"-"`       // makes it, or finds it
}

// Name returns what the row is called: "base", "patch 3".
func (r Row) Name() string { return rowName(r.Patch) }

func rowName(patch int) string {
	if patch == 0 {
		return "base"
	}
	return fmt.Sprintf("patch %d", patch)
}

// State is how compiling a cell ended.
type State string

// The states of a cell.
const (
	Good     State = "ok"
	Warned   State = "new warnings"
	Failed   State = "failed"
	Unknown  State = "not compared" // no row before it compiled
	baseline State = "baseline"     // the first row: there is nothing to compare with
)

// Cell is a row compiled for a column.
type Cell struct {
	Column string `json:"column"`
	Patch  int    `json:"patch"`
	State  State  `json:"verdict"`
	// New are warnings that the row before does not have, Gone those that only
	// the row before has.
	New      []kbuild.Warning `json:"new,omitempty"`
	Gone     []kbuild.Warning `json:"gone,omitempty"`
	Warnings int              `json:"warnings"` // the number of all
	Made     int              `json:"made"`     // targets that were made for it
	All      int              `json:"all"`      // targets that KVM has
	Seconds  float64          `json:"seconds"`
	Cached   bool             `json:"cached"` // it was built before, perhaps of another tree
	Checker  string           `json:"checker,omitempty"`
	Compiler string           `json:"compiler,omitempty"`
	Log      string           `json:"log,omitempty"`
	Error    string           `json:"error,omitempty"` // why it failed
}

// Report is what Run found.
type Report struct {
	Columns       []string          `json:"columns"`
	Rows          []Row             `json:"rows"`
	Cells         []Cell            `json:"cells"`                   // in the order of columns, then rows
	WithoutSparse map[string]string `json:"withoutSparse,omitempty"` // why, by column
	// Seconds is how long all took, less than the sum of the cells': columns
	// are compiled in parallel.
	Seconds float64 `json:"seconds"`
	Dir     string  `json:"dir,omitempty"` // where Write has written it; "" before
}

// checkMachine returns an error if the machine lacks something for any of the
// columns: none is left out.
func checkMachine(ctx context.Context, c Compiler, columns []kbuild.ObjectSpec) error {
	var names, lacks, groups []string
	for _, column := range columns {
		err := c.CanBuildObjects(ctx, column)
		if err == nil {
			continue
		}
		if exit.Code(err) != exit.MachineLacks {
			return err
		}
		names = append(names, column.Name)
		lacks = append(lacks, fmt.Sprintf("  %s: %v", column.Name, err))
		for _, g := range Groups(column) {
			if !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("compile KVM for %s: the machine lacks something\n%s\ninstall it with vcpulab install %s",
		strings.Join(names, ", "), strings.Join(lacks, "\n"), strings.Join(groups, " ")))
}

// Run compiles all rows for all columns, some columns at a time, and compares
// each row of a column with the last one before it that compiled. The report is
// complete also if a row does not compile; Err tells whether all is good. An
// error means that it could not be run to the end: ctx ended, the machine lacks
// something, or a patch does not apply.
func Run(ctx context.Context, c Compiler, columns []kbuild.ObjectSpec, rows []Row, parallel int) (*Report, error) {
	if err := checkMachine(ctx, c, columns); err != nil {
		return nil, err
	}
	start := time.Now()
	r := &Report{Rows: rows, WithoutSparse: make(map[string]string)}
	cells := make([][]Cell, len(columns))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, column := range columns {
		r.Columns = append(r.Columns, column.Name)
		if column.WithoutSparse != "" {
			r.WithoutSparse[column.Name] = column.WithoutSparse
		}
		g.Go(func() (err error) {
			cells[i], err = compileColumn(ctx, c, column, rows)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	r.Cells = slices.Concat(cells...)
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

func compileColumn(ctx context.Context, c Compiler, column kbuild.ObjectSpec, rows []Row) ([]Cell, error) {
	var cells []Cell
	var before *kbuild.Objects
	for i, row := range rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t, err := row.Tree(ctx)
		if err != nil {
			return nil, err
		}
		column.Spare = 0 < i && i < len(rows)-1
		found, err := c.Objects(ctx, row.Name(), t, column)
		if failed, ok := errors.AsType[*kbuild.Error](err); ok && exit.Code(err) == exit.BuildFailed {
			cells = append(cells, Cell{Column: column.Name, Patch: row.Patch, State: Failed, Error: err.Error(), Log: failed.Log})
			continue
		}
		if err != nil {
			return nil, err
		}

		cell := Cell{
			Column: column.Name, Patch: row.Patch, State: Good, Warnings: len(found.Warnings), Made: found.Made, All: found.All,
			Seconds: found.Seconds, Cached: found.Cached, Checker: found.Checker, Compiler: found.Toolchain.Compiler, Log: found.Log,
		}
		switch {
		case i == 0:
			cell.State = baseline
		case before == nil:
			cell.State = Unknown
		default:
			cell.New, cell.Gone = without(found.Warnings, before.Warnings), without(before.Warnings, found.Warnings)
			if len(cell.New) > 0 {
				cell.State = Warned
			}
		}
		cells = append(cells, cell)
		before = found
	}
	return cells, nil
}

func without(list, others []kbuild.Warning) []kbuild.Warning {
	return slices.DeleteFunc(slices.Clone(list), func(w kbuild.Warning) bool { return slices.Contains(others, w) })
}

// Err returns an error if not all cells are good: with the exit code of a
// failed build if there is one, else with that of a failed check.
func (r *Report) Err() error {
	count := make(map[State]int)
	for _, c := range r.Cells {
		count[c.State]++
	}
	switch {
	case count[Failed] > 0:
		return exit.With(exit.BuildFailed, fmt.Errorf("build matrix: of %d builds %d failed, %d have new warnings, %d could not be compared",
			len(r.Cells), count[Failed], count[Warned], count[Unknown]))
	case count[Warned]+count[Unknown] > 0:
		return exit.With(exit.CheckFailed, fmt.Errorf("build matrix: of %d builds %d have new warnings", len(r.Cells), count[Warned]))
	}
	return nil
}
