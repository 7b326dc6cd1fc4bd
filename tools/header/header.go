// SPDX-License-Identifier: GPL-2.0-only

// Package header tells which objects a change of a header may affect.
//
// make compiles all that includes a header that has changed. Of KVM that is nearly
// everything after each patch for kvm_host.h, though most of the files mention
// nothing of what it changes. [Affected] compares the header's declarations and
// macros before and after, and follows the names of those that differ: through
// macros, inline functions and structures of all headers to what is compiled.
//
// It does not know C's types, and asks for all that includes a header where it does not
// understand the change: if a condition, the order of macros, or something else than a
// macro, a function, a variable or a structure differs. Of a structure whose members
// differ, those objects are affected that mention one of these, have the structure by
// value, or assert something about a size.
//
// Not seen are a frame that becomes too large because a structure does, a member that is
// const now, declarations that change places, what an object lacks only because it
// includes headers in another order, and a name that a macro of a header puts together of
// nothing but its arguments. So the last one of several trees is to be compiled as a
// whole.
package header

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Version is raised when other objects are affected by the same change.
const Version = "2"

// Change is a header before and after; nil where there is none.
type Change struct{ Before, After []byte }

// Object is compiled from files.
type Object struct {
	Name    string
	Sources []string // that were read to compile it, headers included
}

// Is tells whether a file is a header, going by its name.
func Is(name string) bool { return path.Ext(name) == ".h" }

// Affected returns the objects that include one of the headers and may be affected by
// its change, with the reason, such as "kvm_main.c mentions kvm_get_vcpu". All names of
// files are relative to the same directory; read reads one as it is after the change.
// Of the objects that include a header there is always one for each directory: what is
// wrong in the header itself shows there.
func Affected(objects []Object, changes map[string]Change, read func(name string) ([]byte, error)) (map[string]string, error) {
	s := &search{
		changes: changes, texts: make(map[string]string), missing: make(map[string]bool), items: make(map[string][]item),
		names: make(map[string]string), fresh: make(map[string]bool), dropped: make(map[string]bool), layouts: make(map[string]bool),
		came: make(map[string]string), whole: make(map[string]string), touched: make(map[string]bool),
		words: make(map[string]bool), makesNames: make(map[string]bool),
	}
	for _, o := range objects {
		if slices.ContainsFunc(o.Sources, func(source string) bool { _, changed := changes[source]; return changed }) {
			s.objects = append(s.objects, o)
		}
	}
	for _, o := range s.objects {
		for _, source := range o.Sources {
			if err := s.load(source, read); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		s.compare(name, changes[name])
	}
	s.findFragments()
	s.spread()
	return s.affected(), nil
}

// search is one search for what is affected.
type search struct {
	objects []Object // that include a header that has changed
	changes map[string]Change
	texts   map[string]string // of the files
	missing map[string]bool   // files that are recorded, and do not exist any more
	items   map[string][]item // of headers, once they are needed

	// names are those that mean something else now, with the change that they come
	// from. layouts are structures whose members have moved.
	names    map[string]string
	fresh    map[string]bool // names that the header did not have: macros make none of them
	dropped  map[string]bool // names that the header does not have any more
	layouts  map[string]bool
	grown    bool              // there are more of either
	included []inclusion       // that a header has now and did not have before
	lost     []inclusion       // that it had before
	came     map[string]string // words that a header has now and did not have before, with the header
	whole    map[string]string // headers whose users are all affected, with the reason
	touched  map[string]bool   // headers that have a name: one of their users is affected

	words      map[string]bool // of all files
	fragments  []string        // those that macros make names of
	makesNames map[string]bool // files that make names of whatever words
}

// inclusion is an #include of a header.
type inclusion struct{ name, header string }

// isLeaf tells whether a file with a text is certainly the one that is included, and
// includes nothing itself: for an object that has it before, once more changes nothing.
// Of a header of userspace it is not certain: another one of the same name may come first.
func (i inclusion) isLeaf(source, text string) bool {
	if anyInclude.MatchString(text) || !strings.Contains(text, "#ifndef") {
		return false
	}
	name := i.name[1 : len(i.name)-1]
	if i.name[0] == '"' {
		return source == path.Join(path.Dir(i.header), name)
	}
	above, found := strings.CutSuffix(source, "include/"+name)
	return found && (above == "" || path.Dir(path.Clean(above)) == "arch")
}

func (s *search) load(name string, read func(name string) ([]byte, error)) error {
	if _, loaded := s.texts[name]; loaded {
		return nil
	}
	text, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		s.missing[name], err = true, nil
	}
	if err != nil {
		return fmt.Errorf("find what a header affects: %w", err)
	}
	s.texts[name] = string(text)
	return nil
}

// compare finds what differs between a header before and after.
func (s *search) compare(header string, c Change) {
	before, after := split(string(c.Before)), split(string(c.After))
	gone, came := without(before, after), without(after, before)
	if !slices.Equal(ordered(without(before, gone)), ordered(without(after, came))) {
		s.whole[header] = header + ": the order of macros or conditions differs"
	}

	records := make(map[string]item) // that are gone
	for _, i := range gone {
		switch i.kind {
		case record:
			records[i.place()] = i
		case include:
			s.lost = append(s.lost, inclusion{i.names[0], header})
		default:
			s.differs(header, i)
		}
	}
	s.noteNames(header, gone, came, after, wordsOf(string(c.Before)))
	for _, i := range came {
		switch {
		case i.kind == include && !slices.ContainsFunc(before, func(b item) bool { return b.kind == include && b.names[0] == i.names[0] }):
			s.included = append(s.included, inclusion{i.names[0], header})
		case i.kind == record && s.compareMembers(records[i.place()], i):
			delete(records, i.place())
		default:
			s.differs(header, i)
		}
	}
	for _, i := range records {
		s.differs(header, i)
	}
}

// noteNames notes which names a header declares no more, which ones it did not have, and
// which words of others it has now. known are the words that it had.
func (s *search) noteNames(header string, gone, came, after []item, known map[string]bool) {
	declares := make(map[string]bool)
	for _, i := range after {
		for _, name := range i.names {
			declares[name] = true
		}
	}
	for _, i := range gone {
		for _, name := range i.names {
			s.dropped[name] = s.dropped[name] || i.kind != include && !declares[name]
		}
	}
	for _, i := range came {
		if i.kind == include {
			continue
		}
		for _, name := range i.names {
			s.fresh[name] = s.fresh[name] || !known[name]
		}
		for _, w := range i.words {
			if isWord(w) && !known[w] && !declares[w] {
				s.came[w] = header
			}
		}
	}
}

// without returns the items of a list that another lacks, or has less often.
func without(list, others []item) []item {
	count := make(map[string]int)
	for _, i := range others {
		count[i.String()]++
	}
	return slices.DeleteFunc(slices.Clone(list), func(i item) bool {
		count[i.String()]--
		return count[i.String()] >= 0
	})
}

// ordered returns the items whose order matters even where none of them differs.
func ordered(list []item) []string {
	var all []string
	for _, i := range list {
		switch i.kind {
		case define, include, condition, other:
			all = append(all, i.String())
		}
	}
	return all
}

// differs records that an item is not what it was.
func (s *search) differs(header string, i item) {
	switch i.kind {
	case include:
		s.whole[header] = header + " includes " + i.names[0] + " twice"
	case condition, other:
		s.whole[header] = fmt.Sprintf("%s: %.40q differs", header, strings.Join(i.words, " "))
	default:
		s.add(i.names, fmt.Sprintf("%s: %s", header, i.names[0]))
	}
}

func (s *search) add(names []string, reason string) {
	for _, name := range names {
		if s.names[name] == "" {
			s.names[name], s.grown = reason, true
		}
	}
}

func (s *search) addLayout(name string) {
	if !s.layouts[name] {
		s.layouts[name], s.grown = true, true
	}
}

// compareMembers records the members that differ between two versions of a structure.
// It returns false if it does not understand them, or there is no version before.
func (s *search) compareMembers(before, after item) bool {
	if before.words == nil || before.words[0] != after.words[0] || before.words[0] == "enum" {
		return false
	}
	_, tailBefore := body(before.words)
	_, tailAfter := body(after.words)
	if !slices.Equal(tailBefore, tailAfter) {
		return false
	}
	old, now := members(before.words), members(after.words)
	count := make(map[string]int)
	for _, m := range old {
		count[m.String()]++
	}
	for _, m := range now {
		count[m.String()]--
	}
	var names []string
	for _, m := range slices.Concat(old, now) {
		if count[m.String()] == 0 {
			continue
		}
		name := declared(m.words)
		if name == nil {
			s.add(nested(m.words), "in "+after.names[0])
			return false
		}
		// What nothing could mention so far, nothing does that has not changed itself.
		if count[m.String()] > 0 || slices.ContainsFunc(old, func(o member) bool { return slices.Equal(declared(o.words), name) }) {
			names = append(names, name...)
		}
	}
	s.add(names, "a member of "+after.names[0])
	s.addLayout(after.names[0])
	return true
}
