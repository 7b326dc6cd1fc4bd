// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"al.essio.dev/pkg/shellescape"

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
	Root  string `help:"The clone of the repository to work in (default: the one that the working directory, else the program is in, else the one that it was compiled in)." placeholder:"DIR" type:"existingdir" env:"VCPULAB_ROOT"`
	Cache string `help:"Where trees and kernels are kept." placeholder:"DIR" env:"VCPULAB_CACHE"`
	Base  string `help:"What to work on: a pinned kernel (vcpulab pin list), a version that Debian packages, or your own kernel tree or git repository, which is only read, as DIR or DIR@REVISION (default: the default pin)." placeholder:"BASE" env:"KERNEL_SRC,VCPULAB_PIN" aliases:"pin,kernel-src"`
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
	opened *series.Sets // the user's series, once it was read
}

func newLab(g globals, stdout, stderr io.Writer) (*lab, error) {
	l := &lab{globals: g, stdout: stdout, stderr: stderr}
	var err error
	if l.root = g.Root; l.root == "" {
		l.root, err = vm.SourceRoot()
	} else {
		err = vm.CheckRoot(l.root)
	}
	if err != nil {
		return nil, err
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
		funcs := template.FuncMap{"count": progress.Count, "words": shellescape.QuoteCommand}
		return template.Must(template.New("").Funcs(funcs).Parse(text)).Execute(w, v)
	})
}

const envKernelSrc = "KERNEL_SRC"

type seriesFlags struct {
	Series  string `help:"Your own series: a directory of patches, an mbox as lists archive it, or commits, TREE@A..B (default: the project's own patches)." placeholder:"SERIES"`
	Set     string `help:"Work on this set or rival of patches/sets.toml and what it needs (default: all sets)." placeholder:"NAME"`
	Through string `help:"Stop after this patch, by its number or by set and number there, as walks/3; 0 applies none." placeholder:"N"`
}

const pinDir = "kernel-src-pin"

func (l *lab) fetchOptions() pin.FetchOptions { return pin.FetchOptions{Cache: l.cache, Log: l.log} }

// findBase finds the base that was chosen. Commits of the user's are on one of their own.
func (l *lab) findBase(ctx context.Context, f seriesFlags) (*pin.Base, error) {
	name := l.Base
	if name == "" && f.Series != "" {
		sets, err := l.setsOf(ctx, f)
		if err != nil {
			return nil, err
		}
		name = sets.From
	}
	return pin.FindBase(ctx, l.path(pinDir), inHome(name), l.fetchOptions())
}

// another tells whether the base may be another kernel than the default pin.
func (l *lab) another(f seriesFlags) bool { return l.Base != "" || f.Series != "" }

// inHome is for a name of which the shell has left a ~ at its start, as in --base=~/linux.
func inHome(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), rest)
	}
	return name
}

// base returns the unpatched tree: a pinned one, or a copy of the user's.
func (l *lab) base(ctx context.Context, f seriesFlags) (tree.Tree, error) {
	b, err := l.findBase(ctx, f)
	if err != nil {
		return tree.Tree{}, err
	}
	return b.Fetch(ctx, l.fetchOptions())
}

func (l *lab) sets() (*series.Sets, error) { return series.LoadSets(l.path("patches")) }

// setsOf reads the sets of the series that was chosen, and says what it was made of.
func (l *lab) setsOf(ctx context.Context, f seriesFlags) (*series.Sets, error) {
	if f.Series == "" {
		return l.sets()
	}
	if l.opened == nil {
		sets, said, err := series.Open(ctx, inHome(f.Series), l.cache)
		if err != nil {
			return nil, err
		}
		if l.opened = sets; said != "" {
			fmt.Fprintln(l.stderr, said)
		}
	}
	return l.opened, nil
}

// series reads the series that was chosen: all sets, or one with those that it needs.
// through is its last patch to apply.
func (l *lab) series(ctx context.Context, f seriesFlags) (s *series.Series, through int, err error) {
	sets, err := l.setsOf(ctx, f)
	if err == nil {
		s, err = sets.Load(f.Set)
	}
	if err == nil {
		through, err = s.Last(f.Through)
	}
	return s, through, err
}

// work is a base, the sets that are applied to it, and how.
type work struct {
	from    *pin.Base
	base    tree.Tree
	sets    *series.Sets
	options series.Options
}

// applied is the series that was chosen, applied to its base up to a patch or all of it.
type applied struct {
	work
	series  *series.Series
	through int // its last patch that was applied, 0 for none
	patched tree.Tree
	report  *series.Report
}

// open fetches the base and reads the sets that were chosen. The project's own are made
// for the default pin: otherwise hunks are found by their context.
func (l *lab) open(ctx context.Context, f seriesFlags) (w work, err error) {
	if w.from, err = l.findBase(ctx, f); err == nil {
		w.base, err = w.from.Fetch(ctx, l.fetchOptions())
	}
	if err == nil {
		w.sets, err = l.setsOf(ctx, f)
	}
	w.options = series.Options{Relocate: f.Series != "" || err == nil && !w.from.Default(), Cache: l.cache, Log: l.log}
	return w, err
}

// apply makes the tree with the series that was chosen.
func (l *lab) apply(ctx context.Context, f seriesFlags) (a applied, err error) {
	// What is wrong is said before anything is fetched.
	if _, err = l.findBase(ctx, f); err == nil {
		a.series, a.through, err = l.series(ctx, f)
	}
	if err == nil {
		a.work, err = l.open(ctx, f)
	}
	if err != nil {
		return a, err
	}
	if a.through == 0 {
		a.patched, a.report = a.base, a.series.NoneApplied(a.base)
		return a, nil
	}
	a.options.Through = a.through
	a.patched, a.report, err = a.series.Apply(ctx, a.base, a.options)
	return a, err
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
