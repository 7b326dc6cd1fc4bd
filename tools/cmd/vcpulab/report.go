// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
)

// reportCmd shows results again.
type reportCmd struct {
	File   string `arg:"" help:"A results.json that bench wrote." type:"existingfile"`
	Format string `help:"table, brief (as bench ends), markdown, mail (plain text), readme (a short table in Markdown), bench (for benchstat), html, or svg (a picture of the lookups)." enum:"table,brief,markdown,mail,readme,bench,html,svg" default:"table"`
	Into   string `help:"Write what readme gives into this Markdown file, between its markers." placeholder:"FILE" type:"existingfile"`
	SVG    string `name:"svg" help:"Write what svg gives into this file." placeholder:"FILE"`
}

// Run prints the report.
func (c reportCmd) Run(l *lab) error {
	r, err := results.Read(c.File)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := writeFile(c.SVG, func(w io.Writer) error { return report.Picture(w, r) }); err != nil {
			return err
		}
	}
	if c.Into != "" {
		return insert(c.Into, r)
	}
	if c.SVG != "" {
		return nil
	}

	switch c.Format {
	case "brief":
		return report.Brief(l.stdout, r, report.Files{JSON: c.File}, report.OptionsFor(l.stdout))
	case "markdown":
		return report.Markdown(l.stdout, r)
	case "mail":
		return report.Mail(l.stdout, r)
	case "readme":
		return report.Digest(l.stdout, r)
	case "bench":
		return r.WriteBench(l.stdout)
	case "html":
		return report.HTML(l.stdout, r)
	case "svg":
		return report.Picture(l.stdout, r)
	}
	if l.JSON {
		return l.printJSON(r.Figures)
	}
	return report.Table(l.stdout, r, report.OptionsFor(l.stdout))
}

// The markers in a Markdown file, between which figures are put.
const (
	figuresBegin = "<!-- figures: vcpulab report --into README.md out/results.json -->\n"
	figuresEnd   = "<!-- end of figures -->\n"
)

// insert puts the figures of r between the markers of a file.
func insert(name string, r *results.Results) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), figuresBegin)
	_, after, ends := strings.Cut(rest, figuresEnd)
	if !begins || !ends {
		return exit.With(exit.Usage, fmt.Errorf("%s: expected the lines %q and %q, between which the figures go",
			name, strings.TrimSpace(figuresBegin), strings.TrimSpace(figuresEnd)))
	}
	var b strings.Builder
	if err := report.Digest(&b, r); err != nil {
		return err
	}
	return writeFile(name, func(w io.Writer) error {
		_, err := io.WriteString(w, before+figuresBegin+b.String()+figuresEnd+after)
		return err
	})
}

// writeResults writes the three files of a measurement into dir and returns
// their paths.
func writeResults(dir string, r *results.Results) (report.Files, error) {
	files := report.Files{
		JSON: filepath.Join(dir, "results.json"), Bench: filepath.Join(dir, "results.bench"), Page: filepath.Join(dir, "report.html"),
	}
	return files, errors.Join(
		r.Write(files.JSON),
		writeFile(files.Bench, r.WriteBench),
		writeFile(files.Page, func(w io.Writer) error { return report.HTML(w, r) }))
}
