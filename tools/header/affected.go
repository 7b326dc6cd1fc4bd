// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// affected returns the objects that mention a name, include a header whose users are all
// affected, or are to show what is wrong with a header itself.
func (s *search) affected() map[string]string {
	all := make(map[string]string)
	foreign := s.foreign()
	for _, o := range s.objects {
		if reason := cmp.Or(s.reason(o), foreign(o)); reason != "" {
			all[o.Name] = reason
		}
	}
	for header := range s.changes {
		s.touched[header] = true
	}
	for _, header := range slices.Sorted(maps.Keys(s.touched)) {
		users := make(map[string]string) // the first one of each group that is not affected
		served := make(map[string]bool)  // groups one of which is
		for _, o := range s.objects {
			if !slices.Contains(o.Sources, header) {
				continue
			}
			group := groupOf(o)
			served[group] = served[group] || all[o.Name] != ""
			if first := users[group]; first == "" || o.Name < first {
				users[group] = o.Name
			}
		}
		for group, first := range users {
			if !served[group] {
				all[first] = "one of " + group + " is compiled that includes " + header
			}
		}
	}
	return all
}

// groupOf returns what objects share that are compiled in the same way: the directory,
// and the language.
func groupOf(o Object) string {
	for _, source := range o.Sources {
		if !Is(source) {
			return path.Join(path.Dir(o.Name), "*"+path.Ext(source))
		}
	}
	return path.Dir(o.Name)
}

// reason returns why an object is affected, "" if it is not.
func (s *search) reason(o Object) string {
	for _, i := range s.included {
		if !slices.Contains(o.Sources, i.header) {
			continue
		}
		at := slices.IndexFunc(o.Sources, func(source string) bool { return i.isLeaf(source, s.texts[source]) })
		if at < 0 || at > slices.Index(o.Sources, i.header) && s.conditionOn(i.header, o.Sources[at]) {
			return "includes " + i.name + " now"
		}
	}
	for _, i := range s.lost {
		if slices.Contains(o.Sources, i.header) && !slices.ContainsFunc(o.Sources, func(source string) bool { return source != i.header && s.includes(source, i.name) }) {
			return "includes no " + i.name + " any more"
		}
	}
	for _, source := range o.Sources {
		if s.missing[source] {
			return source + " is missing"
		}
		if reason := s.whole[source]; reason != "" {
			return reason
		}
	}
	for _, source := range o.Sources {
		if Is(source) {
			continue
		}
		name := path.Base(source)
		if s.makesNames[source] && len(s.names) > 0 {
			return name + " makes names of words"
		}
		tokens := allWords(s.texts[source])
		for _, w := range tokens {
			if change := s.names[w]; change != "" {
				return fmt.Sprintf("%s mentions %s, for %s", name, w, change)
			}
		}
		if s.dependsOnLayout(tokens) {
			return name + " depends on a layout"
		}
	}
	return ""
}

// includes tells whether a file has an #include under no condition but that which keeps
// it from being read twice.
func (s *search) includes(source, name string) bool {
	return strings.Contains(s.texts[source], name) && slices.ContainsFunc(s.split(source), func(i item) bool {
		return i.kind == include && i.names[0] == name && !strings.Contains(i.under, "\n")
	})
}

// conditionOn tells whether a header has a condition on what another one declares.
func (s *search) conditionOn(header, other string) bool {
	for _, declaration := range s.split(other) {
		for _, i := range s.split(header) {
			if i.kind == condition && slices.ContainsFunc(declaration.names, func(name string) bool { return slices.Contains(i.words, name) }) {
				return true
			}
		}
	}
	return false
}

// foreign returns a function that tells what of the new items an object may lack: a word
// that another header of other objects declares, and none of its own has.
func (s *search) foreign() func(o Object) string {
	has := make(map[string]map[string]bool) // words by file
	offered := make(map[string]bool)        // words that another header declares
	for name, text := range s.texts {
		if !Is(name) {
			continue
		}
		has[name] = make(map[string]bool)
		eachWord(text, func(w string) bool {
			if header := s.came[w]; header != "" && header != name {
				has[name][w] = true
			}
			return true
		})
		if len(has[name]) == 0 {
			continue
		}
		for _, i := range s.split(name) {
			for _, n := range i.names {
				offered[n] = offered[n] || has[name][n]
			}
		}
	}
	return func(o Object) string {
		found := make(map[string]bool)
		for _, source := range o.Sources {
			maps.Copy(found, has[source])
		}
		for w, is := range offered {
			if is && !found[w] && slices.Contains(o.Sources, s.came[w]) {
				return "lacks " + w
			}
		}
		return ""
	}
}
