// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"io"
	"strings"
	"unicode"

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

	para(s.subject() + ".")
	for _, m := range s.methods {
		columns := s.columns(s.noise.differs(m), true, m)
		s.markdownTable(&b, m, columns, s.columns(true, true, m))
		b.WriteByte('\n')
		if s.hasVariants() {
			columns := s.everyKernel(m)
			s.markdownTable(&b, m, columns, columns)
			b.WriteByte('\n')
		}
		para(m.Sentence() + " " + s.noise.sentence(m) + s.probes(m))
	}

	para(s.noise.finding())
	if s.uncertain() {
		para(uncertainSentence)
	}
	para(s.targetSentence())
	for _, k := range r.Kernels {
		if k.About != "" {
			para(k.Name + ": " + k.About + ".")
		}
	}
	para(strings.Join(s.explanations(), " "))
	para("Measured with " + strings.Join(s.where(), ", ") + ". " + s.repeated())
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
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
		for _, r := range s.merged(of, of.rows, merge) {
			line := s.textRow(of, r, markdownLabel(of, r), columns)
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
func markdownLabel(g group, r row) string {
	title, label := g.Title, escapeMarkdown(r.label())
	if g.Short != "" {
		title = g.Short
	}
	if g.Code {
		title = "`" + title + "`"
	}
	switch {
	case r.key.Object != "":
		// Objects have sizes of their own.
		return title + " of `" + r.label() + "`, " + g.Per
	case g.Inline:
		title += ", " + g.Per
	}
	if label != "" {
		title += ", " + label
	}
	return title
}

// escapeMarkdown keeps what comes from outside from being markup. The
// underscore inside a word is none.
func escapeMarkdown(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	inside := func(i int) bool {
		letter := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || c == '_' }
		return i > 0 && i < len(runes)-1 && letter(runes[i-1]) && letter(runes[i+1])
	}

	var b strings.Builder
	for i, c := range runes {
		if strings.ContainsRune("\\`*[]<>|#", c) || c == '_' && !inside(i) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
