// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	_ "embed"
	"go/doc/comment"
	"io"
	"strings"
	"text/template"

	"vcpulab/tools/progress"
)

//go:embed text.txt.tmpl
var textText string

var texts = template.Must(template.New("").Funcs(template.FuncMap{
	"count":  progress.Count,
	"indent": func(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") },
	"join":   strings.Join,
	"wrap":   wrap,
	"NotRun": func() Status { return NotRun },
}).Parse(textText))

// wrap returns a paragraph of a text, indented.
func wrap(text string) string {
	doc := comment.Doc{Content: []comment.Block{&comment.Paragraph{Text: []comment.Text{comment.Plain(text)}}}}
	p := comment.Printer{TextPrefix: "    ", TextWidth: 76}
	return string(p.Text(&doc))
}

// WriteText writes the report for people: a line for each check, what was found,
// and a verdict.
func (r *Report) WriteText(w io.Writer) error { return texts.ExecuteTemplate(w, "report", r) }

// WriteList writes what checks there are and why, for people.
func WriteList(w io.Writer, checks []Check) error { return texts.ExecuteTemplate(w, "list", checks) }
