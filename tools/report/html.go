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
	"inc":  func(i int) int { return i + 1 },
	"args": func(p pageData, m methodData, a []answer) answersData { return answersData{p, m, a} },
}).Parse(pageSource))

// answersData is what a table of answers is made of.
type answersData struct {
	Page    pageData
	Method  methodData
	Answers []answer
}

// The names of the files that lie beside the page, which it links to.
const (
	JSONFile  = "results.json"  // the raw samples
	BenchFile = "results.bench" // Go benchmark format
)

// HTML writes the results as one page that needs nothing else: no script, no
// font, no picture from elsewhere. The raw samples are said to be in JSONFile
// and BenchFile. It returns the error of w, or that of the page's template.
func HTML(w io.Writer, r *results.Results) error {
	s := newSheet(r)
	goals := s.countGoals()
	p := pageData{
		Style:     template.CSS(pageStyle),
		Subject:   s.subject(),
		Sentence:  s.sentence(),
		Goals:     goals.sentence(),
		Missed:    len(goals.missed) > 0,
		Results:   r,
		JSONFile:  JSONFile,
		BenchFile: BenchFile,
		Explained: s.explanations(),
		Finding:   s.noise.finding(),
		Uncertain: s.uncertain(),
		Repeated:  s.repeated(),
		Around:    s.surroundings(),
		Commands:  s.commands(),
		Columns:   append([]string{s.base}, s.against...),
		Target:    strings.ReplaceAll(s.targetSentence(), "<=", "≤"),
		All:       s.kernels,
	}
	if s.hasGoals() {
		p.TargetTitle = s.targetTitle()
	}
	for _, m := range s.methods {
		p.Methods = append(p.Methods, s.pageMethod(m))
	}

	var err error
	if p.Raw, err = s.rawGroups(); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if err := page.Execute(w, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// pageData is what the template is filled with.
type pageData struct {
	Style       template.CSS
	Subject     string
	Sentence    string // what came out
	Goals       string
	Missed      bool // a goal is
	Results     *results.Results
	JSONFile    string
	BenchFile   string
	Methods     []methodData
	Columns     []string
	TargetTitle string // of the column of limits and goals, "" if there is none
	Target      string // what they are
	All         []string
	Explained   []string
	Finding     string
	Uncertain   bool
	Repeated    string
	Around      []string // what the running kernel was measured in
	Commands    []commandData
	Raw         []rawGroup // the samples of each number of the tables
}

// methodData is what one method gave.
type methodData struct {
	ID, Name, Unit, Sentence, Noise string
	First, More                     []answer // on the first screen, and folded
	Variants                        bool     // answers have values of all kernels
	Lookups, Creations, Paths, Gaps []drawing
	Waiting                         []string
	Tables                          []tableData
}

// All are all answers.
func (m methodData) All() []answer { return slices.Concat(m.First, m.More) }

// tableData is the full table of one group.
type tableData struct {
	Title, Per, Sizes string
	Code              bool
	Again             bool
	Labelled          bool
	Groups            [][]rowData // rows of the same label
}

type rowData struct {
	Label, Sizes string
	Base         quoted
	Again        quoted // without a text if it looks like Base
	Others       []other
}

// commandData is a way in which QEMU was started.
type commandData struct {
	Method, Kernel, Command string
}

func (s *sheet) pageMethod(m figure.Method) methodData {
	d := methodData{
		ID: string(m), Name: m.Title(), Unit: m.Quantity(), Sentence: m.Sentence(),
		Noise:     s.noise.sentence(m) + s.probes(m),
		Variants:  s.hasVariants(),
		Lookups:   s.curvePlots(m, func(o *figure.Operation) bool { return o.Op != figure.PathCall }, false),
		Creations: s.creationPlots(m),
		Paths:     s.curvePlots(m, func(o *figure.Operation) bool { return o.Op == figure.PathCall }, true),
		Gaps:      s.gapPlots(m),
		Waiting:   s.waiting(m),
	}
	for _, a := range s.answers(m) {
		switch {
		case m != s.methods[0] && !a.costs:
			// Sizes and memory are the same by every method: once is enough.
		case a.First:
			d.First = append(d.First, a)
		default:
			d.More = append(d.More, a)
		}
	}
	for _, g := range s.groups {
		d.Tables = append(d.Tables, s.pageTable(g, m))
	}
	return d
}

func (s *sheet) pageTable(g group, m figure.Method) tableData {
	t := tableData{Title: g.Title, Per: g.PerUnit(m), Sizes: g.Sizes, Code: g.Code}
	for _, r := range s.merged(g, g.rows, s.columns(true, true, s.methods...)) {
		line := rowData{Label: r.label(), Sizes: sizes(g, r), Base: s.quote(g, r, m, s.base), Again: s.quote(g, r, m, again(s.base))}
		if line.Again.Text == line.Base.Text {
			line.Again.Text = ""
		}
		t.Again = t.Again || line.Again.Text != ""
		t.Labelled = t.Labelled || line.Label != ""
		for _, k := range s.against {
			o := other{Value: []quoted{s.quote(g, r, m, k)}}
			o.Change, o.Class, o.Sign = s.changesOver([]row{r}, m, k)
			line.Others = append(line.Others, o)
		}
		if n := len(t.Groups); n > 0 && t.Groups[n-1][0].Label == line.Label {
			t.Groups[n-1] = append(t.Groups[n-1], line)
		} else {
			t.Groups = append(t.Groups, []rowData{line})
		}
	}
	return t
}

// commands lists how QEMU was started, each way once.
func (s *sheet) commands() []commandData {
	var out []commandData
	for _, b := range s.r.Boots {
		c := commandData{b.Method.Title(), b.Kernel, b.Command}
		if b.Again || c.Command == "" || slices.ContainsFunc(out, func(o commandData) bool {
			return o.Method == c.Method && o.Kernel == c.Kernel
		}) {
			continue
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b commandData) int { return s.rank(a.Kernel) - s.rank(b.Kernel) })
	return out
}
