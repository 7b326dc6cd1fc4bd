// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Refresh writes mutants anew whose lines have moved: it finds them by their
// context, all of which must be there, in one place only. It returns those that
// were written. An error is a *StaleError if some are beyond that.
func (r *Runner) Refresh(ctx context.Context, mutants []*Mutant) ([]*Mutant, error) {
	original, err := newSubject(r.Patches, r.Base, r.Cache)
	if err != nil {
		return nil, err
	}
	patched, err := original.Tree(ctx, 0)
	if err != nil {
		return nil, err
	}
	var written []*Mutant
	beyond := &StaleError{}
	for _, m := range mutants {
		base := patched
		if m.OfSeries {
			base = tree.Tree{Dir: filepath.Dir(r.Patches)}
		}
		did, err := m.refresh(ctx, base)
		if _, ok := errors.AsType[*series.ApplyError](err); ok {
			beyond.Mutants, beyond.Errs = append(beyond.Mutants, m), append(beyond.Errs, err)
			continue
		}
		if err != nil {
			return written, fmt.Errorf("refresh %s: %w", m.File, err)
		}
		if did {
			written = append(written, m)
		}
	}
	if len(beyond.Mutants) > 0 {
		return written, beyond
	}
	return written, nil
}

// refresh writes the mutant anew as it applies to base, unless it is so
// already.
func (m *Mutant) refresh(ctx context.Context, base tree.Tree) (bool, error) {
	mail, err := m.mail()
	if err != nil {
		return false, err
	}
	files, report, err := mail.Overlay(base, series.Options{Relocate: true})
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
	err = os.WriteFile(m.File+".new", text, 0o644)
	if err == nil {
		err = os.Rename(m.File+".new", m.File)
	}
	return err == nil, err
}

// indexLine is left out of mutants: they are of the lines that they have, and
// not of a state of all of a file.
var indexLine = regexp.MustCompile(`(?m)^index [0-9a-f]+\.\.[0-9a-f]+.*\n`)

// diffFiles returns the diff from files below dir to what they become.
func diffFiles(ctx context.Context, dir string, files map[string][]byte) ([]byte, error) {
	work, err := os.MkdirTemp("", "vcpulab-mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	before := make(map[string][]byte)
	now := make(map[string][]byte)
	for name, data := range files {
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case err == nil:
			before[name] = old
		case !errors.Is(err, os.ErrNotExist):
			return nil, err
		}
		if data != nil {
			now[name] = data
		}
	}
	for side, list := range map[string]map[string][]byte{"a": before, "b": now} {
		if err := os.Mkdir(filepath.Join(work, side), 0o755); err != nil {
			return nil, err
		}
		if err := writeFiles(filepath.Join(work, side), list); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, "git", "diff", "--no-index", "--no-prefix", "--no-color", "--no-ext-diff", "--no-renames", "a", "b")
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "LC_ALL=C")
	out, err := cmd.Output()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok && ee.ExitCode() == 1 {
		err = nil // there are differences
	}
	if err != nil {
		return nil, fmt.Errorf("git diff: %w", err)
	}
	return indexLine.ReplaceAll(out, nil), nil
}
