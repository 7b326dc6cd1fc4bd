// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
)

// Ext is the extension of mutants' files.
const Ext = ".patch"

// PatchesDir is the directory of the series' files in the diff of a mutant that
// changes them.
const PatchesDir = "patches"

// A Mutant is one deliberate fault.
type Mutant struct {
	// Name is that of its file, without Ext.
	Name string `json:"name"`
	// File is the path of the file.
	File string `json:"file"`
	// Fault says in a line what is wrong, Missed why a reader of the series
	// could overlook it.
	Fault  string `json:"fault"`
	Missed string `json:"missed"`
	// KilledBy is the check that must catch it.
	KilledBy Killer `json:"killedBy"`
	// Finds has to match one of the check's complaints.
	Finds *regexp.Regexp `json:"finds"`
	// Slow keeps it out of the fast ones even though its check is fast.
	Slow bool `json:"slow,omitempty"`
	// OfSeries says that it changes the files of the series, not the tree
	// that the series makes.
	OfSeries bool `json:"ofSeries"`

	text []byte // of the file
	head int    // lines of the file up to the diff
}

// separator is the line between a mutant's head and its diff.
const separator = "---"

// head is the TOML at the beginning of a mutant's file.
type head struct {
	Fault    string `toml:"fault"`
	Missed   string `toml:"missed"`
	KilledBy string `toml:"killed-by"`
	Finds    string `toml:"finds"`
	Slow     bool   `toml:"slow"`
}

// Load reads the mutants in dir, in the order of their names. Errors stand
// for exit.Usage.
func Load(dir string) ([]*Mutant, error) {
	fail := func(err error) ([]*Mutant, error) {
		return nil, exit.With(exit.Usage, fmt.Errorf("read the mutants: %w", err))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fail(err)
	}

	var mutants []*Mutant
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != Ext {
			continue
		}
		name := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(name)
		if err != nil {
			return fail(err)
		}
		m, err := Parse(name, text)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, m)
	}
	if len(mutants) == 0 {
		return fail(fmt.Errorf("%s has no *%s: %w", dir, Ext, fs.ErrNotExist))
	}
	return mutants, nil
}

// Parse reads a mutant's file: a head in TOML, a line "---", and a diff of
// git's. The head has
//
//	fault      what is wrong, in a sentence
//	missed     why a reader could overlook it
//	killed-by  the check that must catch it, see [ParseKiller]
//	finds      what the check must find, a regular expression
//	slow       true if it takes too long for the fast ones
//
// The paths of the diff are those of the kernel's tree, or all of them are
// below patches/. An error stands for exit.Usage.
func Parse(file string, text []byte) (*Mutant, error) {
	m := &Mutant{Name: strings.TrimSuffix(filepath.Base(file), Ext), File: file, text: text}
	if err := m.parse(); err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("read the mutant %s: %w", file, err))
	}
	return m, nil
}

func (m *Mutant) parse() error {
	before, diff, found := bytes.Cut(m.text, []byte("\n"+separator+"\n"))
	if !found {
		return fmt.Errorf("expected a line %q between head and diff, found none", separator)
	}
	m.head = bytes.Count(before, []byte("\n")) + 2
	var h head
	if err := tomlfile.Decode(before, &h); err != nil {
		return fmt.Errorf("the head: %w", err)
	}

	for _, f := range []struct{ name, value string }{
		{"fault", h.Fault}, {"missed", h.Missed}, {"killed-by", h.KilledBy}, {"finds", h.Finds},
	} {
		if strings.TrimSpace(f.value) == "" {
			return fmt.Errorf("the head has no %q", f.name)
		}
	}
	if strings.Contains(strings.TrimSpace(h.Fault), "\n") {
		return errors.New("the fault has more than one line")
	}

	m.Fault, m.Missed, m.Slow = strings.TrimSpace(h.Fault), strings.Join(strings.Fields(h.Missed), " "), h.Slow
	var err error
	if m.KilledBy, err = ParseKiller(h.KilledBy); err != nil {
		return err
	}
	if m.Finds, err = regexp.Compile(h.Finds); err != nil {
		return fmt.Errorf("finds: %w", err)
	}
	if m.Finds.MatchString("") {
		return fmt.Errorf("finds: %q matches anything", h.Finds)
	}
	return m.findTarget(diff)
}

// findTarget sets OfSeries from the paths of the diff.
func (m *Mutant) findTarget(diff []byte) error {
	if !bytes.HasPrefix(diff, []byte("diff --git ")) {
		return errors.New("there is no git diff below the head")
	}
	s, err := m.patch()
	if err != nil {
		return err
	}
	paths := s.Paths()
	ofSeries := func(p string) bool { return strings.HasPrefix(p, PatchesDir+"/") }
	m.OfSeries = ofSeries(paths[0])
	if i := slices.IndexFunc(paths, func(p string) bool { return ofSeries(p) != m.OfSeries }); i >= 0 {
		return fmt.Errorf("it changes both %s and %s: a mutant is of the tree or of %s/, not of both", paths[0], paths[i], PatchesDir)
	}
	return nil
}

// patch returns the diff as a series of one patch, for package series to apply.
// Its lines have the numbers that they have in the mutant's file.
func (m *Mutant) patch() (*series.Series, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "From: %s\nSubject: [PATCH] %s\n", series.Placeholder(), m.Name)
	// A head has more lines than these three.
	for range m.head - 3 {
		text.WriteByte('\n')
	}
	text.WriteString(separator + "\n")
	text.Write(m.diff())
	dir, err := os.MkdirTemp("", "vcpulab-mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, m.Name+Ext)
	if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
		return nil, err
	}
	s, err := series.Load(name)
	if format, ok := errors.AsType[*series.FormatError](err); ok {
		return nil, fmt.Errorf("line %d: %s", format.Line, format.Reason)
	}
	return s, err
}

// diff returns what is below the head.
func (m *Mutant) diff() []byte {
	return bytes.SplitAfterN(m.text, []byte("\n"), m.head+1)[m.head]
}
