// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
)

// Warning is what a compiler, sparse or objtool says of a file,
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

// sorted returns warnings in order, each once.
func sorted(list []Warning) []Warning {
	return slices.Compact(slices.SortedFunc(slices.Values(list), func(a, b Warning) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Message, b.Message))
	}))
}

var (
	// Of compilers, assemblers and sparse, whose errors do not fail a build.
	diagnosis    = regexp.MustCompile(`^(\S+?):(?:\d+:)?(?:\d+:)? ((?i:warning|error|fatal error): .*)$`)
	placeInText  = regexp.MustCompile(`(\.[chS]):\d+(?::\d+)?`)
	lineInText   = regexp.MustCompile(`\bline \d+`)
	offsetInText = regexp.MustCompile(`\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?`)
)

// parseWarning reads a line of output. dir is the source tree's directory.
func parseWarning(line, dir string) (w Warning, ok bool) {
	m := diagnosis.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(line, "make:") || strings.HasPrefix(line, "make[") {
		return w, false // make's are of the clock, or of jobs
	}
	w = Warning{sourcePath(m[1], dir), m[2]}
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
const noChecker = "specified, but"

// targetWarnings reads the output of make --output-sync=target, line by line.
type targetWarnings struct {
	dir    string               // of the source tree
	made   map[string][]Warning // about each target that was made; may be none
	target string
	err    error // sparse was left out
}

func (t *targetWarnings) add(line string) {
	if m := stepLine.FindStringSubmatch(line); m != nil {
		// Sparse checks the target before it.
		if m[1] != stepCheck {
			t.target = sourcePath(m[2], t.dir)
			t.made[t.target] = nil
		}
		return
	}
	if strings.Contains(line, noChecker) && strings.Contains(line, "C=1") {
		t.err = exit.With(exit.MachineLacks, fmt.Errorf("kbuild left sparse out: %s", line))
	}

	if w, ok := parseWarning(line, t.dir); ok {
		t.made[t.target] = sorted(append(t.made[t.target], w))
	}
}

func count(targets map[string][]Warning, directories []string) int {
	n := 0
	for target := range targets {
		if slices.ContainsFunc(directories, func(dir string) bool { return strings.HasPrefix(target, dir+"/") }) {
			n++
		}
	}
	return n
}

// exportMark begins the name of the local symbol that EXPORT_SYMBOL() and its
// kin leave for modpost.
const exportMark = "__export_symbol_"

// unexported returns a warning for each symbol that a module below the
// directories takes from another of them that does not export it. modpost would
// find it, but needs the whole kernel; and a patch in the middle of a series can
// lack an export that a later one adds. Symbols that the kernel itself does not
// export are not found.
func unexported(out string, directories []string) ([]Warning, error) {
	owner := make(map[string]string) // object that defines a symbol
	exported := make(map[string]bool)
	var uses [][2]string // an object, and a symbol that it takes from elsewhere
	for _, dir := range directories {
		names, err := pattern.Files(out, path.Join(dir, "*.mod"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			object := dir + "/" + strings.TrimSuffix(filepath.Base(name), ".mod") + ".o"
			f, err := elf.Open(filepath.Join(out, filepath.FromSlash(object)))
			if err != nil {
				return nil, fmt.Errorf("read what %s exports: %w", object, err)
			}
			symbols, err := f.Symbols()
			if err = errors.Join(err, f.Close()); err != nil {
				return nil, fmt.Errorf("read what %s exports: %w", object, err)
			}
			for _, s := range symbols {
				name, mark := strings.CutPrefix(s.Name, exportMark)
				switch global := elf.ST_BIND(s.Info) != elf.STB_LOCAL; {
				case mark:
					exported[name] = true
				case s.Section == elf.SHN_UNDEF && global:
					uses = append(uses, [2]string{object, name})
				case global:
					owner[name] = object
				}
			}
		}
	}

	var found []Warning
	for _, u := range uses {
		if from := owner[u[1]]; from != "" && !exported[u[1]] {
			found = append(found, Warning{File: u[0], Message: fmt.Sprintf("error: %q is in %s, which does not export it", u[1], from)})
		}
	}
	return sorted(found), nil
}
