// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// ErrNoDesigns means that results do not compare designs.
var ErrNoDesigns = errors.New("expected results of bench --designs, found none of two designs")

// Designs compares ways to hold vCPUs, a row a design. Terminal, Markdown, page and
// JSON show the same.
type Designs struct {
	// Sentence says which design is ahead in what, Answer which one the figures
	// favour, and how the main series compares with it.
	Sentence string         `json:"sentence"`
	Answer   string         `json:"answer"`
	Columns  []DesignColumn `json:"columns"`
	Rows     []DesignRow    `json:"rows"`
	// Notes say what was not measured, and why, and what the numbers need to be
	// read right.
	Notes []string `json:"notes,omitempty"`

	of *results.Results
	// first are the rows of the candidates that no other one is ahead of, by column:
	// none if the sentence says nothing of it, or all are alike.
	first [][]int
}

// DesignColumn heads a column of numbers.
type DesignColumn struct {
	Group  string        `json:"group"` // stands over all columns that have it
	Title  string        `json:"title"`
	Key    *figure.Key   `json:"key,omitempty"` // of the figures, nil for what is counted in the patches
	Method figure.Method `json:"method,omitempty"`

	figure.Column `json:"-"`
}

// DesignRow is a design.
type DesignRow struct {
	Name          string       `json:"name"` // of the kernel
	About         string       `json:"about"`
	Limit         bool         `json:"limit,omitempty"` // it is what nothing can be faster than, and no candidate
	Cells         []DesignCell `json:"cells"`           // one a column
	Lookups       string       `json:"lookups"`
	Architectures []string     `json:"architectures,omitempty"`
}

// DesignCell is what a design gave in a column.
type DesignCell struct {
	Text  string   `json:"text"`
	Value *float64 `json:"value"` // the number, nil if there is none, and Why says why
	Why   string   `json:"why,omitempty"`
	Best  bool     `json:"best,omitempty"` // no candidate is ahead of it
	ID    string   `json:"-"`              // that of the page's element with its samples, "" if it has none

	low, high float64       // the interval that it lies in
	place     results.Place // of the figure, none if it was not measured
}

// Texts of cells without a number.
const (
	notMeasured = "not measured"
	noPatches   = "-"
)

// NewDesigns compares the designs of r. The error is ErrNoDesigns if there are not two.
func NewDesigns(r *results.Results) (*Designs, error) {
	if !r.HasDesigns() {
		return nil, fmt.Errorf("report: %w", ErrNoDesigns)
	}
	d := &Designs{of: r}
	for _, c := range figure.Columns {
		d.Columns = append(d.Columns, d.column(c))
	}
	d.Columns = append(d.Columns,
		DesignColumn{Group: "patches", Title: "lines", Column: figure.Column{Wins: "lines to review"}},
		DesignColumn{Group: "patches", Title: "architectures", Column: figure.Column{Wins: "architectures touched"}})
	for _, k := range r.Kernels {
		if k.Design == nil {
			continue
		}
		row := DesignRow{Name: k.Name, About: k.Design.About, Limit: k.Limit, Lookups: k.Design.Lookups, Architectures: k.Design.Architectures}
		for _, c := range d.Columns {
			if c.Key != nil {
				row.Cells = append(row.Cells, d.measured(c, k.Name))
			}
		}
		row.Cells = append(row.Cells, d.changed(k)...)
		d.Rows = append(d.Rows, row)
	}
	d.first = make([][]int, len(d.Columns))
	for c := range d.Columns {
		d.first[c] = d.winners(c)
		for _, i := range d.first[c] {
			d.Rows[i].Cells[c].Best = true
		}
	}
	d.Sentence, d.Answer, d.Notes = d.sentence(), d.answer(), sentences("designs", d)
	return d, nil
}

// column is one of the table of operations, of the largest VM that was measured if
// that does not say which.
func (d *Designs) column(c figure.Column) DesignColumn {
	key := c.Of
	largest := 0 // of all that lookups were measured in
	for _, f := range d.of.Figures {
		if c.Of.VCPUs == 0 && c.Has(f.Key, f.Method) && f.Key != c.Beyond {
			key.VCPUs = max(key.VCPUs, f.Key.VCPUs)
		}
		if f.Key.Op == figure.Get || f.Key.Op == figure.Cached {
			largest = max(largest, f.Key.VCPUs)
		}
	}
	key.VCPUs = cmp.Or(key.VCPUs, largest)
	return DesignColumn{Group: c.Group(key), Title: c.Title(key), Key: &key, Method: c.Method, Column: c}
}

// measured is a figure of a design, with what struct kvm takes more than the
// baseline's if the column has that.
func (d *Designs) measured(c DesignColumn, kernel string) DesignCell {
	f, ok := d.of.Find(*c.Key, kernel, c.Method)
	if !ok {
		return DesignCell{Text: notMeasured, Why: d.why(c, kernel)}
	}
	more := 0.0
	if c.Beyond.Op != "" {
		own, has := d.of.Find(c.Beyond, kernel, c.Method)
		base, hasBase := d.of.Find(c.Beyond, d.of.Kernels[0].Name, c.Method)
		if !has || !hasBase {
			return DesignCell{Text: notMeasured, Why: c.Beyond.Name() + " was not measured"}
		}
		more = max(own.Value-base.Value, 0)
	}
	value := f.Value + more
	return DesignCell{Text: number(value, decimalsOf(f)), Value: &value, low: f.Low + more, high: f.High + more, place: f.Place}
}

// why is why a figure of a design is missing.
func (d *Designs) why(c DesignColumn, kernel string) string {
	for _, o := range d.of.Omitted {
		if o.Method == c.Method && (o.Kernel == kernel || o.Kernel == "" && c.Key.State == measure.Written) {
			return o.Why
		}
	}
	for _, b := range d.of.Discarded {
		if b.Method == c.Method && b.Kernel == kernel {
			return "it was discarded each time, first because " + b.Why
		}
	}
	if d.of.Interrupted {
		return "the run was ended before"
	}
	return "it was not part of the run"
}

// changed is what the patches of a design change, as cells.
func (d *Designs) changed(k results.Kernel) []DesignCell {
	if k.Name == d.of.Kernels[0].Name {
		return slices.Repeat([]DesignCell{{Text: noPatches, Why: "it has no patches"}}, 2)
	}
	lines, architectures := float64(k.Design.Added+k.Design.Removed), float64(len(k.Design.Architectures))
	return []DesignCell{
		{Value: &lines, Text: fmt.Sprintf("+%d -%d", k.Design.Added, k.Design.Removed)},
		{Value: &architectures, Text: fmt.Sprint(architectures)},
	}
}

// ahead tells which of two cells of a column is less, beyond what repetition gives:
// negative if it is a, 0 if they cannot be told apart.
func ahead(c DesignColumn, a, b DesignCell) int {
	if *b.Value < *a.Value {
		return -ahead(c, b, a)
	}
	alike := math.Round(*a.Value) == math.Round(*b.Value)
	if c.Method != "" && !c.Method.Exact() {
		alike = a.high >= b.low
	} else if c.Key != nil && c.Key.Operation().Compare == figure.Noise {
		alike = *b.Value <= *a.Value*(1+c.Key.Operation().ApartRuns)
	}
	if alike {
		return 0
	}
	return -1
}

// winners are the rows of a column that are first, see Designs.
func (d *Designs) winners(column int) []int {
	c := d.Columns[column]
	var all, out []int
	for i, r := range d.Rows {
		if !r.Limit && r.Cells[column].Value != nil {
			all = append(all, i)
		}
	}
	for _, i := range all {
		if !slices.ContainsFunc(all, func(j int) bool { return ahead(c, d.Rows[j].Cells[column], d.Rows[i].Cells[column]) < 0 }) {
			out = append(out, i)
		}
	}
	if c.Wins == "" || len(out) == len(all) {
		return nil
	}
	return out
}

// Missing is what was not measured, and why.
func (d *Designs) Missing() []string {
	var missing ordered[string] // designs by reason
	for _, r := range d.Rows {
		for i, c := range r.Cells {
			if c.Text == notMeasured {
				missing.add(c.Why, fmt.Sprintf("%s (%s, %s)", r.Name, d.Columns[i].Group, d.Columns[i].Title))
			}
		}
	}
	return each(missing.keys, func(why string) string { return strings.Join(firstOf(4, missing.of[why]), ", ") + ": " + why })
}

// OtherRuns says which columns are of other runs than the rest.
func (d *Designs) OtherRuns() []string {
	const day = "2 January 2006"
	return each(d.of.Others, func(o results.Other) string {
		titles := each(o.Methods, results.Method.Title)
		return fmt.Sprintf("What is measured in %s is of another run on the same kernels, of %s; the rest is of %s",
			list(titles), o.Created.UTC().Format(day), d.of.Created.UTC().Format(day))
	})
}

// LargerVCPUs says by how much each vCPU's object is larger than the baseline's.
func (d *Designs) LargerVCPUs() []string {
	key := figure.Key{Op: figure.MemoryObject, Object: "kvm_vcpu"}
	base, ok := d.of.Find(key, d.of.Kernels[0].Name, figure.ICount)
	var out []string
	for _, r := range d.Rows {
		if f, has := d.of.Find(key, r.Name, figure.ICount); ok && has && f.Value > base.Value {
			out = append(out, fmt.Sprintf("%s bytes larger in %s", number(f.Value-base.Value, 0), r.Name))
		}
	}
	return out
}
