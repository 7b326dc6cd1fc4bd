// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"regexp"
	"strings"
)

// Place is a place in a file that a rule is about.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // 1-based
	Text string `json:"text"` // the line, without the space around it
}

// places returns where re matches in the code of a C file.
func places(name string, src []byte, re *regexp.Regexp) []Place {
	var found []Place
	for _, at := range re.FindAllIndex(code(src), -1) {
		start := bytes.LastIndexByte(src[:at[0]], '\n') + 1
		text := src[start:]
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			text = text[:end]
		}
		found = append(found, Place{
			File: name, Line: bytes.Count(src[:at[0]], []byte("\n")) + 1, Text: strings.TrimSpace(string(text)),
		})
	}
	return found
}

// code returns C source with blanks in the place of comments and of what
// strings and character constants hold. Lines stay where they are. A string
// that its line does not end is taken to end there: it is an apostrophe in an
// #error or in assembly.
func code(src []byte) []byte {
	out := bytes.Clone(src)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	for i := 0; i < len(src); {
		rest := src[i:]
		switch {
		case bytes.HasPrefix(rest, []byte("/*")):
			n := len(rest)
			if end := bytes.Index(rest[2:], []byte("*/")); end >= 0 {
				n = end + 4
			}
			blank(i, i+n)
			i += n
		case bytes.HasPrefix(rest, []byte("//")):
			n := len(rest)
			if end := bytes.IndexByte(rest, '\n'); end >= 0 {
				n = end
			}
			blank(i, i+n)
			i += n
		case rest[0] == '"' || rest[0] == '\'':
			n := literal(rest)
			blank(i, i+n)
			i += n
		default:
			i++
		}
	}
	return out
}

// literal returns the length of the string or character constant that src
// begins with.
func literal(src []byte) int {
	for i := 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '\n':
			return i
		case src[0]:
			return i + 1
		}
	}
	return len(src)
}
