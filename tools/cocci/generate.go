// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Generated is a patch of a series and what its rule generates.
type Generated struct {
	Rule       string      `json:"rule"`
	Patch      string      `json:"patch"`
	Number     int         `json:"number"`
	Subject    string      `json:"subject"`
	Status     Status      `json:"status"`
	Difference *Difference `json:"difference,omitempty"`
	*Result
}

// Status says how a patch compares with what its rule generates.
type Status string

// The statuses of a generated patch.
const (
	Same      Status = "same"
	Different Status = "different"
	Written   Status = "written"
)

// Good reports whether the patch is what its rule generates, and nothing is
// left over.
func (g *Generated) Good() bool { return g.Status != Different && len(g.Left) == 0 }

// Generate runs the rule on base with the patches before its own, and compares
// that patch with the result. patch is the generated one.
func (r *Rule) Generate(ctx context.Context, s *series.Series, base tree.Tree, opts RunOptions) (g *Generated, patch []byte, err error) {
	p, err := r.Patch(s)
	if err != nil {
		return nil, nil, err
	}
	src, err := before(s, p, base, false)
	if err != nil {
		return nil, nil, err
	}
	g = &Generated{Rule: r.Name, Patch: p.Name, Number: p.Number, Subject: p.Subject, Status: Same}
	if g.Result, err = r.Run(ctx, src, opts); err != nil {
		return nil, nil, err
	}
	if patch, err = replaceChange(p, g.Change); err != nil {
		return nil, nil, exit.With(exit.CheckFailed, fmt.Errorf("generate from %s: %w", r.Name, err))
	}
	if g.Difference = compare(p.Mail, patch); g.Difference != nil {
		g.Status = Different
	}
	return g, patch, nil
}

// Write replaces the patch in the series with the generated one.
func (g *Generated) Write(dir string, patch []byte) error {
	if strings.Contains(g.Patch, "#") {
		return exit.With(exit.Usage, fmt.Errorf("write %s: it shares its file with other patches; give it one of its own", g.Patch))
	}
	if err := os.WriteFile(filepath.Join(dir, g.Patch), patch, 0o644); err != nil {
		return fmt.Errorf("write a generated patch: %w", err)
	}
	g.Status, g.Difference = Written, nil
	return nil
}

//go:embed report.txt.tmpl
var reportText string

var reports = template.Must(template.New("").Funcs(template.FuncMap{"count": progress.Count}).Parse(reportText))

// WriteText prints how the patch compares.
func (g *Generated) WriteText(w io.Writer) { _ = reports.ExecuteTemplate(w, "generated", g) }

// Conversion is the change that a rule makes to another kernel.
type Conversion struct {
	Generated
	KernelSrc string `json:"kernel_src"`
	Version   string `json:"version"`
	// Before says whether the patches before this one were applied first, Why
	// says why not.
	Before bool   `json:"before"`
	Why    string `json:"why,omitempty"`
	Diff   string `json:"diff"`
}

// Convert runs the rule on another kernel. If the patches before its own apply
// there, they are applied first, in memory.
func (r *Rule) Convert(ctx context.Context, s *series.Series, base tree.Tree, opts RunOptions) (*Conversion, error) {
	c := &Conversion{KernelSrc: base.Dir, Version: base.Version, Generated: Generated{Rule: r.Name, Subject: r.Subject, Status: Written}}
	src := &tree.Overlay{Dir: base.Dir}
	p, err := r.Patch(s)
	if err == nil {
		c.Patch, c.Number = p.Name, p.Number
		src, err = before(s, p, base, true)
	}
	if c.Before = err == nil; !c.Before {
		c.Why, _, _ = strings.Cut(err.Error(), "\n")
		src = &tree.Overlay{Dir: base.Dir}
	}

	if c.Result, err = r.Run(ctx, src, opts); err != nil {
		return nil, err
	}
	if c.Places == 0 {
		return nil, exit.With(exit.CheckFailed, fmt.Errorf("run %s on %s: found nothing to change below %s", r.Name, base.Dir, strings.Join(r.Paths, " ")))
	}
	c.Diff = string(c.Change)
	return c, nil
}

// WriteText prints what the diff is.
func (c *Conversion) WriteText(w io.Writer) { _ = reports.ExecuteTemplate(w, "conversion", c) }

// before returns the tree with the patches before p; relocate is for trees that
// the series was not made for.
func before(s *series.Series, p *series.Patch, base tree.Tree, relocate bool) (src *tree.Overlay, err error) {
	src = &tree.Overlay{Dir: base.Dir}
	if p.Number > 1 {
		src.Over, _, err = s.Overlay(base, series.Options{Through: p.Number - 1, Relocate: relocate})
	}
	return src, err
}

const separator = "\n---\n" // ends the message of a patch

// replaceChange returns a patch with another change: head and message are p's.
func replaceChange(p *series.Patch, change []byte) ([]byte, error) {
	head, _, ok := bytes.Cut(p.Mail, []byte(separator))
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: its message does not end with a line ---", p.Name)
	case len(change) == 0:
		return nil, fmt.Errorf("%s: the semantic patch changes nothing", p.Name)
	}
	return bytes.Join([][]byte{head, change}, []byte(separator)), nil
}

// Difference is the first line in which two patches differ.
type Difference struct {
	Line      int    `json:"line"` // 1-based
	Committed string `json:"committed"`
	Generated string `json:"generated"`
	// HeadingsOnly: the patches differ only in the names of functions in hunk
	// headers, which versions of git find in different ways.
	HeadingsOnly bool `json:"headings_only,omitempty"`
}

const end = "(end of the patch)" // in place of a line

var headings = regexp.MustCompile(`(?m)^(@@ -[0-9,]+ \+[0-9,]+ @@).*$`)

// compare returns the first difference between a committed patch and a
// generated one, nil if there is none.
func compare(committed, generated []byte) *Difference {
	if bytes.Equal(committed, generated) {
		return nil
	}
	plain := func(patch []byte) string { return headings.ReplaceAllString(string(patch), "$1") }
	d := &Difference{Line: 1, HeadingsOnly: plain(committed) == plain(generated)}
	a, b := strings.SplitAfter(string(committed), "\n"), strings.SplitAfter(string(generated), "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b, d.Line = a[1:], b[1:], d.Line+1
	}
	d.Committed, d.Generated = firstLine(a), firstLine(b)
	return d
}

// firstLine returns the first of the lines, without its end.
func firstLine(lines []string) string {
	if len(lines) == 0 || lines[0] == "" {
		return end
	}
	if text, ok := strings.CutSuffix(lines[0], "\n"); ok {
		return text
	}
	return lines[0] + " (without an end of line)"
}
