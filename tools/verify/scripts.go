// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/program"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

func checkpatch(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
	patches := s.Series.Patches
	results := make([]*series.CheckpatchResult, len(patches))
	step := s.Log.Step("checkpatch")
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(s.Jobs, runtime.NumCPU()))
	for i, p := range patches {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			step.Update("%d of %d patches", i+1, len(patches))
			results[i], err = s.checkpatch(ctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		step.Fail(err)
		return nil, err
	}
	step.Done("")
	var found []Finding
	for _, r := range results {
		fmt.Fprintf(log, "%s: %d errors, %d warnings, %d checks, %d lines\n", r.Patch, r.Errors, r.Warnings, r.Checks, r.Lines)
		for _, f := range append(r.Findings, r.Explained...) {
			fmt.Fprintf(log, "  %v\n%s\n", f, f.Excerpt)
			found = append(found, checkpatchFinding(r.Patch, f))
		}
	}
	return found, nil
}

func checkpatchFinding(patch string, f series.CheckpatchFinding) Finding {
	found := Finding{
		Patch: patch, File: f.File, Line: f.Line, Message: f.Level + ":" + f.Type + ": " + f.Message, Found: f.Excerpt, Reason: f.Reason,
	}
	if f.File == "" {
		found.Line = f.PatchLine
	}
	if f.Reason == "" {
		found.Do = "mend it, or say below the mail's \"---\" why it stays: checkpatch: " + f.Type + ": the reason"
	}
	return found
}

const checkpatchKind = "checkpatch" // of results in the cache

// checkpatch returns what checkpatch says of a patch. It reads the tree, too,
// so that the result is kept by both.
func (s *Submission) checkpatch(ctx context.Context, p *series.Patch) (*series.CheckpatchResult, error) {
	// The number is raised when package series asks checkpatch something else.
	key := cache.Key(checkpatchKind, "1", s.Base.ID, p.Name, string(p.Mail))
	r, _, err := cache.Result(ctx, s.Cache, checkpatchKind, key, func(ctx context.Context) (*series.CheckpatchResult, error) {
		return series.Checkpatch(ctx, s.Base.Dir, p)
	})
	return r, err
}

// kernelDocScripts are the places of the tree's own program, the newest first.
var kernelDocScripts = []string{"tools/docs/kernel-doc", "scripts/kernel-doc.py", "scripts/kernel-doc"}

// findKernelDoc returns the program of a tree, by its path there, and what runs it: up to
// Linux 6.15 it was written in Perl.
func findKernelDoc(dir string) (language, script string, err error) {
	for _, script = range kernelDocScripts {
		data, missing := os.ReadFile(filepath.Join(dir, filepath.FromSlash(script)))
		if missing == nil {
			if first, _, _ := strings.Cut(string(data), "\n"); strings.HasPrefix(first, "#!") && strings.Contains(first, "perl") {
				return "perl", script, nil
			}
			return "python3", script, nil
		}
		err = cmp.Or(err, missing)
	}
	return "", "", fmt.Errorf("run kernel-doc: %w", err)
}

var kernelDoc = inTree(func(ctx context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
	before, after := fstest.MapFS{}, fstest.MapFS{}
	for name, data := range src.Over {
		if ext := path.Ext(name); ext != ".c" && ext != ".h" || data == nil {
			continue
		}
		after[name] = &fstest.MapFile{Data: data}
		if old := src.Before(name); old != nil {
			before[name] = &fstest.MapFile{Data: old}
		}
	}
	now, err := s.kernelDoc(ctx, after)
	if err != nil || len(now) == 0 {
		return nil, err
	}
	known, err := s.kernelDoc(ctx, before)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "%d files, %d warnings before, %d after\n", len(after), len(known), len(now))
	language, script, err := findKernelDoc(s.Base.Dir)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, f := range newFindings(now, known) {
		fmt.Fprintln(log, f)
		f.Do = language + " " + script + " -none -Wall " + f.File
		found = append(found, f)
	}
	return found, nil
})

// newFindings returns those that are not known, or not as often. Lines do not
// count: they move.
func newFindings(now, known []Finding) []Finding {
	type text struct{ file, message string }
	times := make(map[text]int)
	for _, f := range known {
		times[text{f.File, f.Message}]++
	}
	var fresh []Finding
	for _, f := range now {
		if times[text{f.File, f.Message}]--; times[text{f.File, f.Message}] < 0 {
			fresh = append(fresh, f)
		}
	}
	return fresh
}

// docLine is a warning of kernel-doc's, as the programs in Python and in Perl print it.
var docLine = regexp.MustCompile(`^(?:(?:Warning|Error|Info): )?([^\s:]+):(\d+):? (?:(?:warning|error|info): )?(.*)$`)

const kernelDocKind = "kernel-doc" // of results in the cache

// kernelDoc returns what kernel-doc says of files. It takes long, so that the cache has
// what it prints of the same files and the same tree.
func (s *Submission) kernelDoc(ctx context.Context, files fstest.MapFS) ([]Finding, error) {
	if len(files) == 0 {
		return nil, nil
	}
	parts := []string{kernelDocKind, "1", s.Base.ID}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		parts = append(parts, name, string(files[name].Data))
	}
	printed, _, err := cache.Result(ctx, s.Cache, kernelDocKind, cache.Key(parts...), func(ctx context.Context) (string, error) {
		return s.runKernelDoc(ctx, files)
	})
	if err != nil {
		return nil, err
	}

	var found []Finding
	for line := range strings.Lines(printed) {
		m := docLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[2])
		if f := (Finding{File: m[1], Line: n, Message: m[3]}); !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	if len(found) == 0 && len(strings.TrimSpace(printed)) > 0 {
		return nil, fmt.Errorf("run kernel-doc: it says what cannot be read: %s", strings.TrimSpace(printed))
	}
	return found, nil
}

func (s *Submission) runKernelDoc(ctx context.Context, files fstest.MapFS) (string, error) {
	language, script, err := findKernelDoc(s.Base.Dir)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "vcpulab-verify-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, files); err != nil {
		return "", err
	}
	// Python is not to leave compiled files in the tree.
	p := program.Program{Name: language, Dir: dir, Env: []string{"PYTHONDONTWRITEBYTECODE=1", "KBUILD_VERBOSE=0"}}
	_, errs, err := p.Run(ctx, append([]string{filepath.Join(s.Base.Dir, filepath.FromSlash(script)), "-none", "-Wall"}, slices.Sorted(maps.Keys(files))...)...)
	// It may count its warnings in its exit status.
	if _, ok := errors.AsType[*program.StatusError](err); err != nil && (!ok || strings.Contains(string(errs), "Traceback")) {
		return "", err
	}
	return string(errs), nil
}
