// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
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
		columns := s.columns(s.repetition(m).Differs(), true, m)
		s.markdownTable(&b, m, columns, s.columns(true, true, m))
		b.WriteByte('\n')
		if s.HasVariants() {
			columns := s.everyKernel(m)
			s.markdownTable(&b, m, columns, columns)
			b.WriteByte('\n')
		}
		para(m.Sentence() + " " + s.Noise(m))
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
	para(strings.Join(s.Explanations(), " "))
	para("Measured with " + strings.Join(s.where(), ", ") + ". " + s.Repeated())
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

// markup are the characters that can be Markdown. The underscore inside a word is none.
var markup = regexp.MustCompile("[\\\\`*\\[\\]<>|#]|\\b_|_\\b")

// escapeMarkdown keeps what comes from outside from being markup.
func escapeMarkdown(text string) string {
	return markup.ReplaceAllString(strings.Join(strings.Fields(text), " "), `\$0`)
}

// Mail writes the figures that a cover letter or a commit message quotes, as plain text of at
// most 75 columns: instructions and memory where these were counted, else the times of user
// space; and what instructions do not tell. Where designs are compared it is that comparison.
func Mail(w io.Writer, r *results.Results) error {
	if r.HasDesigns() {
		return DesignsMail(w, r)
	}
	s, m, err := newQuoted(r)
	if err != nil {
		return err
	}
	p, times := &paper{}, &paper{}
	if err := s.mailTable(p, m, false); err != nil {
		return err
	}
	switch err := s.mailTable(times, figure.Native, true); {
	case err == nil:
		p.b.WriteString("\n" + times.b.String())
	case !errors.Is(err, errNothingToQuote):
		return err
	}
	return p.writeTo(w)
}

// mailTable writes the lines of operations that are timed, or the others.
func (s *sheet) mailTable(p *paper, m figure.Method, timed bool) error {
	patched, decimals := s.mainKernel(), 1
	if m.Exact() {
		decimals = 0
	}

	table := &grid{left: []bool{true, false, false, false}, gap: "  "}
	table.add(strings.Repeat(" ", mailLabel), "vCPUs", "before", "after")
	for _, of := range figure.Lines() {
		if of.Of.Operation().Timed != timed {
			continue
		}
		label := of.Label
		for _, n := range of.Sizes {
			key := of.Of
			key.VCPUs = n
			old, ok := s.Find(key, s.base, m)
			if !ok {
				continue
			}
			now, ok := s.Find(key, patched, m)
			if !ok {
				return fmt.Errorf("report: %s was measured on %s and not on %s", key.Name(), s.base, patched)
			}
			table.add("  "+label, fmt.Sprint(n), number(old.Value, decimals), number(now.Value, decimals))
			label = ""
		}
	}
	if len(table.rows) == 1 {
		return errNothingToQuote
	}

	p.line("", s.source(m)+"\n")
	table.write(p)
	return nil
}

// Digest writes what came out as Markdown, for a README: a sentence, and a table of the
// operations on the page's first screen, over all sizes. It returns the error of w.
func Digest(w io.Writer, r *results.Results) error {
	s, m, err := newQuoted(r)
	if err != nil {
		return err
	}
	return s.digest(w, m, false)
}

// TimedDigest is Digest of what instruction counts do not tell, by the times of user
// space.
func TimedDigest(w io.Writer, r *results.Results) error {
	s, _, err := newQuoted(r)
	if err != nil {
		return err
	}
	return s.digest(w, figure.Native, true)
}

// digest writes the operations on the first screen that are timed, or the others.
func (s *sheet) digest(w io.Writer, m figure.Method, timed bool) error {
	g := &grid{left: []bool{true, true, false, false, true}}
	g.add(m.Quantity(), "", "before", "after", "")
	for _, a := range s.answers(m) {
		i := slices.IndexFunc(a.Others, func(o other) bool { return o.Kernel == s.mainKernel() && len(o.Value) > 0 })
		if !a.First || a.rows[0].op().Timed != timed || i < 0 || len(a.Base) == 0 {
			continue
		}
		what := escapeMarkdown(a.What)
		if a.Code != "" {
			what = strings.TrimSpace("`" + a.Code + "` " + what)
		}
		g.add(what, a.Sizes, joinQuoted(a.Base, " – "), joinQuoted(a.Others[i].Value, " – "), escapeMarkdown(a.Others[i].Change))
	}
	if len(g.rows) == 1 {
		return errNothingToQuote
	}

	p := &paper{}
	p.line("", escapeMarkdown(s.source(m))+"\n")
	g.markdown(&p.b)
	return p.writeTo(w)
}

const mailLabel = 36 // width of the labels in a mail, indented

// mainKernel is the one that results are about, whatever variants there are.
func (s *sheet) mainKernel() string {
	if slices.Contains(s.kernels, namePatched) || len(s.kernels) == 0 {
		return namePatched
	}
	return s.kernels[len(s.kernels)-1]
}

// errNothingToQuote is returned where the method is missing that is quoted.
var errNothingToQuote = errors.New("report: found neither counted instructions nor times of user space, which are what is quoted")

// newQuoted lays out the figures of r, and says by which method they are quoted.
func newQuoted(r *results.Results) (*sheet, figure.Method, error) {
	if len(r.Kernels) < 2 {
		return nil, "", fmt.Errorf("report: expected two kernels, found %d", len(r.Kernels))
	}
	s := newSheet(r)
	if slices.Contains(s.methods, figure.ICount) {
		return s, figure.ICount, nil
	}
	return s, figure.Native, nil
}

// source says where quoted figures are from.
func (s *sheet) source(m figure.Method) string {
	base := s.Kernels[0]
	// The compiler's version is the last word of its line.
	compiler := base.Compiler[strings.LastIndexByte(base.Compiler, ' ')+1:]
	if m == figure.Native {
		return fmt.Sprintf("Nanoseconds, of the lookups alone, compiled for user space, Linux %s,\ngcc %s, %s:",
			base.Release, compiler, s.Host.CPU)
	}
	return fmt.Sprintf("Instructions, counted by %s (TCG, -icount shift=0), Linux %s,\ngcc %s, %s preemption, %s RCU, HZ=%d:",
		shortQEMU(s.Host.QEMU), base.Release, compiler, base.Preemption, base.RCU, base.HZ)
}
