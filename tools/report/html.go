// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/progress"
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
	"count":   progress.Count,
	"typeset": func(text string) string { return strings.ReplaceAll(text, "<=", "≤") },
}).Parse(pageSource))

// HTML writes the results as one page that needs nothing else. The raw samples are said to be
// in results.json and results.bench. It returns the error of w, or that of the page's template.
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
	return each(s.methods, func(m figure.Method) methodPart { return methodPart{s, m} })
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
		return a.First != first || p.M != p.firstOf(a) && !a.rows[0].op().Unit.Cost
	})}
}

// firstOf returns the first of the page's methods that gave a line.
func (p methodPart) firstOf(a answer) figure.Method {
	i := slices.IndexFunc(p.methods, func(m figure.Method) bool {
		return slices.ContainsFunc(a.rows, func(r row) bool { return r.measuredBy(m) })
	})
	return p.methods[i]
}

// AllAnswers are both.
func (p methodPart) AllAnswers() []answer {
	return append(p.Answers(true).Rows, p.Answers(false).Rows...)
}

// Values are what all kernels gave.
func (p methodPart) Values(a answer) [][]quoted {
	return each(p.kernels, func(k string) []quoted { return p.over(a.rows, cell{p.M, k}) })
}

// Lookups and Paths are plots against the number of vCPUs, Paths those of KVM's
// functions.
func (p methodPart) Lookups() []plot { return p.curvePlots(p.M, false) }
func (p methodPart) Paths() []plot   { return p.curvePlots(p.M, true) }

// figureTable is the full table of one group.
type figureTable struct {
	*group
	Unit     string
	Again    bool
	Labelled bool
	Parts    [][]answer // rows of the same label
}

// Tables are those of all figures.
func (p methodPart) Tables() []figureTable {
	var out []figureTable
	for _, g := range p.groups {
		t := figureTable{group: g, Unit: g.PerUnit(p.M)}
		for _, r := range p.merged(g, p.columns(true, true, p.methods...)) {
			line := answer{What: r.label(), Sizes: r.sizeText(), Base: p.over([]row{r}, cell{p.M, p.base}), Others: p.others([]row{r}, p.M)}
			line.Again = p.quote(r, cell{p.M, again(p.base)})
			if line.Again.Text == r.number(cell{p.M, p.base}) {
				line.Again.Text = ""
			}
			t.Again = t.Again || line.Again.Text != ""
			t.Labelled = t.Labelled || line.What != ""
			if n := len(t.Parts); n > 0 && t.Parts[n-1][0].What == line.What {
				t.Parts[n-1] = append(t.Parts[n-1], line)
			} else {
				t.Parts = append(t.Parts, []answer{line})
			}
		}
		out = append(out, t)
	}
	return out
}

// Commands lists the boots that show how QEMU was started, each way once.
func (s *sheet) Commands() []results.Boot {
	out := slices.DeleteFunc(slices.Clone(s.Boots), func(b results.Boot) bool { return b.Again || b.Command == "" })
	slices.SortStableFunc(out, func(a, b results.Boot) int {
		byKernel := slices.Index(s.kernels, a.Kernel) - slices.Index(s.kernels, b.Kernel)
		return cmp.Or(byKernel, slices.Index(s.methods, a.Method)-slices.Index(s.methods, b.Method))
	})
	return slices.CompactFunc(out, func(a, b results.Boot) bool { return a.Kernel == b.Kernel && a.Method == b.Method })
}

// quoted is a number on the page.
type quoted struct {
	Text string
	// ID is that of the element with its samples, "" if it has none: a number
	// that was not measured.
	ID string
}

// quote is a figure as it is shown, with where its samples are. A row that stands
// for several that look the same leads to the first of them.
func (s *sheet) quote(r row, c cell) quoted {
	q := quoted{Text: r.number(c)}
	for i, one := range append([]row{r}, r.alike...) {
		n, ok := s.index[results.Place{Key: one.key, Column: c.column, Method: c.method}]
		if !ok {
			continue
		}
		s.shown[n] = true
		if i == 0 {
			q.ID = figureID(n)
		}
	}
	return q
}

func figureID(n int) string { return fmt.Sprintf("f%d", n) }

// Unbroken is the text as it must stay in one line.
func (q quoted) Unbroken() string { return strings.ReplaceAll(q.Text, " ", "\u00a0") }

// rawGroup are the samples of the figures of one group by one method.
type rawGroup struct {
	Title   string
	Figures []rawFigure
}

// rawFigure is the samples of one figure, the Nth of all.
type rawFigure struct {
	results.Figure
	N     int
	First bool // of its name
	// From is where in each boot the samples stand that it is drawn from, as a JSON
	// pointer.
	From string
}

// Samples are the figure's members "boots" and "values", as in the JSON: numbers
// and the names of the members, of which nothing has to be escaped.
func (f rawFigure) Samples() (template.HTML, error) {
	samples, err := json.Marshal(struct {
		Boots  []int     `json:"boots"`
		Values []float64 `json:"values"`
	}{f.Boots, f.Values})
	return template.HTML(samples), err
}

// RawGroups are the samples of all figures that were quoted before, those of a name
// by column.
func (s *sheet) RawGroups() []rawGroup {
	sources := make([]map[figure.Key]string, len(s.Boots))
	for i, b := range s.Boots {
		sources[i], _ = b.Sources() // boots that contradict themselves have none
	}
	var out []rawGroup
	for _, m := range s.methods {
		for _, g := range s.groups {
			of := rawGroup{Title: g.Title + ", " + m.Title()}
			for _, r := range g.rows() {
				first := true
				for _, column := range s.Results.Columns() {
					f, ok := r.cells[cell{m, column}]
					if n := s.index[f.Place]; ok && s.shown[n] {
						of.Figures = append(of.Figures, rawFigure{f, n, first, from(f, sources)})
						first = false
					}
				}
			}
			if len(of.Figures) > 0 {
				out = append(out, of)
			}
		}
	}
	return out
}

// from is where the samples of a figure are in each of its boots, "" if that is
// not the same place in all of them.
func from(f results.Figure, sources []map[figure.Key]string) string {
	var places []string
	for _, b := range f.Boots {
		if b < len(sources) {
			places = append(places, sources[b][f.Key])
		}
	}
	if places = slices.Compact(places); len(places) != 1 {
		return ""
	}
	return places[0]
}
