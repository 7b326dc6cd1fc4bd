// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"github.com/google/renameio/v2"

	"vcpulab/tools/program"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Refresh rewrites mutants whose lines have moved: it finds them by their
// context, all of which must exist, in one place only. It returns those that it
// rewrote. The error is a *StaleError if some cannot be found so.
func (r *Runner) Refresh(ctx context.Context, mutants []*Mutant) (written []*Mutant, err error) {
	if _, err := r.original(ctx); err != nil {
		return nil, err
	}
	err = r.try(mutants, func(m *Mutant, diff *series.Series, on tree.Tree) error {
		files, report, err := diff.Overlay(on, series.Options{Relocate: true})
		if err != nil {
			return err
		}
		if report.Patches[0].Status == series.Already {
			return &series.ApplyError{Patch: m.Name, Reason: "the series has the fault itself", Err: series.ErrApplied}
		}
		now, err := diffFiles(ctx, on.Dir, files)
		if err != nil {
			return err
		}
		text := append(bytes.Clone(m.text[:len(m.text)-len(m.diff())]), now...)
		if bytes.Equal(text, m.text) {
			return nil
		}
		written = append(written, m)
		return renameio.WriteFile(m.File, text, 0o644)
	})
	return written, err
}

// indexLine is left out of mutants: they depend on their lines, not on the rest
// of a file.
var indexLine = regexp.MustCompile(`(?m)^index [0-9a-f]+\.\.[0-9a-f]+.*\n`)

// diffFiles returns the diff from files below dir to their new content.
func diffFiles(ctx context.Context, dir string, files map[string][]byte) ([]byte, error) {
	work, err := os.MkdirTemp("", "vcpulab-mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	before, now := make(map[string][]byte), make(map[string][]byte)
	for name, data := range files {
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil {
			before[name] = old
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if data != nil {
			now[name] = data
		}
	}
	for side, files := range map[string]map[string][]byte{"a": before, "b": now} {
		err := os.Mkdir(filepath.Join(work, side), 0o755)
		if err == nil {
			err = writeFiles(filepath.Join(work, side), files)
		}
		if err != nil {
			return nil, err
		}
	}

	git := program.Program{Name: "git", Dir: work, Env: []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}}
	out, _, err := git.Run(ctx, "diff", "--no-index", "--no-prefix", "--no-color", "--no-ext-diff", "--no-renames", "a", "b")
	if status, ok := errors.AsType[*program.StatusError](err); ok && status.Status == 1 {
		err = nil // there are differences
	}
	return indexLine.ReplaceAll(out, nil), err
}
