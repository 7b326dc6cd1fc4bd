// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tomlfile"
)

// AllSets names all sets, one after the other.
const AllSets = "all"

// SetsFile is the file that lists the sets of patches in a directory.
const SetsFile = "sets.toml"

// Set is a series that is sent on its own. Its patches are in the directory of
// its name, and apply to the base with the sets that it needs.
type Set struct {
	Name string `toml:"name" json:"name"`
	// About says in a line what it does, and To who takes it.
	About string `toml:"about" json:"about"`
	To    string `toml:"to" json:"to"`
	// Needs are the names of sets that come before it in the list.
	Needs []string `toml:"needs" json:"needs,omitempty"`
	// Private keeps it from public lists: it is sent to Recipients, and the
	// patches whose subjects are Reproducers are left out unless asked for.
	Private     bool     `toml:"private" json:"private,omitempty"`
	Recipients  []string `toml:"recipients" json:"recipients,omitempty"`
	Reproducers []string `toml:"reproducers" json:"reproducers,omitempty"`
}

// Sets is the list of a directory's sets, in the order in which they stack.
type Sets struct {
	Dir string
	All []Set
}

// LoadSets reads the list of the sets in dir. Errors stand for exit.Usage.
func LoadSets(dir string) (*Sets, error) {
	var file struct {
		Set []Set `toml:"set"`
	}
	name := filepath.Join(dir, SetsFile)
	if err := tomlfile.Load(name, &file); err != nil {
		return nil, err
	}

	s := &Sets{Dir: dir, All: file.Set}
	if err := s.check(); err != nil {
		return nil, tomlfile.Invalid(name, err)
	}
	return s, nil
}

// check says what is wrong with the list.
func (s *Sets) check() error {
	for i, set := range s.All {
		switch {
		case set.Name == "" || set.Name == AllSets || set.Name != path.Base(set.Name) || strings.HasPrefix(set.Name, "."):
			return fmt.Errorf("set %d: expected the name of a directory, found %q", i+1, set.Name)
		case s.index(set.Name) != i:
			return fmt.Errorf("duplicate set %q", set.Name)
		case set.About == "" || set.To == "":
			return fmt.Errorf("set %q: expected about, what it does, and to, who takes it", set.Name)
		case set.Private && len(set.Recipients) == 0:
			return fmt.Errorf("set %q: it is private: expected recipients, found none", set.Name)
		}
		for _, need := range set.Needs {
			if s.index(need) < 0 {
				return fmt.Errorf("set %q needs %q: unknown set, expected one of %s", set.Name, need, strings.Join(s.Names(), ", "))
			}
		}
	}

	for i, set := range s.All {
		if circle := s.circle(set.Name, nil); circle != nil {
			return fmt.Errorf("sets need each other: %s", strings.Join(circle, " needs "))
		}
		for _, need := range set.Needs {
			if s.index(need) > i {
				return fmt.Errorf("set %q needs %q: expected that one before it in the list", set.Name, need)
			}
		}
	}
	return s.checkDirs()
}

// circle returns the names on a way from a set back to one on it, or nil.
func (s *Sets) circle(name string, way []string) []string {
	if i := slices.Index(way, name); i >= 0 {
		return append(slices.Clone(way[i:]), name)
	}
	for _, need := range s.All[s.index(name)].Needs {
		if circle := s.circle(need, append(way, name)); circle != nil {
			return circle
		}
	}
	return nil
}

// checkDirs returns an error if a directory with patches is not in the list: it
// would be forgotten in silence.
func (s *Sets) checkDirs() error {
	found, err := fs.Glob(os.DirFS(s.Dir), "*/*.patch")
	if err != nil {
		return err
	}
	for _, name := range found {
		if dir := path.Dir(name); s.index(dir) < 0 {
			return fmt.Errorf("%s/ has patches and is no set: list it, or move it", dir)
		}
	}
	return nil
}

func (s *Sets) index(name string) int {
	return slices.IndexFunc(s.All, func(o Set) bool { return o.Name == name })
}

// Names returns the names of all sets, in order.
func (s *Sets) Names() []string {
	var names []string
	for _, set := range s.All {
		names = append(names, set.Name)
	}
	return names
}

// Find returns the set of this name. The error stands for exit.Usage.
func (s *Sets) Find(name string) (Set, error) {
	i := s.index(name)
	if i < 0 {
		return Set{}, exit.With(exit.Usage, fmt.Errorf("unknown set %q: expected one of %s, or %s", name, strings.Join(s.Names(), ", "), AllSets))
	}
	return s.All[i], nil
}

// Stack returns a set and all that it needs, in the order of the list; for
// AllSets it is the whole list. The error stands for exit.Usage.
func (s *Sets) Stack(name string) ([]Set, error) {
	if name == AllSets {
		return s.All, nil
	}
	if _, err := s.Find(name); err != nil {
		return nil, err
	}
	in := map[string]bool{name: true}
	for i := s.index(name); i >= 0; i-- {
		if in[s.All[i].Name] {
			for _, need := range s.All[i].Needs {
				in[need] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(s.All), func(o Set) bool { return !in[o.Name] }), nil
}

// Load reads the patches of [Sets.Stack] as one series.
func (s *Sets) Load(name string) (*Series, error) {
	stack, err := s.Stack(name)
	if err != nil {
		return nil, err
	}
	return s.load(stack)
}

// LoadNeeds reads the patches of all sets that a set needs as one series, which
// may have no patches.
func (s *Sets) LoadNeeds(name string) (*Series, error) {
	stack, err := s.Stack(name)
	if err != nil {
		return nil, err
	}
	return s.load(stack[:len(stack)-1])
}

func (s *Sets) load(stack []Set) (*Series, error) {
	var parts []*Series
	for _, set := range stack {
		dir := filepath.Join(s.Dir, set.Name)
		part, err := Load(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, exit.With(exit.Usage, fmt.Errorf("set %q: %w", set.Name, err))
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return join(s.Dir, parts), nil
}

// join returns the series of the patches of several, which are numbered
// through. Their cover letters stay with the parts.
func join(dir string, parts []*Series) *Series {
	s := &Series{Dir: dir, Version: 1}
	var ids []string
	for _, part := range parts {
		ids = append(ids, part.ID)
		for _, p := range part.Patches {
			numbered := *p
			numbered.Number = len(s.Patches) + 1
			numbered.Name = path.Join(filepath.Base(part.Dir), p.Name)
			s.Patches = append(s.Patches, &numbered)
		}
	}
	s.ID = cache.Key(ids...)
	return s
}
