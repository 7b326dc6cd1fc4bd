// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"

	"vcpulab/tools/program"
)

// kernelDocScript is the tree's own program.
const kernelDocScript = "tools/docs/kernel-doc"

var kernelDoc = Check{
	Name: "kernel-doc",
	Explain: "The tree's own kernel-doc -Wall says nothing of the files that the series touches that it does not say of them without it. " +
		"What is described wrongly is worse than what is not, and the bots of linux-doc look.",
	Needs: []string{"python3"},
	Run: inTree(func(ctx context.Context, s *Submission, src *patched, log io.Writer) ([]Finding, error) {
		before, after := fstest.MapFS{}, fstest.MapFS{}
		for name, data := range src.over {
			if ext := path.Ext(name); ext != ".c" && ext != ".h" || data == nil {
				continue
			}
			after[name] = &fstest.MapFile{Data: data}
			if old := src.before(name); old != nil {
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
		var found []Finding
		for _, w := range now {
			fresh := !slices.ContainsFunc(known, func(k docWarning) bool { return k.file == w.file && k.message == w.message })
			fmt.Fprintf(log, "%s:%d: %s (new: %t)\n", w.file, w.line, w.message, fresh)
			if fresh {
				found = append(found, Finding{File: w.file, Line: w.line, Message: w.message, Do: "python3 " + kernelDocScript + " -none -Wall " + w.file})
			}
		}
		return found, nil
	}),
}

// docWarning is a line of kernel-doc's.
type docWarning struct {
	file, message string
	line          int
}

var docLine = regexp.MustCompile(`^(?:Warning|Error|Info): ([^\s:]+):(\d+):? (.*)$`)

// kernelDoc returns what kernel-doc says of files.
func (s *Submission) kernelDoc(ctx context.Context, files fstest.MapFS) ([]docWarning, error) {
	if len(files) == 0 {
		return nil, nil
	}
	script := filepath.Join(s.Base.Dir, filepath.FromSlash(kernelDocScript))
	if _, err := os.Stat(script); err != nil {
		return nil, fmt.Errorf("run kernel-doc: %w", err)
	}
	dir, err := os.MkdirTemp("", "vcpulab-verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, files); err != nil {
		return nil, err
	}
	// Python is not to leave compiled files in the tree.
	p := program.Program{Name: "python3", Dir: dir, Env: []string{"PYTHONDONTWRITEBYTECODE=1", "KBUILD_VERBOSE=0"}}
	_, errs, err := p.Run(ctx, append([]string{script, "-none", "-Wall"}, slices.Sorted(maps.Keys(files))...)...)
	// It may count its warnings in its exit status.
	if _, ok := errors.AsType[*program.StatusError](err); err != nil && (!ok || strings.Contains(string(errs), "Traceback")) {
		return nil, err
	}
	var found []docWarning
	for line := range strings.Lines(string(errs)) {
		m := docLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[2])
		w := docWarning{file: m[1], line: n, message: m[3]}
		if !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	if len(found) == 0 && len(strings.TrimSpace(string(errs))) > 0 {
		return nil, fmt.Errorf("run kernel-doc: it says what cannot be read: %s", strings.TrimSpace(string(errs)))
	}
	return found, nil
}
