// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/ctoken"
)

type kind int

const (
	// other is what declares names that are not looked for, code, and whatever is
	// not understood.
	other kind = iota
	define
	function  // static, with a body
	prototype // of a function or a variable
	record    // a structure, a union or an enumeration
	include
	condition
)

// item is a piece of a header: a line of the preprocessor, or a declaration.
type item struct {
	kind
	names []string // that it declares; of an include, the file with its delimiters
	words []string // its tokens
	under string   // the conditions that it is under
}

func (i item) String() string { return i.under + "\n" + strings.Join(i.words, " ") }

// place is what a structure has in common with another version of itself.
func (i item) place() string { return i.names[0] + "\n" + i.under }

var (
	includedFile = regexp.MustCompile(`^\s*#\s*include\s*([<"][^>"]+[>"])`)
	anyInclude   = regexp.MustCompile(`#\s*include\b`)
	defineCall   = regexp.MustCompile(`^\s*#\s*define\s+\w+\(`)
)

// withoutComments returns the text with lines that end where the preprocessor has
// them end.
func withoutComments(text string) string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	var kept strings.Builder
	from, at := 0, 0
	for {
		next := strings.IndexAny(text[at:], `"'/`)
		if next < 0 {
			kept.WriteString(text[from:])
			return kept.String()
		}
		at += next
		length, isComment := commentOrString(text[at:])
		if isComment {
			kept.WriteString(text[from:at])
			kept.WriteByte(' ')
			from = at + length
		}
		at += max(length, 1)
	}
}

// commentOrString returns the length of the comment or, because what looks like one
// within it is none, the string that a text begins with; 0 if it begins with neither.
func commentOrString(text string) (length int, isComment bool) {
	switch {
	case strings.HasPrefix(text, "//"):
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			return end, true
		}
		return len(text), true
	case strings.HasPrefix(text, "/*"):
		if _, after, closed := strings.Cut(text[2:], "*/"); closed {
			return len(text) - len(after), true
		}
	case text[0] == '"' || text[0] == '\'':
		for i := 1; i < len(text) && text[i] != '\n'; i++ {
			switch text[i] {
			case '\\':
				i++
			case text[0]:
				return i + 1, false
			}
		}
	}
	return 0, false
}

func words(text string) []string {
	tokens := ctoken.Scan([]byte(text)).Tokens
	list := make([]string, len(tokens))
	for i, t := range tokens {
		list[i] = t.Text
	}
	return list
}

// allWords returns the tokens of a file, those of the preprocessor's lines included.
func allWords(text string) []string {
	var all []string
	for line := range strings.Lines(withoutComments(text)) {
		line = strings.TrimLeft(line, " \t")
		all = append(all, words(strings.TrimPrefix(line, "#"))...)
	}
	return all
}

// split splits a header into items.
func split(text string) []item {
	var s splitter
	for line := range strings.Lines(withoutComments(text)) {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") {
			s.directive(line)
		} else {
			s.code(line)
		}
	}
	s.end()
	return s.items
}

type splitter struct {
	items []item
	under []string // the conditions that are open

	// pending are the tokens of the declaration that is being read, with the lines of
	// the preprocessor within it, from "#if" to ";".
	pending []string
	start   string // the conditions that were open at its beginning
	depth   int    // of brackets in it
}

func (s *splitter) directive(line string) {
	_, text, _ := strings.Cut(line, "#")
	tokens := words(text)
	if len(tokens) == 0 {
		return
	}
	if n := len(s.pending); n > 0 && s.depth == 0 && s.pending[n-1] == ")" {
		s.end() // a macro that needs no semicolon
	}
	within := len(s.pending) > 0
	under := strings.Join(s.under, "\n")
	kind := other
	var names []string

	switch open, name := len(s.under), tokens[0]; name {
	case "define":
		if len(tokens) < 2 {
			return
		}
		kind, names, within = define, tokens[1:2:2], false
		if defineCall.MatchString(line) {
			tokens = slices.Insert(tokens, 2, "with arguments")
		}
	case "include":
		if m := includedFile.FindStringSubmatch(line); m != nil {
			kind, names = include, m[1:]
		}
	case "if", "ifdef", "ifndef":
		kind = condition
		s.under = append(s.under, strings.Join(tokens, " "))
	case "elif", "else":
		kind = condition
		if open > 0 {
			s.under[open-1] += " " + strings.Join(tokens, " ")
		}
	case "endif":
		s.under = s.under[:max(open-1, 0)]
		if !within {
			return
		}
	}
	if within {
		s.pending = append(append(s.pending, "#"+tokens[0]), append(tokens[1:], ";")...)
		return
	}
	s.items = append(s.items, item{kind, names, tokens, under})
}

// code adds the tokens of a line.
func (s *splitter) code(line string) {
	for i, t := range words(line) {
		if len(s.pending) == 0 {
			s.start = strings.Join(s.under, "\n")
		}
		s.pending = append(s.pending, t)
		switch t {
		case "(", "[", "{":
			s.depth++
		case ")", "]", "}":
			s.depth = max(s.depth-1, 0)
		}
		// A brace in the first column ends a declaration, as in package ctoken:
		// branches of #if may open a block twice.
		if i == 0 && line[0] == '}' {
			s.depth = 0
		}
		if s.depth == 0 && (t == ";" || t == "}" && isFunction(s.pending)) {
			s.end()
		}
	}
}

func (s *splitter) end() {
	if len(s.pending) > 0 && !slices.Equal(s.pending, []string{";"}) {
		kind, names := classify(s.pending)
		s.items = append(s.items, item{kind, names, s.pending, s.start})
	}
	s.pending, s.depth = nil, 0
}
