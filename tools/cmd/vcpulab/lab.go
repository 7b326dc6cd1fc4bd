// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
	"vcpulab/tools/vm"
)

// globals are the flags that every verb has.
type globals struct {
	Root  string `help:"The clone of the repository to work in (default: found from the working directory, else from the program)." placeholder:"DIR" type:"existingdir"`
	Cache string `help:"Where trees and kernels are kept." placeholder:"DIR" env:"VCPULAB_CACHE"`
	Pin   string `help:"The pinned kernel to work on, one of those that vcpulab pin list prints (default: the default one)." placeholder:"NAME" env:"VCPULAB_PIN"`
	JSON  bool   `name:"json" help:"Print the result as JSON."`
	Quiet bool   `short:"q" help:"Show no progress."`
}

// lab is what the verbs have in common.
type lab struct {
	globals
	root   string
	cache  *cache.Cache
	log    *progress.Log
	stdout io.Writer
	stderr io.Writer
}

func newLab(g globals, stdout, stderr io.Writer) (*lab, error) {
	l := &lab{globals: g, stdout: stdout, stderr: stderr}
	var err error
	if l.root = g.Root; l.root == "" {
		if l.root, err = vm.SourceRoot(); err != nil {
			return nil, err
		}
	}
	if l.cache, err = cache.Open(g.Cache); err != nil {
		return nil, err
	}
	if !g.Quiet {
		l.log = progress.New(stderr)
	}
	l.cache.Waiting = func(message string) { l.log.Printf("%s", message) }
	return l, nil
}

// path returns the absolute path of something in the repository.
func (l *lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.root}, elem...)...)
}

// printf writes a line of the result.
func (l *lab) printf(format string, args ...any) { fmt.Fprintf(l.stdout, format, args...) }

// printJSON writes the result for programs.
func (l *lab) printJSON(v any) error {
	enc := json.NewEncoder(l.stdout)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

// show prints a result: for programs, or as text for people.
func (l *lab) show(v any, text func(io.Writer) error) error {
	if l.JSON {
		return l.printJSON(v)
	}
	return text(l.stdout)
}

// print prints a result: for programs, or as a template says for people.
func (l *lab) print(v any, text string) error {
	return l.show(v, func(w io.Writer) error {
		return template.Must(template.New("").Parse(text)).Execute(w, v)
	})
}

// envKernelSrc names the user's own tree, see sourceFlags.
const envKernelSrc = "KERNEL_SRC"

// sourceFlags choose the tree to work on.
type sourceFlags struct {
	Set       string `help:"Work on this set or rival of patches/sets.toml and what it needs (default: all sets)." placeholder:"NAME"`
	Through   string `help:"Stop after this patch, by its number or by set and number there, as walks/3; 0 applies none." placeholder:"N"`
	KernelSrc string `help:"Your own kernel tree or git checkout, which is read and never written (default: the pinned kernel)." placeholder:"DIR" env:"KERNEL_SRC" type:"existingdir"`
}

// pinDir is the directory of the pinned kernels.
const pinDir = "kernel-src-pin"

// pin reads the pinned kernel that was chosen.
func (l *lab) pin() (*pin.Pin, error) { return pin.Find(l.path(pinDir), l.Pin) }

func (l *lab) fetchOptions() pin.FetchOptions { return pin.FetchOptions{Cache: l.cache, Log: l.log} }

// base returns the unpatched tree: the pinned one, or a copy of the user's.
func (l *lab) base(ctx context.Context, f sourceFlags) (tree.Tree, error) {
	p, err := l.pin()
	if err != nil {
		return tree.Tree{}, err
	}
	if f.KernelSrc == "" {
		return p.Fetch(ctx, l.fetchOptions())
	}
	return pin.UserTree(ctx, p, f.KernelSrc, l.cache, l.log)
}

// sets reads the list of the sets of patches.
func (l *lab) sets() (*series.Sets, error) { return series.LoadSets(l.path("patches")) }

// series reads the series that the flags choose, all sets of patches, or a set or a
// rival with those that it needs, and says which of its patches is the last one to apply.
func (l *lab) series(f sourceFlags) (s *series.Series, through int, err error) {
	sets, err := l.sets()
	if err == nil {
		s, err = sets.Load(f.Set)
	}
	if err == nil {
		through, err = s.Last(f.Through)
	}
	return s, through, err
}

// trees returns the unpatched tree, and the one with the series applied to it, up
// to a patch or all of it.
func (l *lab) trees(ctx context.Context, f sourceFlags) (base, patched tree.Tree, report *series.Report, err error) {
	if base, err = l.base(ctx, f); err != nil {
		return base, patched, nil, err
	}
	s, through, err := l.series(f)
	if err != nil {
		return base, patched, nil, err
	}
	if through == 0 {
		return base, base, s.NoneApplied(base), nil
	}
	o := l.seriesOptions(f)
	o.Through = through
	patched, report, err = s.Apply(ctx, base, o)
	return base, patched, report, err
}

// seriesOptions are the options to apply patches with. They are made for the
// default pin: on other trees hunks are found by their context.
func (l *lab) seriesOptions(f sourceFlags) series.Options {
	p, err := l.pin()
	other := f.KernelSrc != "" || err == nil && !p.Default
	return series.Options{Relocate: other, Cache: l.cache, Log: l.log}
}

// outDir makes the directory that results go to, and returns its absolute path.
func outDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(abs, 0o755)
	}
	if err != nil {
		return "", exit.With(exit.Usage, fmt.Errorf("make the directory for the results: %w", err))
	}
	return abs, nil
}
