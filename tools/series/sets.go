// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tomlfile"
	"vcpulab/tools/tree"
)

// SetsFile lists the sets of patches in a directory, RivalsDir there has those of the rivals.
const (
	SetsFile  = "sets.toml"
	RivalsDir = "rivals"
)

// Set is a series that is sent on its own, in the directory of its name. It applies to the
// base with the sets that it needs. A rival takes the place of others: nothing needs it, and
// it is none of all sets. Its directory is in RivalsDir.
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
	// Lookups says of a rival where vCPUs may be looked up.
	Lookups string `toml:"lookups" json:"lookups,omitempty"`
	// Limit says of a rival that no container can be faster where a vCPU is looked up by its index.
	Limit bool `toml:"limit" json:"limit,omitempty"`

	rival bool
}

// Main is what all sets together hold vCPUs in, or what the kernel without them
// does: what the rivals are compared with.
type Main struct {
	// About says what it is, and Lookups where vCPUs may be looked up.
	About   string `toml:"about"`
	Lookups string `toml:"lookups"`
	// Sets are the sets that rivals take the place of, none where there are no patches.
	Sets []string `toml:"sets"`
}

// Dir returns the directory of the set's patches, below that of all sets.
func (s Set) Dir() string {
	if s.rival {
		return path.Join(RivalsDir, s.Name)
	}
	return s.Name
}

// Sets is the list of a directory's sets, in the order in which they stack, and
// of the rivals, each of which stacks with what it needs and nothing else.
type Sets struct {
	Dir string `toml:"-"`
	// From is the base of commits, TREE@REVISION; "" for mails, which do not say.
	From   string `toml:"-"`
	All    []Set  `toml:"set"`
	Rivals []Set  `toml:"rival"`
	// Base is the kernel without patches, and Main that with all sets.
	Base Main `toml:"base"`
	Main Main `toml:"main"`

	// part: the one set is the patches of a directory that are no whole series.
	part bool
}

// LoadSets reads the list of the sets in dir. A directory without a list is one
// set without a name. Errors stand for exit.Usage.
func LoadSets(dir string) (*Sets, error) {
	s := &Sets{Dir: dir}
	name := filepath.Join(dir, SetsFile)
	err := tomlfile.Load(name, s)
	if errors.Is(err, fs.ErrNotExist) {
		s.All = []Set{{}}
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range s.Rivals {
		s.Rivals[i].rival = true
	}
	if err := s.check(); err != nil {
		return nil, tomlfile.Invalid(name, err)
	}
	return s, nil
}

// check says what is wrong with the list.
func (s *Sets) check() error {
	if len(s.All) == 0 {
		return errors.New("expected a table [[set]] for each set, found none")
	}
	for i, set := range slices.Concat(s.All, s.Rivals) {
		switch {
		case set.Name == "" || set.Name != path.Base(set.Name) || strings.HasPrefix(set.Name, "."):
			return fmt.Errorf("set %d: expected the name of a directory, found %q", i+1, set.Name)
		case slices.Index(s.Names(), set.Name) != i:
			return fmt.Errorf("duplicate set %q", set.Name)
		case set.Name == RivalsDir:
			return fmt.Errorf("set %q: that is the directory of the rivals: expected another name", set.Name)
		case set.About == "" || set.To == "":
			return fmt.Errorf("set %q: expected about, what it does, and to, who takes it", set.Name)
		case set.Private && len(set.Recipients) == 0:
			return fmt.Errorf("set %q: it is private: expected recipients, found none", set.Name)
		case set.Limit && !set.rival:
			return fmt.Errorf("set %q: limit is for rivals", set.Name)
		case set.Lookups != "" && !set.rival:
			return fmt.Errorf("set %q: lookups is of rivals, and of base and main: expected none", set.Name)
		}
		for _, need := range set.Needs {
			switch before := s.index(need); {
			case before < 0:
				return fmt.Errorf("set %q needs %q: unknown set, expected one of %s", set.Name, need, strings.Join(names(s.All), ", "))
			case before >= i && !set.rival:
				return fmt.Errorf("set %q needs %q: expected that one before it in the list", set.Name, need)
			}
		}
	}
	for _, name := range s.Main.Sets {
		if s.index(name) < 0 {
			return fmt.Errorf("main: unknown set %q, expected some of %s", name, strings.Join(names(s.All), ", "))
		}
	}
	return s.checkDirs()
}

// checkDirs returns an error for patches that are in no listed directory: they would be forgotten.
func (s *Sets) checkDirs() error {
	known := make(map[string]bool)
	for _, set := range slices.Concat(s.All, s.Rivals) {
		known[set.Dir()] = true
	}
	for _, pattern := range []string{"*.patch", "*/*.patch", RivalsDir + "/*/*.patch"} {
		found, err := fs.Glob(os.DirFS(s.Dir), pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			if !known[path.Dir(name)] {
				return fmt.Errorf("%s is in no set: list its directory, or move it", name)
			}
		}
	}
	return nil
}

func (s *Sets) index(name string) int {
	return slices.IndexFunc(s.All, func(o Set) bool { return o.Name == name })
}

// Names returns the names of all sets, in order, and then those of the rivals.
func (s *Sets) Names() []string { return names(slices.Concat(s.All, s.Rivals)) }

func names(sets []Set) []string {
	var names []string
	for _, set := range sets {
		names = append(names, set.Name)
	}
	return names
}

// Find returns the set or the rival of this name. The error stands for exit.Usage.
func (s *Sets) Find(name string) (Set, error) {
	all := slices.Concat(s.All, s.Rivals)
	i := slices.Index(names(all), name)
	if i < 0 && len(all) == 1 && all[0].Name == "" {
		return Set{}, exit.With(exit.Usage, fmt.Errorf("unknown set %q: these patches have no %s, so they are one series", name, SetsFile))
	}
	if i < 0 {
		return Set{}, exit.With(exit.Usage, fmt.Errorf("unknown set %q: expected one of %s", name, strings.Join(names(all), ", ")))
	}
	return all[i], nil
}

// IsRival tells whether a name is that of a rival.
func (s *Sets) IsRival(name string) bool {
	return slices.ContainsFunc(s.Rivals, func(o Set) bool { return o.Name == name })
}

// Stack returns a set or a rival and all that it needs, in the order of the list;
// without a name all sets. The error stands for exit.Usage.
func (s *Sets) Stack(name string) ([]Set, error) {
	if name == "" {
		return s.All, nil
	}
	last, err := s.Find(name)
	if err != nil {
		return nil, err
	}
	// What a set needs comes before it.
	in := make(map[string]bool)
	stack := []Set{last}
	for i := len(s.All) - 1; i >= 0; i-- {
		for _, need := range stack[0].Needs {
			in[need] = true
		}
		if in[s.All[i].Name] {
			stack = slices.Insert(stack, 0, s.All[i])
		}
	}
	return stack, nil
}

// LoadStack reads the patches of [Sets.Stack] in a directory as one series.
func LoadStack(dir, name string) (*Series, error) {
	sets, err := LoadSets(dir)
	if err != nil {
		return nil, err
	}
	return sets.Load(name)
}

// Load reads the patches of some sets or rivals and of all that they need as one series.
func (s *Sets) Load(names ...string) (*Series, error) {
	in := make(map[string]bool)
	for _, name := range names {
		stack, err := s.Stack(name)
		if err != nil {
			return nil, err
		}
		for _, set := range stack {
			in[set.Name] = true
		}
	}
	return s.join(slices.DeleteFunc(slices.Concat(s.All, s.Rivals), func(o Set) bool { return !in[o.Name] }))
}

// LoadOwn reads the patches of sets and rivals as one series, without what they need.
func (s *Sets) LoadOwn(names ...string) (*Series, error) {
	var own []Set
	for _, name := range names {
		set, err := s.Find(name)
		if err != nil {
			return nil, err
		}
		own = append(own, set)
	}
	return s.join(own)
}

// LoadAlone reads the patches of a set as a series of their own, with its cover letter.
func (s *Sets) LoadAlone(set Set) (*Series, error) {
	dir := filepath.Join(s.Dir, set.Dir())
	if s.part {
		if own, _, ok := loadPart(dir); ok {
			return own, nil
		}
	}
	return Load(dir)
}

// LoadOn reads the patches of a set alone, and makes their base: base with what the set needs.
func (s *Sets) LoadOn(ctx context.Context, base tree.Tree, set Set, o Options) (own *Series, on tree.Tree, err error) {
	if own, err = s.LoadAlone(set); err != nil || len(set.Needs) == 0 {
		return own, base, err
	}
	needs, err := s.Load(set.Needs...)
	if err == nil {
		on, _, err = needs.Apply(ctx, base, o)
	}
	return own, on, err
}

// join returns the patches of sets as one series, numbered through, without cover letters.
func (s *Sets) join(stack []Set) (*Series, error) {
	all := &Series{Dir: s.Dir, Version: 1, stacked: len(stack) > 1}
	var ids []string
	for _, set := range stack {
		part, err := s.LoadAlone(set)
		if err != nil {
			return nil, err
		}
		ids = append(ids, part.ID)
		for _, p := range part.Patches {
			numbered := *p
			numbered.Number = len(all.Patches) + 1
			numbered.Name = path.Join(set.Name, p.Name)
			all.Patches = append(all.Patches, &numbered)
		}
	}
	all.ID = cache.Key(ids...)
	return all, nil
}

// Last returns the number of the patch that through names, by its number or by its set and
// number there, as "walks/3"; "" is the last one, 0 none. The error stands for exit.Usage.
func (s *Series) Last(through string) (int, error) {
	if through == "" {
		return len(s.Patches), nil
	}
	for _, p := range s.Patches {
		if place(p.Name) == through {
			return p.Number, nil
		}
	}
	n, err := strconv.Atoi(through)
	if err != nil || n < 0 || n > len(s.Patches) {
		return 0, exit.With(exit.Usage, fmt.Errorf("through patch %s: expected 0 to %d, or a set and a number in it, as walks/3", through, len(s.Patches)))
	}
	return n, nil
}

// place returns what the name of a patch of several sets begins with, as "walks/3", or "".
func place(name string) string {
	set, file := path.Split(name)
	m := leadingNumber.FindStringSubmatch(file)
	if set == "" || m == nil {
		return ""
	}
	return set + strings.TrimLeft(m[1], "0")
}
