// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"vcpulab/tools/exit"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
)

type reportCmd struct {
	File   string `arg:"" help:"A results.json that bench wrote." type:"existingfile"`
	Format string `help:"table, brief (as bench ends), markdown, mail (plain text), readme (a short table in Markdown), designs (as bench --designs ends), bench (for benchstat), html, or svg (a picture of the lookups, or of the designs)." enum:"table,brief,markdown,mail,readme,designs,bench,html,svg" default:"table"`
	Into   string `help:"Write what readme gives, or the comparison of designs, into this Markdown file, between its markers." placeholder:"FILE" type:"existingfile"`
	SVG    string `name:"svg" help:"Write what svg gives into this file." placeholder:"FILE"`
	Quoted string `help:"Write into this file what documents quote, without samples: results to compare others with." placeholder:"FILE"`
}

// formats are those that need nothing but the results, and are the same for programs.
var formats = map[string]func(io.Writer, *results.Results) error{
	"markdown": report.Markdown, "mail": report.Mail, "readme": report.Digest, "html": report.HTML, "svg": report.Picture,
	"bench": func(w io.Writer, r *results.Results) error { return r.WriteBench(w) },
}

// formatTable is what is printed if nothing else is asked for.
const formatTable = "table"

// contradiction refuses a flag that would be ignored beside another one.
func (c reportCmd) contradiction(json bool) error {
	_, plain := formats[c.Format]
	switch {
	case c.Format != formatTable && c.SVG+c.Quoted+c.Into != "":
		return errors.New("--format: contradicts --svg, --quoted and --into, which write files and print nothing")
	case json && (plain || c.Format == "brief"):
		return fmt.Errorf("--json: contradicts --format %s: expected table or designs with it", c.Format)
	}
	return nil
}

// Run prints the report.
func (c reportCmd) Run(l *lab) error {
	if err := c.contradiction(l.JSON); err != nil {
		return exit.With(exit.Usage, fmt.Errorf("report: %w", err))
	}
	r, err := results.Read(c.File)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		err = writeFile(c.SVG, func(w io.Writer) error { return report.Picture(w, r) })
	}
	if err == nil && c.Quoted != "" {
		err = l.quote(c.Quoted, r)
	}
	if err == nil && c.Into != "" {
		err = insertFigures(c.Into, r)
	}
	if err != nil || c.SVG+c.Quoted+c.Into != "" {
		return err
	}

	switch files := (report.Files{JSON: c.File}); c.Format {
	case formatTable:
		return l.show(r.Figures, func(w io.Writer) error { return report.Table(w, r, report.Colours(w)) })
	case "brief":
		return report.Brief(l.stdout, r, files, report.Colours(l.stdout))
	case "designs":
		return l.showDesigns(r, files)
	}
	return formats[c.Format](l.stdout, r)
}

// benchCompareCmd is a subcommand of bench because it takes nothing but what bench wrote.
type benchCompareCmd struct {
	Old  string `arg:"" help:"A results.json that bench wrote." type:"existingfile"`
	New  string `arg:"" help:"Another."  type:"existingfile"`
	All  bool   `help:"Show every figure, not only those that got better or worse."`
	Fail bool   `name:"fail-on-regression" help:"Exit code 1 if a figure got worse, beyond noise, or if one that both have cannot be compared." xor:"fail"`
	// Worse is for another machine, whose compiler may be another.
	Worse bool `name:"fail-if-worse" help:"Exit code 1 only if an exact figure that can be compared got worse." xor:"fail"`
}

// errRegression is what --fail-on-regression finds.
var errRegression = errors.New("the new results are worse, or cannot be compared")

// Run prints what changed.
func (c benchCompareCmd) Run(l *lab) error {
	old, err := results.Read(c.Old)
	if err != nil {
		return err
	}
	new, err := results.Read(c.New)
	if err != nil {
		return err
	}
	found := report.Compare(old, new)
	err = l.show(found, func(w io.Writer) error { return found.WriteText(w, c.All, report.Colours(w)) })
	switch {
	case err != nil:
		return err
	case len(found.Figures) == found.Count(report.OnlyOld)+found.Count(report.OnlyNew):
		return fmt.Errorf("%s and %s: nothing was measured in both", c.Old, c.New)
	case c.Fail && !found.Good(), c.Worse && slices.ContainsFunc(found.Figures, report.Compared.ExactlyWorse):
		return fmt.Errorf("%w: %d worse, %d not comparable", errRegression, found.Count(report.Worse), found.Count(report.Incomparable))
	}
	return nil
}

// quote keeps what is quoted of r in a file, beside what that has of other methods. What
// is said of designs is that of their patches as they are now: it is not measured.
func (l *lab) quote(name string, r *results.Results) error {
	quoted := r.Quoted()
	if r.HasDesigns() {
		if err := l.describe(quoted); err != nil {
			return err
		}
	}
	kept, err := results.Read(name)
	switch {
	case err == nil:
		err = quoted.Beside(kept)
	case errors.Is(err, fs.ErrNotExist):
		err = nil // there is nothing to keep
	default:
		err = fmt.Errorf("--quoted: %w: nothing was written; remove the file if nothing of it is to be kept", err)
	}
	if err != nil {
		return err
	}
	return quoted.Write(name)
}

// describe has designs say what their patches change now.
func (l *lab) describe(r *results.Results) error {
	all, err := l.allVariants()
	if err != nil {
		return err
	}
	designs, err := l.changes(all)
	if err != nil {
		return err
	}
	r.Kernels = slices.Clone(r.Kernels)
	for i, k := range r.Kernels {
		if d := designs[k.Name]; d != nil && k.Design != nil {
			r.Kernels[i].Design = d
		}
	}
	return nil
}

// section is a place in a Markdown file, between a line that names it and the command that
// fills it, and one that ends it.
type section struct{ name, command string }

// timesSection is for what instruction counts do not tell.
var (
	figuresSection = section{"figures", "report --into README.md out/results.json"}
	timesSection   = section{"times", "report --into README.md out/results.json"}
	designsSection = section{"designs", "report --into patches/README.md out/designs/results.json"}
	// sentenceSection is for what wins where, without the table.
	sentenceSection = section{"sentence", "report --into README.md out/designs/results.json"}
)

func (s section) begin() string { return "<!-- " + s.name + ": vcpulab " + s.command + " -->\n" }

// insertFigures puts the figures of r into a file: the comparison of designs, or its
// sentence alone, if r has one.
// If the file has a place for times, too, what r does not have stays as it is.
func insertFigures(name string, r *results.Results) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	insert := func(s section, write func(io.Writer, *results.Results) error) error {
		return s.insert(name, func(w io.Writer) error { return write(w, r) })
	}
	if r.HasDesigns() {
		if strings.Contains(string(text), sentenceSection.begin()) {
			return insert(sentenceSection, report.DesignsSentence)
		}
		return insert(designsSection, report.DesignsMarkdown)
	}
	measured := func(m results.Method) bool {
		return slices.ContainsFunc(r.Boots, func(b results.Boot) bool { return b.Method == m })
	}
	timed := strings.Contains(string(text), timesSection.begin()) && measured(results.Native)
	if timed {
		err = insert(timesSection, report.TimedDigest)
	}
	if err == nil && (!timed || measured(results.ICount)) {
		err = insert(figuresSection, report.Digest)
	}
	return err
}

// insert puts what write writes into the section of a file.
func (s section) insert(name string, write func(io.Writer) error) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	begin, end := s.begin(), "<!-- end of "+s.name+" -->\n"
	before, rest, begins := strings.Cut(string(text), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		return exit.With(exit.Usage, fmt.Errorf("%s: expected the lines %q and %q, between which it goes",
			name, strings.TrimSpace(begin), strings.TrimSpace(end)))
	}
	var made strings.Builder
	if err := write(&made); err != nil {
		return err
	}
	return writeFile(name, func(w io.Writer) error {
		_, err := io.WriteString(w, before+begin+made.String()+end+after)
		return err
	})
}

// writeResults writes the files of a measurement into dir.
func writeResults(dir string, r *results.Results) (report.Files, error) {
	files := report.Files{
		JSON: filepath.Join(dir, "results.json"), Bench: filepath.Join(dir, "results.bench"), Page: filepath.Join(dir, "report.html"),
	}
	return files, errors.Join(
		r.Write(files.JSON),
		writeFile(files.Bench, r.WriteBench),
		writeFile(files.Page, func(w io.Writer) error { return report.HTML(w, r) }))
}

// writeFile writes a file of results, completely or not at all.
func writeFile(name string, write func(io.Writer) error) error {
	var data bytes.Buffer
	err := write(&data)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(name, data.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
