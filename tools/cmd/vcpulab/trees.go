// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

type fetchCmd struct{}

// Run prints where the unpacked tree is.
func (fetchCmd) Run(ctx context.Context, l *lab) error {
	t, err := l.base(ctx, seriesFlags{})
	if err != nil {
		return err
	}
	return l.print(t, "{{.Dir}}\n")
}

type applyCmd struct {
	seriesFlags
	Out string `help:"Copy the patched tree to this directory, which must not exist, to edit it: those in the cache share their files." placeholder:"DIR"`
}

// Run prints what each patch did and, last, where the patched tree is.
func (c applyCmd) Run(ctx context.Context, l *lab) error {
	a, err := l.apply(ctx, c.seriesFlags)
	if err == nil && c.Out != "" {
		err = tree.Unedited(ctx, l.cache, a.base)
	}
	if err != nil {
		return err
	}
	if c.Out != "" {
		dir, err := filepath.Abs(c.Out)
		if err == nil {
			err = tree.Copy(ctx, a.report.TreeDir, dir)
		}
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		a.report.TreeDir = dir
	}
	return l.show(a.report, func(w io.Writer) error {
		err := a.report.WriteText(w)
		fmt.Fprintln(w, a.report.TreeDir)
		return err
	})
}

type pinCmd struct {
	List   pinListCmd   `cmd:"" help:"List the pinned kernels."`
	New    pinNewCmd    `cmd:"" help:"Pin a kernel version that Debian packages."`
	Update pinUpdateCmd `cmd:"" help:"Update the blob ids of a pin."`
}

type pinListCmd struct{}

// Run prints the name of each pin.
func (pinListCmd) Run(l *lab) error {
	return l.print(pin.List(l.path(pinDir)), "{{range .}}{{.Name}}{{if .Default}} (default){{end}}\n{{end}}")
}

type pinNewCmd struct {
	Version string `arg:"" help:"The kernel's version, such as 7.2.13 or 7.3-rc7."`
	Suite   string `help:"Debian's suite to look in (default: those of the other pins, then the usual ones)." placeholder:"SUITE"`
}

// Run prints the file that was written, and what the series lacks there.
func (c pinNewCmd) Run(ctx context.Context, l *lab) error {
	touched, err := l.touchedFiles(ctx)
	if err != nil {
		return err
	}
	file, missing, err := pin.New(ctx, l.path(pinDir), c.Version, c.Suite, touched, l.fetchOptions())
	if err != nil {
		return err
	}
	return l.printPin(file, true, missing)
}

type pinUpdateCmd struct{}

// Run rewrites the pin file.
func (pinUpdateCmd) Run(ctx context.Context, l *lab) error {
	p, err := pin.Find(l.path(pinDir), l.Base)
	if err != nil {
		return err
	}
	touched, err := l.touchedFiles(ctx)
	if err != nil {
		return err
	}
	changed, missing, err := p.Update(ctx, touched, l.fetchOptions())
	if err != nil {
		return err
	}
	return l.printPin(p.File, changed, missing)
}

// printPin prints whether a pin file was written, and what the series lacks there.
func (l *lab) printPin(file string, written bool, missing []string) error {
	return l.print(struct {
		File    string   `json:"file"`
		Written bool     `json:"written"`
		Missing []string `json:"missing"`
	}{file, written, missing}, `{{.File}} {{if .Written}}written{{else}}is up to date{{end}}
{{range .Missing}}  the series touches {{.}}, which this kernel does not have
{{end}}`)
}

// touchedFiles returns the files of the kernel that the sets and the variants' patches change.
func (l *lab) touchedFiles(ctx context.Context) ([]string, error) {
	s, _, err := l.series(ctx, seriesFlags{})
	if err != nil {
		return nil, err
	}
	patches := slices.Clone(s.Patches)
	all, err := l.variants(nil, true)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if v.Patches == "" {
			continue
		}
		own, err := series.Load(filepath.Join(s.Dir, v.Patches))
		if err != nil {
			return nil, err
		}
		patches = append(patches, own.Patches...)
	}

	var touched []string
	made := make(map[string]bool) // by an earlier patch, or by this one
	for _, p := range patches {
		for _, f := range p.Files {
			if name := f.OldPath(); name != "" && !made[name] {
				touched = append(touched, name)
			}
		}
		for _, f := range p.Files {
			made[f.NewPath()] = true
		}
	}
	return touched, nil
}
