// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cocci"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
	"vcpulab/tools/tree"
)

// LoadReverts returns a mutant for each patch of s that was written by hand and is
// not of tests alone: the sets without it. The list in file says which check
// notices that, or why none can:
//
//	patch      subject of the patch
//	killed-by  the check, see [ParseKiller]
//	finds      what it finds, a regular expression
//	unnoticed  in place of these two, why nothing finds it
//
// The check apply finds a patch that others need. A patch that the list does not
// have, or has and the sets do not, is an error that stands for exit.CheckFailed;
// others stand for exit.Usage.
func LoadReverts(file string, s *series.Series) ([]*Mutant, error) {
	var list struct {
		Revert []head `toml:"revert"`
	}
	if err := tomlfile.Load(file, &list); err != nil {
		return nil, err
	}
	patches, err := handWritten(s)
	if err != nil {
		return nil, err
	}

	var mutants []*Mutant
	var wrong []error
	for _, p := range patches {
		set := strings.Trim(path.Dir(p.Name), ".")
		m := &Mutant{
			Name: "without-" + strings.ReplaceAll(path.Join(set, fmt.Sprintf("%.4s", path.Base(p.Name))), "/", "-"), File: file, Set: set, Patch: p.Subject,
			Fault: "There is no patch \"" + p.Subject + "\".", Revert: true, change: &series.Series{},
		}
		i := slices.IndexFunc(list.Revert, func(e head) bool { return e.Patch == p.Subject || e.Patch == set+"/"+p.Subject })
		if i < 0 {
			wrong = append(wrong, fmt.Errorf("%s: it is not listed which check notices that %q is missing", file, p.Subject))
			continue
		}
		e := list.Revert[i]
		list.Revert = slices.Delete(list.Revert, i, i+1)
		if m.Unnoticed = e.Unnoticed; m.Unnoticed == "" || e.KilledBy != "" {
			if err := m.setKiller(e.KilledBy, e.Finds); err != nil {
				return nil, tomlfile.Invalid(file, fmt.Errorf("%q: %w", e.Patch, err))
			}
		}
		mutants = append(mutants, m)
	}
	for _, e := range list.Revert {
		wrong = append(wrong, fmt.Errorf("%s: %q is no patch that was written by hand, or is listed twice", file, e.Patch))
	}
	if len(wrong) > 0 {
		return nil, exit.With(exit.CheckFailed, errors.Join(wrong...))
	}
	return mutants, nil
}

// handWritten returns the patches that no semantic patch generates, without those
// of selftests alone.
func handWritten(s *series.Series) ([]*series.Patch, error) {
	generated := make(map[string]bool)
	var patches []*series.Patch
	dir := ""
	for _, p := range s.Patches {
		if at := path.Dir(p.Name); at != dir {
			dir = at
			rules, err := cocci.Load(filepath.Join(s.Dir, at))
			if err != nil {
				return nil, err
			}
			for _, r := range rules {
				generated[r.Subject] = true
			}
		}
		of := series.Series{Patches: []*series.Patch{p}}
		ofTests := !slices.ContainsFunc(of.Paths(), func(name string) bool { return !strings.HasPrefix(name, "tools/testing/selftests/") })
		if !ofTests && !generated[p.Subject] {
			patches = append(patches, p)
		}
	}
	return patches, nil
}

// without returns s without the mutant's patch: left out, if those after it apply
// without, or else taken back after all of them. If neither is possible, the error
// says what needs it.
func (m *Mutant) without(s *series.Series, base tree.Tree) (*series.Series, error) {
	i := slices.IndexFunc(s.Patches, func(p *series.Patch) bool { return p.Subject == m.Patch })
	left := *s
	left.Patches = slices.Delete(slices.Clone(s.Patches), i, i+1)
	_, err := left.Try(base, series.Options{})
	if err == nil {
		return &left, nil
	}
	failed, ok := errors.AsType[*series.ApplyError](err)
	if !ok {
		return nil, err
	}
	if back, can := s.Patches[i].Reversed(); can {
		undone := after(s, back)
		if _, err := undone.Try(base, series.Options{}); err == nil {
			return undone, nil
		}
	}
	return nil, fmt.Errorf("%s needs it: %w", failed.Patch, failed)
}
