// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"os"
	"path/filepath"

	"vcpulab/tools/report"
	"vcpulab/tools/results"
)

// reportCmd shows results again.
type reportCmd struct {
	File   string `arg:"" help:"A results.json that bench wrote." type:"existingfile"`
	Format string `help:"table, markdown, mail (plain text), bench (for benchstat) or html." enum:"table,markdown,mail,bench,html" default:"table"`
}

// Run prints the report.
func (c reportCmd) Run(l *lab) error {
	r, err := results.Read(c.File)
	if err != nil {
		return err
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
