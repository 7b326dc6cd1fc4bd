// SPDX-License-Identifier: GPL-2.0-only

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
	// Patch is the last patch in it, 0 for none, and Subject is its subject.
	Patch   int    `json:"patch"`
	Subject string `json:"subject"`
	// Tree makes the tree, or finds it.
	Tree func(ctx context.Context) (tree.Tree, error) `json:"-"`
}

// Name returns what the row is called: "base", "patch 3".
func (r Row) Name() string {
	if r.Patch == 0 {
		return "base"
	}
	return fmt.Sprintf("patch %d", r.Patch)
}

// Verdict says what became of a cell.
type Verdict string

// What may become of a cell.
const (
	Good     Verdict = "ok"
	Warned   Verdict = "new warnings"
	Failed   Verdict = "failed"
	Unknown  Verdict = "not compared" // none before did compile
	baseline Verdict = "baseline"     // the first row: there is nothing to compare with
)

// Cell is a row compiled for a column.
type Cell struct {
	Column  string  `json:"column"`
	Patch   int     `json:"patch"`
	Verdict Verdict `json:"verdict"`
	// New are warnings that the row before does not have, Gone such as it has
	// alone.
	New  []kbuild.Warning `json:"new,omitempty"`
	Gone []kbuild.Warning `json:"gone,omitempty"`
	// Warnings is the number of all.
	Warnings int     `json:"warnings"`
	Made     int     `json:"made"`    // targets that were made for it
	All      int     `json:"all"`     // targets that KVM has
	Seconds  float64 `json:"seconds"` // 0: as another in all that KVM depends on
	Cached   bool    `json:"cached"`  // it was built in an earlier run
	Checker  string  `json:"checker,omitempty"`
	Compiler string  `json:"compiler,omitempty"`
	Log      string  `json:"log,omitempty"`
	// Error is why it failed.
	Error string `json:"error,omitempty"`
}

// Report is what Run found.
type Report struct {
	Columns []string `json:"columns"`
	Rows    []Row    `json:"rows"`
	// Cells are in the order of columns, then rows.
	Cells []Cell `json:"cells"`
	// WithoutSparse says, by column, why sparse did not look.
	WithoutSparse map[string]string `json:"withoutSparse,omitempty"`
	// Seconds is how long all took. Columns are compiled together: it is less
	// than the sum of the cells'.
	Seconds float64 `json:"seconds"`
	// Dir is where Write has put it; "" before.
	Dir string `json:"dir,omitempty"`
}

// LackError says for which columns the machine lacks something.
type LackError struct {
	Columns []string
	Errs    []error // one a column
	// Groups are the groups of packages that bring it.
	Groups []string
}

func (e *LackError) Error() string {
	var b strings.Builder
	b.WriteString("compile KVM for " + strings.Join(e.Columns, ", ") + ": the machine lacks something")
	for i, err := range e.Errs {
		fmt.Fprintf(&b, "\n  %s: %v", e.Columns[i], err)
	}
	fmt.Fprintf(&b, "\ninstall it with vcpulab install %s", strings.Join(e.Groups, " "))
	return b.String()
}

// ExitCode says that the machine lacks something.
func (e *LackError) ExitCode() int { return exit.MachineLacks }

// Group is the group of ci/packages.toml that all columns need.
const Group = "matrix"

// Groups returns the groups of ci/packages.toml that a column needs.
func Groups(c kbuild.ObjectSpec) []string {
	groups := []string{"build", Group}
	if c.Arch.Group != "" {
		return append(groups, c.Arch.Group)
	}
	if c.Compiler != "" && c.Compiler != kbuild.GCC {
		return append(groups, "clang")
	}
	return groups
}

// lacking returns a *LackError if the machine cannot compile all columns. A
// column is never left out.
func lacking(ctx context.Context, c Compiler, columns []kbuild.ObjectSpec) error {
	lacks := &LackError{}
	for _, col := range columns {
		err := c.CanBuildObjects(ctx, col)
		if err == nil {
			continue
		}
		if exit.Code(err) != exit.MachineLacks {
			return err
		}
		lacks.Columns, lacks.Errs = append(lacks.Columns, col.Name), append(lacks.Errs, err)
		for _, g := range Groups(col) {
			if !slices.Contains(lacks.Groups, g) {
				lacks.Groups = append(lacks.Groups, g)
			}
		}
	}
	if len(lacks.Columns) == 0 {
		return nil
	}
	return lacks
}

// Run compiles all rows for all columns, some columns together, and compares
// each row of a column with the last one before that did compile. The report is
// complete also where a row does not compile; Err says whether all is good.
// Errors are for what keeps it from being run to the end: ctx, a machine that
// lacks something, a patch that does not apply.
func Run(ctx context.Context, c Compiler, columns []kbuild.ObjectSpec, rows []Row, together int) (*Report, error) {
	if err := lacking(ctx, c, columns); err != nil {
		return nil, err
	}
	start := time.Now()
	r := &Report{Rows: rows}
	cells := make([][]Cell, len(columns))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(together)
	for i, col := range columns {
		r.Columns = append(r.Columns, col.Name)
		if col.WithoutSparse != "" {
			if r.WithoutSparse == nil {
				r.WithoutSparse = make(map[string]string)
			}
			r.WithoutSparse[col.Name] = col.WithoutSparse
		}
		g.Go(func() (err error) {
			cells[i], err = column(ctx, c, col, rows)
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

// column compiles all rows for one column.
func column(ctx context.Context, c Compiler, col kbuild.ObjectSpec, rows []Row) ([]Cell, error) {
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
		found, err := c.Objects(ctx, row.Name(), t, col)
		var failed *kbuild.Error
		switch {
		case errors.As(err, &failed) && exit.Code(err) == exit.BuildFailed:
			cells = append(cells, Cell{
				Column: col.Name, Patch: row.Patch, Verdict: Failed, Error: err.Error(), Log: failed.Log,
			})
			continue
		case err != nil:
			return nil, err
		}
		cells = append(cells, cell(col, row, before, found, i == 0))
		before = found
	}
	return cells, nil
}

// cell compares what was found with the row before.
func cell(col kbuild.ObjectSpec, row Row, before, found *kbuild.Objects, first bool) Cell {
	c := Cell{
		Column: col.Name, Patch: row.Patch, Verdict: Good, Warnings: len(found.Warnings), Made: found.Made, All: found.All,
		Seconds: found.Seconds, Cached: found.Cached, Checker: found.Checker, Compiler: found.Toolchain.Compiler, Log: found.Log,
	}
	switch {
	case first:
		c.Verdict = baseline
	case before == nil:
		c.Verdict = Unknown
	default:
		c.New, c.Gone = without(found.Warnings, before.Warnings), without(before.Warnings, found.Warnings)
		if len(c.New) > 0 {
			c.Verdict = Warned
		}
	}
	return c
}

// without returns what is in a and not in b.
func without(a, b []kbuild.Warning) []kbuild.Warning {
	in := make(map[kbuild.Warning]bool, len(b))
	for _, w := range b {
		in[w] = true
	}
	var only []kbuild.Warning
	for _, w := range a {
		if !in[w] {
			only = append(only, w)
		}
	}
	return only
}

// Err returns an error if not all cells are good: with the exit code of a
// failed build if there is one, else with that of a failed check.
func (r *Report) Err() error {
	failed, warned, unknown := 0, 0, 0
	for _, c := range r.Cells {
		switch c.Verdict {
		case Failed:
			failed++
		case Warned:
			warned++
		case Unknown:
			unknown++
		}
	}
	switch {
	case failed > 0:
		return exit.With(exit.BuildFailed, fmt.Errorf("build matrix: of %d builds %d failed, %d have new warnings, %d could not be compared", len(r.Cells), failed, warned, unknown))
	case warned+unknown > 0:
		return exit.With(exit.CheckFailed, fmt.Errorf("build matrix: of %d builds %d have warnings that the one before has not", len(r.Cells), warned))
	}
	return nil
}
