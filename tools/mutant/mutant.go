// SPDX-License-Identifier: GPL-2.0-only

// Package mutant tests the checks of the sets: each mutant is the sets with one
// deliberate fault, and names the check that must catch it.
//
// A mutant is a file of ci/mutants, see [Parse]. It changes either the tree that
// all sets make, or the files of one of them. Or it is the sets without one of
// their patches, see [LoadReverts]. It is killed if the check that it names finds
// what it is said to find, and finds nothing in the sets as they are. A check that
// never fails proves nothing; a mutant that survives says which one that is.
//
// Faults whose effect depends on luck are made to show: the mutant itself
// widens the window, or is looked for by a check that reads the code.
package mutant

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
)

// Ext is the extension of mutants' files.
const Ext = ".patch"

// PatchesDir is the directory of the sets in the diff of a mutant that changes
// their files.
const PatchesDir = "patches"

// A Mutant is one deliberate fault.
type Mutant struct {
	Name string `json:"name"` // that of its file, without Ext, or of a revert
	File string `json:"file"` // its path
	// Set is the set that has the fault. Patch is the subject of the patch that
	// has it; "" if it is in the files of the set.
	Set       string         `json:"set,omitempty"`
	Patch     string         `json:"patch,omitempty"`
	Fault     string         `json:"fault"`               // what is wrong, in a line
	Missed    string         `json:"missed,omitempty"`    // why a reader could overlook it
	KilledBy  Killer         `json:"killedBy"`            // the check that must catch it
	Finds     *regexp.Regexp `json:"finds,omitempty"`     // has to match one of the check's complaints
	Unnoticed string         `json:"unnoticed,omitempty"` // why no check can catch it; only of reverts
	Slow      bool           `json:"slow,omitempty"`      // it is not one of the fast ones, even if its check is, and begins before others of its kind
	// Revert says that the fault is the lack of Patch. Otherwise there is a diff,
	// which changes the files of a set with OfSeries, and else the tree that all
	// sets make.
	Revert   bool `json:"revert,omitempty"`
	OfSeries bool `json:"ofSeries,omitempty"`

	head, diff []byte         // of the file
	change     *series.Series // the diff as a series of one patch, for package series to apply
}

const separator = "---" // between a mutant's head and its diff

// head is the TOML at the beginning of a mutant's file.
type head struct {
	Patch     string `toml:"patch"`
	Fault     string `toml:"fault"`
	Missed    string `toml:"missed"`
	KilledBy  string `toml:"killed-by"`
	Finds     string `toml:"finds"`
	Slow      bool   `toml:"slow"`
	Unnoticed string `toml:"unnoticed"` // for the list of reverts alone
}

// Load reads the mutants in dir, in the order of their names. They are of the
// patches of some series. Errors stand for exit.Usage.
func Load(dir string, of ...*series.Series) ([]*Mutant, error) {
	names, err := pattern.Files(dir, "*"+Ext)
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("read the mutants: %s has no *%s: %w", dir, Ext, fs.ErrNotExist)
	}
	var mutants []*Mutant
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		m, err := Parse(name, text)
		if err == nil && !m.OfSeries {
			err = m.belong(of)
		}
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, m)
	}
	return mutants, exit.With(exit.Usage, err)
}

// Parse reads a mutant's file: a head in TOML, a line "---", and a diff of
// git's. The head has
//
//	patch      subject of the patch that has the fault; its set may come before
//	           it, with a slash between
//	fault      what is wrong, in a sentence
//	missed     why a reader could overlook it
//	killed-by  the check that must catch it, see [ParseKiller]
//	finds      what the check must find, a regular expression
//	slow       true if it takes too long for the fast ones
//
// The paths of the diff are those of the kernel's tree, or all of them are
// below patches/, in one set. These name their patch themselves. An error stands
// for exit.Usage.
func Parse(file string, text []byte) (*Mutant, error) {
	m := &Mutant{Name: strings.TrimSuffix(filepath.Base(file), Ext), File: file}
	return m, m.wrong(m.parse(text))
}

// wrong says of an error which mutant it is about. It stands for exit.Usage.
func (m *Mutant) wrong(err error) error {
	if err == nil {
		return nil
	}
	return exit.With(exit.Usage, fmt.Errorf("read the mutant %s: %w", m.File, err))
}

func (m *Mutant) parse(text []byte) error {
	before, diff, found := bytes.Cut(text, []byte("\n"+separator+"\n"))
	if !found {
		return fmt.Errorf("expected a line %q between head and diff, found none", separator)
	}
	m.head, m.diff = text[:len(text)-len(diff)], diff
	var h head
	if err := tomlfile.Decode(before, &h); err != nil {
		return fmt.Errorf("the head: %w", err)
	}
	m.Patch, m.Fault, m.Slow = h.Patch, strings.TrimSpace(h.Fault), h.Slow
	m.Missed = strings.Join(strings.Fields(h.Missed), " ")
	for name, value := range map[string]string{"fault": m.Fault, "missed": m.Missed} {
		if value == "" {
			return fmt.Errorf("the head has no %q", name)
		}
	}
	if strings.Contains(m.Fault, "\n") {
		return errors.New("the fault has more than one line")
	}
	if err := m.setKiller(h.KilledBy, h.Finds); err != nil {
		return err
	}
	if !bytes.HasPrefix(diff, []byte("diff --git ")) {
		return errors.New("there is no git diff below the head")
	}
	if err := m.readChange(); err != nil {
		return err
	}
	return m.findTarget()
}

// setKiller reads which check must find what.
func (m *Mutant) setKiller(by, finds string) (err error) {
	if m.KilledBy, err = ParseKiller(by); err != nil {
		return err
	}
	if m.Finds, err = regexp.Compile(finds); err != nil {
		return fmt.Errorf("finds: %w", err)
	}
	if m.Finds.MatchString("") {
		return fmt.Errorf("finds: %q matches anything", finds)
	}
	return nil
}

// finds returns the index of the complaint that the mutant has to cause, -1 if it is
// not among them.
func (m *Mutant) finds(all []Complaint) int {
	return slices.IndexFunc(all, func(c Complaint) bool { return m.Finds.MatchString(c.String()) })
}

// findTarget finds out from the paths of the diff what the mutant changes.
func (m *Mutant) findTarget() error {
	paths := m.change.Paths()
	dirs := make([]string, len(paths))
	for i, p := range paths {
		if in, ok := strings.CutPrefix(p, PatchesDir+"/"); ok {
			m.OfSeries, m.Set = true, strings.Trim(path.Base(path.Dir(in)), ".")
			dirs[i] = path.Dir(p)
		}
	}
	if len(slices.Compact(dirs)) > 1 {
		return fmt.Errorf("it changes %s: a mutant is of the tree or of one set below %s/", strings.Join(paths, " and "), PatchesDir)
	}
	if m.OfSeries != (m.Patch == "") {
		return fmt.Errorf(`expected "patch" in the head of a mutant of the tree, and of no other, found %q`, m.Patch)
	}
	return nil
}

// belong finds the patch that the mutant names.
func (m *Mutant) belong(of []*series.Series) error {
	for _, s := range of {
		for _, p := range s.Patches {
			set := strings.Trim(path.Dir(p.Name), ".")
			if m.Patch == p.Subject || m.Patch == set+"/"+p.Subject {
				m.Set, m.Patch = set, p.Subject
				return nil
			}
		}
	}
	return m.wrong(fmt.Errorf("it is of the patch %q: no patch has that subject", m.Patch))
}

// readChange reads the diff as a mail, whose lines have the numbers that they have in
// the mutant's file.
func (m *Mutant) readChange() error {
	dir, err := os.MkdirTemp("", "vcpulab-mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// A head has more lines than these three.
	blank := strings.Repeat("\n", max(bytes.Count(m.head, []byte("\n"))-3, 0))
	mail := fmt.Sprintf("From: %s\nSubject: [PATCH] %s\n%s%s\n%s", series.Placeholder(), m.Name, blank, separator, m.diff)
	name := filepath.Join(dir, m.Name+Ext)
	if err := os.WriteFile(name, []byte(mail), 0o644); err != nil {
		return err
	}
	m.change, err = series.Load(name)
	if format, ok := errors.AsType[*series.FormatError](err); ok {
		return fmt.Errorf("line %d: %s", format.Line, format.Reason)
	}
	return err
}

func after(s *series.Series, p *series.Patch) *series.Series {
	all, last := *s, *p
	last.Number = len(s.Patches) + 1
	all.Patches = append(slices.Clip(s.Patches), &last)
	return &all
}
