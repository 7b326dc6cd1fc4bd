// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
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
	Format string `help:"table, markdown, mail (plain text), bench (for benchstat) or html." enum:"table,markdown,mail,bench,html" default:"table"`
	Into   string `help:"Write the figures of the mail into this Markdown file, between its markers." placeholder:"FILE" type:"existingfile"`
}

// Run prints the report.
func (c reportCmd) Run(l *lab) error {
	r, err := results.Read(c.File)
	if err != nil {
		return err
	}
	if c.Into != "" {
		return insert(c.Into, r)
	}
	switch c.Format {
	case "markdown":
		return report.Markdown(l.stdout, r)
	case "mail":
		return report.Mail(l.stdout, r)
	case "bench":
		return r.WriteBench(l.stdout)
	case "html":
		return report.HTML(l.stdout, r)
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
	if err := report.Mail(&b, r); err != nil {
		return err
	}
	return writeFile(name, func(f *os.File) error {
		_, err := f.WriteString(before + figuresBegin + "```\n" + b.String() + "```\n" + figuresEnd + after)
		return err
	})
}

// writeResults writes the three files of a measurement into dir and returns
// their paths.
func writeResults(dir string, r *results.Results) ([]string, error) {
	raw := filepath.Join(dir, "results.json")
	if err := r.Write(raw); err != nil {
		return nil, err
	}
	bench, page := filepath.Join(dir, "results.bench"), filepath.Join(dir, "report.html")
	if err := writeFile(bench, func(f *os.File) error { return r.WriteBench(f) }); err != nil {
		return nil, err
	}
	if err := writeFile(page, func(f *os.File) error { return report.HTML(f, r) }); err != nil {
		return nil, err
	}
	return []string{raw, bench, page}, nil
}
