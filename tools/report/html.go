// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

var (
	//go:embed page.html.tmpl
	pageSource string
	//go:embed page.css
	pageStyle string
)

// page is parsed at start, so that every test finds a broken template.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":   func() template.CSS { return template.CSS(pageStyle) },
	"typeset": func(text string) string { return strings.ReplaceAll(text, "<=", "≤") },
}).Parse(pageSource))

// HTML writes the results as one page that needs nothing else: no script, no
// font, no picture from elsewhere. The raw samples are said to be in results.json
// and results.bench. It returns the error of w, or that of the page's template.
func HTML(w io.Writer, r *results.Results) error {
	if err := page.Execute(w, newSheet(r)); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// methodPart is what the page says of one method.
type methodPart struct {
	*sheet
	M figure.Method
}

// Methods are the parts of the page.
func (s *sheet) Methods() []methodPart {
	var out []methodPart
	for _, m := range s.methods {
		out = append(out, methodPart{s, m})
	}
	return out
}

// answerTable has the answers on the first screen, or those that are folded.
type answerTable struct {
	methodPart
	Rows []answer
}

// Answers are those on the first screen, or the others. Sizes and memory are the
// same by every method: once is enough.
func (p methodPart) Answers(first bool) answerTable {
	return answerTable{p, slices.DeleteFunc(p.answers(p.M), func(a answer) bool {
		return a.First != first || p.M != p.methods[0] && !a.rows[0].op().Unit.Cost
	})}
}

// AllAnswers are both.
func (p methodPart) AllAnswers() []answer {
	return append(p.Answers(true).Rows, p.Answers(false).Rows...)
}

// Values are what all kernels gave.
func (p methodPart) Values(a answer) [][]quoted {
	var out [][]quoted
	for _, k := range p.kernels {
		out = append(out, p.over(a.rows, cell{p.M, k}))
	}
	return out
}

// Noise is what repetition gave.
func (p methodPart) Noise() string { return p.noiseSentence(p.M) }

// Lookups and Paths are plots against the number of vCPUs.
func (p methodPart) Lookups() []plot {
	return p.curvePlots(p.M, func(o *figure.Operation) bool { return o.Op != figure.PathCall }, false)
}

// Paths are those of KVM's functions.
func (p methodPart) Paths() []plot {
	return p.curvePlots(p.M, func(o *figure.Operation) bool { return o.Op == figure.PathCall }, true)
}

// figureTable is the full table of one group.
type figureTable struct {
	*group
	Unit     string
	Again    bool
	Labelled bool
	Parts    [][]figureRow // rows of the same label
}

type figureRow struct {
	Label, Sizes string
	Base         quoted
	Again        quoted // without a text if it looks like Base
	Others       []other
}

// Tables are those of all figures.
func (p methodPart) Tables() []figureTable {
	var out []figureTable
	for _, g := range p.groups {
		t := figureTable{group: g, Unit: g.PerUnit(p.M)}
		for _, r := range p.merged(g, p.columns(true, true, p.methods...)) {
			line := figureRow{r.label(), r.sizeText(), p.quote(r, cell{p.M, p.base}), p.quote(r, cell{p.M, again(p.base)}), p.others([]row{r}, p.M)}
			if line.Again.Text == line.Base.Text {
				line.Again.Text = ""
			}
			t.Again = t.Again || line.Again.Text != ""
			t.Labelled = t.Labelled || line.Label != ""
			if n := len(t.Parts); n > 0 && t.Parts[n-1][0].Label == line.Label {
				t.Parts[n-1] = append(t.Parts[n-1], line)
			} else {
				t.Parts = append(t.Parts, []figureRow{line})
			}
		}
		out = append(out, t)
	}
	return out
}

// Commands lists the boots that show how QEMU was started, each way once.
func (s *sheet) Commands() []results.Boot {
	var out []results.Boot
	for _, b := range s.Boots {
		if !b.Again && b.Command != "" && !slices.ContainsFunc(out, func(o results.Boot) bool {
			return o.Method == b.Method && o.Kernel == b.Kernel
		}) {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b results.Boot) int { return s.rank(a.Kernel) - s.rank(b.Kernel) })
	return out
}
