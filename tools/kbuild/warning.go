// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// Warning is what a compiler, sparse, objtool or kernel-doc says of a file,
// without line numbers: a patch that moves code causes no new one.
type Warning struct {
	// File is relative to the source tree, or the name of an object or
	// program; "" if unknown.
	File    string `json:"file"`
	Message string `json:"message"`
}

// String returns "file: message".
func (w Warning) String() string {
	if w.File == "" {
		return w.Message
	}
	return w.File + ": " + w.Message
}

func compareWarnings(a, b Warning) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Message, b.Message))
}

// sorted returns warnings in order, each once.
func sorted(list []Warning) []Warning {
	list = slices.SortedFunc(slices.Values(list), compareWarnings)
	return slices.Compact(list)
}

var (
	// Of compilers, assemblers and sparse, whose errors do not fail a build.
	diagnosis = regexp.MustCompile(`^(\S+?):(?:\d+:)?(?:\d+:)? ((?i:warning|error|fatal error): .*)$`)
	// Of kernel-doc.
	docWarning = regexp.MustCompile(`^(?i:warning|error): (\S+?):\d+ (.*)$`)

	placeInText  = regexp.MustCompile(`(\.[chS]):\d+(?::\d+)?`)
	lineInText   = regexp.MustCompile(`\bline \d+`)
	offsetInText = regexp.MustCompile(`\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?`)
)

// parseWarning reads a line of output. dir is the source tree's directory.
func parseWarning(line, dir string) (w Warning, ok bool) {
	switch m := diagnosis.FindStringSubmatch(line); {
	case strings.HasPrefix(line, "make:") || strings.HasPrefix(line, "make["):
		return w, false // of the clock, or of jobs
	case m != nil:
		w = Warning{sourcePath(m[1], dir), m[2]}
	default:
		if m = docWarning.FindStringSubmatch(line); m == nil {
			return w, false
		}
		w = Warning{sourcePath(m[1], dir), m[2]}
	}

	w.Message = placeInText.ReplaceAllString(w.Message, "$1")
	w.Message = lineInText.ReplaceAllString(w.Message, "line N")
	w.Message = offsetInText.ReplaceAllString(w.Message, "")
	return w, true
}

// sourcePath returns the path of a file in the source tree. kbuild's output
// directory is below the tree, so that it is "../virt/kvm/kvm_main.c", and the
// files of virt/kvm have the architecture's directory in their paths.
func sourcePath(name, dir string) string {
	name = strings.TrimPrefix(name, strings.TrimSuffix(dir, "/")+"/")
	if !strings.Contains(name, "/") {
		return name // a program
	}
	name = path.Clean(name)
	for strings.HasPrefix(name, "../") {
		name = name[len("../"):]
	}
	return name
}

// noChecker is what the kernel's Makefile says when it leaves sparse out.
var noChecker = []byte("specified, but")

// targetWarnings reads the output of make --output-sync=target and returns the
// warnings about each target that was made, which may be none.
func targetWarnings(r io.Reader, dir string) (map[string][]Warning, error) {
	made := make(map[string][]Warning)
	target := ""
	scan := scanLines(r)
	for scan.Scan() {
		line := scan.Bytes()
		if m := stepLine.FindSubmatch(line); m != nil {
			// Sparse checks the target before it.
			if string(m[1]) != stepCheck {
				target = sourcePath(string(m[2]), dir)
				made[target] = nil
			}
			continue
		}
		if bytes.Contains(line, noChecker) && bytes.Contains(line, []byte("C=1")) {
			return nil, exit.With(exit.MachineLacks, fmt.Errorf("kbuild left sparse out: %s", line))
		}

		if w, ok := parseWarning(string(line), dir); ok {
			made[target] = append(made[target], w)
		}
	}
	for target, list := range made {
		made[target] = sorted(list)
	}
	return made, scan.Err()
}
