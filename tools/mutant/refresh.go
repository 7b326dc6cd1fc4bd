// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
func (r *Runner) Refresh(ctx context.Context, mutants []*Mutant) ([]*Mutant, error) {
	_, patched, err := r.loadSeries(ctx)
	if err != nil {
		return nil, err
	}
	var written []*Mutant
	stale := &StaleError{}
	for _, m := range mutants {
		base := patched
		if m.OfSeries {
			base = tree.Tree{Dir: filepath.Dir(r.Patches)}
		}
		changed, err := m.refresh(ctx, base)
		if _, ok := errors.AsType[*series.ApplyError](err); ok {
			stale.add(m, err)
			continue
		}
		if err != nil {
			return written, fmt.Errorf("refresh %s: %w", m.File, err)
		}
		if changed {
			written = append(written, m)
		}
	}
	return written, stale.orNil()
}

// refresh rewrites the mutant as it applies to base and tells whether that
// changed it.
func (m *Mutant) refresh(ctx context.Context, base tree.Tree) (changed bool, err error) {
	mutation, err := m.patch()
	if err != nil {
		return false, err
	}
	files, report, err := mutation.Overlay(base, series.Options{Relocate: true})
	if err != nil {
		return false, err
	}
	if report.Patches[0].Status == series.Already {
		return false, &series.ApplyError{Patch: m.Name, Reason: "the series has the fault itself", Err: series.ErrApplied}
	}

	diff, err := diffFiles(ctx, base.Dir, files)
	if err != nil {
		return false, err
	}
	text := append(bytes.Clone(m.text[:len(m.text)-len(m.diff())]), diff...)
	if bytes.Equal(text, m.text) {
		return false, nil
	}
	return true, renameio.WriteFile(m.File, text, 0o644)
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
