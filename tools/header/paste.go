// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	pasted     = regexp.MustCompile(`\w+(?:\s*##\s*\w+)+|##\s*\w+|\w+\s*##`)
	pastedCall = regexp.MustCompile(`\b\w*(?:CONCAT|PASTE)\w*\(([^()]*)`)
	macroHead  = regexp.MustCompile(`^\s*#\s*define\s+\w+(?:\(([^)]*)\))?`)
)

// findFragments finds the words of which ## makes names: those that stand beside it and
// are no parameter, and the arguments of macros that are there for that. A file that is
// compiled and makes names of its macros' parameters alone is affected by anything.
func (s *search) findFragments() {
	found := make(map[string]bool)
	for name, text := range s.texts {
		eachWord(text, func(w string) bool { s.words[w] = true; return true })
		if !mayPaste(text) {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
			if !mayPaste(line) {
				continue
			}
			for _, call := range pastedCall.FindAllStringSubmatch(line, -1) {
				maps.Copy(found, wordsOf(call[1]))
			}
			if strings.Contains(line, "##") && !findPasted(line, found) && !Is(name) {
				s.makesNames[name] = true
			}
		}
	}
	for w := range found {
		if strings.Trim(w, "_") != "" {
			s.fragments = append(s.fragments, w)
		}
	}
}

// mayPaste tells whether a text may put names together. It is asked first, as it takes
// less time than to look closely.
func mayPaste(text string) bool {
	return strings.Contains(text, "##") || strings.Contains(text, "CONCAT") || strings.Contains(text, "PASTE")
}

// findPasted adds the words beside ## in a macro that are no parameters. It returns false
// if it has ## between nothing but parameters.
func findPasted(line string, found map[string]bool) bool {
	params := make(map[string]bool)
	if head := macroHead.FindStringSubmatch(line); head != nil {
		params = wordsOf(head[1])
	}
	all := true
	for _, chain := range pasted.FindAllString(line, -1) {
		own := false
		for w := range wordsOf(chain) {
			if !params[w] && strings.Trim(w, "_") != "" {
				found[w], own = true, true
			}
		}
		all = all && own
	}
	return all
}

// partsOf returns the fragments of which macros may make a name: those that it has, if
// what is left of it is words that there are, but for other fragments. Within a name they
// have underscores at both ends, and a letter alone stands before a number.
func (s *search) partsOf(name string) []string {
	var parts []string
	for _, f := range s.fragments {
		before, after, found := strings.Cut(name, f)
		switch {
		case !found || before+after == "":
			continue
		case before != "" && after != "" && !(f[0] == '_' && f[len(f)-1] == '_'):
			continue
		case len(f) == 1 && strings.Trim(after, "0123456789") != "":
			continue
		}
		if s.isArgument(before, strings.CutPrefix) && s.isArgument(after, strings.CutSuffix) {
			parts = append(parts, f)
		}
	}
	return parts
}

// isArgument tells whether a part of a name is none or a word that there is, once a
// fragment is cut off.
func (s *search) isArgument(part string, cut func(text, fragment string) (string, bool)) bool {
	return part == "" || s.words[part] || slices.ContainsFunc(s.fragments, func(f string) bool {
		rest, found := cut(part, f)
		return found && (rest == "" || s.words[rest])
	})
}

// eachWord calls f with the words of a text, until it returns false.
func eachWord(text string, f func(w string) bool) {
	for at := 0; at < len(text); {
		if !wordByte(text[at]) {
			at++
			continue
		}
		start := at
		for at < len(text) && wordByte(text[at]) {
			at++
		}
		if !f(text[start:at]) {
			return
		}
	}
}

func wordsOf(text string) map[string]bool {
	all := make(map[string]bool)
	eachWord(text, func(w string) bool { all[w] = true; return true })
	return all
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
