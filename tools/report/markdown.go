// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"vcpulab/tools/results"
)

// Markdown writes the results as a table of GitHub's Markdown, one for each
// arm, for a README or a cover letter: its source is aligned, so that it reads
// well unrendered, too. It returns the error of w.
func Markdown(w io.Writer, r *results.Results) error {
	s := newSheet(r)
	var b strings.Builder
	para := func(text string) {
		if text != "" {
			b.WriteString(escapeMarkdown(text) + "\n\n")
		}
	}
	para(s.subject() + ".")
	for _, arm := range s.arms {
		s.markdownTable(&b, arm)
		b.WriteByte('\n')
		if s.hasVariants() {
			s.variantMarkdown(&b, arm)
			b.WriteByte('\n')
		}
		para(armSentence(arm) + " " + s.noise.sentence(arm) + s.probes(arm))
	}
	para(s.noise.finding())
	if s.uncertain() {
		para(uncertainSentence)
	}
	para(s.limitSentence())
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

// markdownTable writes the figures of one arm.
func (s *sheet) markdownTable(b *strings.Builder, arm results.Method) {
	head := []string{unitName(arm) + " (" + armName(arm) + ")", "vCPUs", s.base}
	again := again(s.base)
	if s.noise.differs(arm) {
		head = append(head, "again")
	}
	right := len(head)
	for _, k := range s.against {
		head = append(head, k, "change")
	}
	if s.limited() {
		head = append(head, "limit")
	}
	lines := [][]string{head, nil}
	for i := range head {
		rule := "---:"
		if i == 0 || i > right && (i-right)%2 == 1 {
			rule = ":---"
		}
		lines[1] = append(lines[1], rule)
	}
	for _, g := range s.groups {
		last := ""
		for _, r := range s.merged(g) {
			label := g.markdownLabel(r)
			line := []string{label, escapeMarkdown(rowSize(g, r)), g.text(r, arm, s.base)}
			if label == last {
				line[0] = ""
			}
			last = label
			if s.noise.differs(arm) {
				text := g.text(r, arm, again)
				if text == line[2] && text != "" {
					text = "="
				}
				line = append(line, text)
			}
			for _, k := range s.against {
				line = append(line, g.text(r, arm, k), s.change(r, arm, k).String())
			}
			if s.limited() {
				line = append(line, escapeMarkdown(s.limit(g, r, arm).String()))
			}
			lines = append(lines, line)
		}
	}
	writeAligned(b, lines)
}

// markdownLabel says in one cell what a row is of.
func (g group) markdownLabel(r row) string {
	title, per, _ := g.kind.about()
	switch g.kind {
	case kindOther:
		return "`" + strings.ReplaceAll(r.name, "`", "'") + "`"
	case kindGet, kindByID, kindWalk:
		title = "`" + title + "`, " + per
	case kindRate:
		title = "How often, in a second or in 10^9 instructions"
	case kindPath:
		title = "KVM's function, " + per
	case kindMemory:
		title += ", " + per
	case kindObject:
		return title + " with `" + strings.ReplaceAll(r.label, "`", "'") + "`, " + per
	case kindSizeof:
		return "`" + strings.ReplaceAll(title+"("+r.label+")", "`", "'") + "`, " + per
	}
	if r.label != "" {
		title += ", " + escapeMarkdown(r.label)
	}
	return title
}

// writeAligned writes the lines as a table; the second is the rule that says
// how columns are aligned.
func writeAligned(b *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, line := range lines {
		b.WriteByte('|')
		for i, c := range line {
			left := strings.HasPrefix(lines[1][i], ":")
			switch {
			case n == 1 && left:
				c = ":" + strings.Repeat("-", widths[i]-1)
			case n == 1:
				c = strings.Repeat("-", widths[i]-1) + ":"
			case left:
				c = pad(c, widths[i])
			default:
				c = padLeft(c, widths[i])
			}
			b.WriteString(" " + c + " |")
		}
		b.WriteByte('\n')
	}
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
