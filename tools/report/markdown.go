// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"io"
	"regexp"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Markdown writes the results as a table of GitHub's Markdown, one for each
// method, for a README or a cover letter. It returns the error of w.
func Markdown(w io.Writer, r *results.Results) error {
	s := newSheet(r)
	var b strings.Builder
	para := func(text string) {
		if text != "" {
			b.WriteString(escapeMarkdown(text) + "\n\n")
		}
	}

	para(s.Subject() + ".")
	for _, m := range s.methods {
		columns := s.columns(s.differs(m), true, m)
		s.markdownTable(&b, m, columns, s.columns(true, true, m))
		b.WriteByte('\n')
		if s.HasVariants() {
			columns := s.everyKernel(m)
			s.markdownTable(&b, m, columns, columns)
			b.WriteByte('\n')
		}
		para(m.Sentence() + " " + s.noiseSentence(m))
	}

	para(s.Finding())
	if s.Uncertain() {
		para(uncertainSentence)
	}
	para(s.TargetSentence())
	for _, k := range r.Kernels {
		if k.About != "" {
			para(k.Name + ": " + k.About + ".")
		}
	}
	explanations, err := s.Explanations()
	if err != nil {
		return err
	}
	para(strings.Join(explanations, " "))
	para("Measured with " + strings.Join(s.where(), ", ") + ". " + s.Repeated())
	_, err = io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

// markdownTable writes the figures of one method. Rows are merged that look
// the same in the columns of merge.
func (s *sheet) markdownTable(b *strings.Builder, m figure.Method, columns, merge []column) {
	g := &grid{left: []bool{true, false}}
	head := []string{m.Quantity() + " (" + m.Title() + ")", "vCPUs"}
	for _, c := range columns {
		g.left = append(g.left, c.what == change)
		head = append(head, s.title(c))
	}
	g.add(head...)

	for _, of := range s.groups {
		for _, r := range s.merged(of, merge) {
			line := s.textRow(r, r.markdownLabel(), columns)
			for i, text := range line.cells[1:] {
				line.cells[i+1] = escapeMarkdown(text)
			}
			g.rows = append(g.rows, line)
		}
	}
	unrepeated(g.rows[1:], 0)
	g.markdown(b)
}

// markdownLabel says in one cell what a row is of.
func (r row) markdownLabel() string {
	title := cmp.Or(r.Short, r.Title)
	if r.Code {
		title = "`" + title + "`"
	}
	switch {
	case r.key.Object != "":
		// Objects have sizes of their own.
		return title + " of `" + r.label() + "`, " + r.Per
	case r.Inline:
		title += ", " + r.Per
	}
	if label := escapeMarkdown(r.label()); label != "" {
		title += ", " + label
	}
	return title
}

// markup are the characters that can be Markdown. The underscore inside a word is
// none.
var markup = regexp.MustCompile("[\\\\`*\\[\\]<>|#]|\\b_|_\\b")

// escapeMarkdown keeps what comes from outside from being markup.
func escapeMarkdown(text string) string {
	return markup.ReplaceAllString(strings.Join(strings.Fields(text), " "), `\$0`)
}
