// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// assertion matches words that begin what has to be true when it is compiled.
var assertion = regexp.MustCompile(`^(?:BUILD_BUG\w*|_?[Ss]tatic_assert|compiletime_assert\w*|ASSERT_\w+)$`)

// ofMember are macros that depend on the type of a member, not on where it is.
var ofMember = []string{"container_of", "container_of_const", "sizeof_field", "typeof_member"}

// anyWord tells whether f is true of a word of a text.
func anyWord(text string, f func(w string) bool) (found bool) {
	eachWord(text, func(w string) bool {
		found = f(w)
		return !found
	})
	return found
}

// spread adds the names of macros, functions and structures of headers that mention
// a name, until there is no other.
func (s *search) spread() {
	headers := slices.DeleteFunc(slices.Sorted(maps.Keys(s.texts)), func(name string) bool { return !Is(name) })
	done := make(map[string]bool)
	for s.grown = true; s.grown; {
		s.grown = false
		for name, reason := range maps.Clone(s.names) {
			if done[name] {
				continue
			}
			done[name] = true
			if s.fresh[name] {
				continue
			}
			for _, part := range s.partsOf(name) {
				s.add([]string{part}, reason)
				done[part] = true
			}
		}
		for _, name := range headers {
			s.spreadTo(name)
		}
	}
}

// spreadTo adds the names of the items of a header that mention one.
func (s *search) spreadTo(header string) {
	if s.whole[header] != "" || !anyWord(s.texts[header], func(w string) bool { return s.names[w] != "" || s.layouts[w] }) {
		return
	}
	for _, i := range s.split(header) {
		switch {
		case i.kind == include:
		case i.kind == record && i.words[0] != "enum":
			s.spreadToMembers(header, i)
		default:
			reason := s.first(i.words)
			if reason == "" && s.dependsOnLayout(i.words) {
				reason = "a layout"
			}
			if reason == "" {
				continue
			}
			s.touched[header] = true
			if i.kind == other || i.kind == condition || slices.ContainsFunc(i.words, func(w string) bool { return s.dropped[w] && !slices.Contains(i.names, w) }) {
				s.whole[header] = fmt.Sprintf("%s mentions %s", header, reason)
			} else {
				s.add(i.names, reason)
			}
		}
	}
}

// split splits a header, once.
func (s *search) split(header string) []item {
	if s.items[header] == nil {
		s.items[header] = split(s.texts[header])
	}
	return s.items[header]
}

// first returns the reason of the first word that is a name, "" if none is.
func (s *search) first(words []string) string {
	for _, w := range words {
		if reason := s.names[w]; reason != "" {
			return reason
		}
	}
	return ""
}

// dependsOnLayout tells whether tokens have one of the structures by value, or assert
// something of what may be one.
func (s *search) dependsOnLayout(tokens []string) bool {
	if len(s.layouts) == 0 || len(tokens) == 3 && tokens[2] == ";" { // "struct name ;"
		return false
	}
	var calls []string // that are open
	for i, t := range tokens {
		switch {
		case t == "(":
			calls = append(calls, tokens[max(i-1, 0)])
		case t == ")":
			calls = calls[:max(len(calls)-1, 0)]
		case s.layouts[t] && i > 0 && (tokens[i-1] == "struct" || tokens[i-1] == "union") && isByValue(tokens[i+1:], len(calls) > 0):
			if len(calls) == 0 || !slices.Contains(ofMember, calls[len(calls)-1]) {
				return true
			}
		case assertion.MatchString(t) && asksForSize(tokens[i+1:]):
			return true
		}
	}
	return false
}

// isByValue tells whether what follows the name of a structure makes it more than a
// pointer's type. Outside of parentheses other names may follow that of a pointer.
func isByValue(tokens []string, within bool) bool {
	if len(tokens) == 0 || tokens[0] != "*" {
		return len(tokens) > 0
	}
	if within {
		return false
	}
	end := slices.IndexFunc(tokens, func(t string) bool { return slices.Contains([]string{";", "=", "(", ")", "{"}, t) })
	return end > 0 && slices.Contains(tokens[:end], ",")
}

// asksForSize tells whether the arguments of an assertion have the size of an expression,
// or there are none. A structure's size names it.
func asksForSize(tokens []string) bool {
	depth := 0
	for i, t := range tokens {
		switch t {
		case "(":
			depth++
		case ")":
			if depth--; depth <= 0 {
				return i == 1
			}
		case "sizeof", "sizeof_field", "typeof":
			if i+2 < len(tokens) && tokens[i+2] != "struct" && tokens[i+2] != "union" {
				return true
			}
		}
	}
	return false
}

// spreadToMembers adds the names of the members of a structure that mention a name. A
// member of the same name as another that differs does not.
func (s *search) spreadToMembers(header string, i item) {
	_, tail := body(i.words)
	if reason := s.first(tail); reason != "" {
		s.add(i.names, reason)
		s.addLayout(i.names[0])
	}
	if s.names[i.names[0]] != "" {
		s.touched[header] = true
		return // what can mention its members is affected already
	}
	for _, m := range allMembers(i.words) {
		name := declared(m.words)
		types := m.words
		if len(name) == 1 {
			types = slices.DeleteFunc(slices.Clone(m.words), func(w string) bool { return w == name[0] })
		}
		if s.dependsOnLayout(m.words) {
			s.addLayout(i.names[0])
		}
		reason := s.first(slices.Concat(types, m.under))
		if reason == "" {
			continue
		}
		s.touched[header] = true
		if name == nil {
			s.add(slices.Concat(i.names, nested(m.words)), reason)
			return
		}
		s.add(name, "a member of "+i.names[0])
		s.addLayout(i.names[0])
	}
}
