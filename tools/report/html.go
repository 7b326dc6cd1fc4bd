// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

var (
	//go:embed page.html.tmpl
	pageSource string
	//go:embed page.css
	pageStyle string
)

// page makes the page; parsing it at start finds a broken one in every test.
var page = template.Must(template.New("page").Parse(pageSource))

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
	p := pageData{
		Style:     template.CSS(pageStyle),
		Subject:   s.subject(),
		Results:   r,
		JSONFile:  JSONFile,
		BenchFile: BenchFile,
		Explained: s.explanations(),
		Finding:   s.noise.finding(),
		Uncertain: s.uncertain(),
		Repeated:  s.repeated(),
		Where:     s.where(),
		Around:    s.surroundings(),
		Commands:  s.commands(),
		Columns:   append([]string{s.base}, s.against...),
		Limited:   s.limited(),
		Limit:     strings.ReplaceAll(s.limitSentence(), "<=", "≤"),
		All:       s.kernels,
	}
	for _, arm := range s.arms {
		p.Arms = append(p.Arms, s.pageArm(arm))
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
	Style     template.CSS
	Subject   string
	Results   *results.Results
	JSONFile  string
	BenchFile string
	Arms      []armData
	Columns   []string
	Limited   bool   // there is a column of limits
	Limit     string // what they are
	All       []string
	Explained []string
	Finding   string
	Uncertain bool
	Repeated  string
	Where     []string
	Around    []string // what the running kernel was measured in
	Commands  []commandData
	Raw       []rawGroup // the samples of each number of the tables
}

// armData is what one arm gave.
type armData struct {
	ID, Name, Unit, Sentence, Noise string
	Answers                         []answer
	Variants                        []variantAnswer
	Lookups, Creations, Paths, Gaps []figureOf
	Waiting                         []string
	Tables                          []tableData
}

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
	Method, Kernel, Command, Cmdline string
}

func (s *sheet) pageArm(arm results.Method) armData {
	a := armData{
		ID: string(arm), Name: armName(arm), Unit: unitName(arm), Sentence: armSentence(arm),
		Noise:     s.noise.sentence(arm) + s.probes(arm),
		Answers:   s.answers(arm),
		Variants:  s.variantAnswers(arm),
		Lookups:   s.lookupPlots(arm),
		Creations: s.creationPlots(arm),
		Paths:     s.pathPlots(arm),
		Gaps:      s.gapPlots(arm),
		Waiting:   s.waiting(arm),
	}
	// Sizes and memory are the same on every arm: said once is enough.
	if arm != s.arms[0] {
		a.Answers = slices.DeleteFunc(a.Answers, func(a answer) bool { return a.kind > kindStalled })
	}
	for _, g := range s.groups {
		a.Tables = append(a.Tables, s.pageTable(g, arm))
	}
	return a
}

func (s *sheet) pageTable(g group, arm results.Method) tableData {
	title, per, sizes := g.kind.about()
	t := tableData{Title: title, Per: per, Sizes: sizes, Code: g.kind <= kindWalk}
	switch {
	case g.kind == kindRate:
		t.Per = ratePer(arm)
	case g.kind.costs():
		t.Per = unitName(arm) + " " + per
	}
	for _, r := range s.merged(g) {
		line := rowData{Label: rowLabel(r), Sizes: rowSize(g, r), Base: s.quote(g, r, arm, s.base)}
		if line.Again = s.quote(g, r, arm, again(s.base)); line.Again.Text != line.Base.Text {
			t.Again = true
		} else {
			line.Again.Text = ""
		}
		t.Labelled = t.Labelled || line.Label != ""
		for _, k := range s.against {
			c := s.change(r, arm, k)
			o := other{Value: []quoted{s.quote(g, r, arm, k)}, Change: c.page()}
			o.Class, o.Sign = c.verdict.look()
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
		c := commandData{armName(b.Method), b.Kernel, b.Command, b.Cmdline}
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
