// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"regexp"
	"strings"
)

// attributes tells git how to find the names of functions for hunk headers.
const attributes = ".gitattributes"

// Place is a place in a file that a rule is to change.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // 1-based
	Text string `json:"text"` // the line, without the space around it
}

// places returns where re matches in the code of a C file.
func places(name string, src []byte, re *regexp.Regexp) []Place {
	var found []Place
	for _, at := range re.FindAllIndex(code(src), -1) {
		above := src[:at[0]]
		text, _, _ := bytes.Cut(src[bytes.LastIndexByte(above, '\n')+1:], []byte("\n"))
		found = append(found, Place{
			File: name, Line: bytes.Count(above, []byte("\n")) + 1, Text: strings.TrimSpace(string(text)),
		})
	}
	return found
}

// notCode are comments, strings and character constants. A string without an
// end in its line ends there: it is an apostrophe in an #error or in assembly.
var notCode = regexp.MustCompile(`/\*(?s:.*?)(?:\*/|\z)|//[^\n]*|"(?:\\(?s:.)|[^"\\\n])*["\\]?|'(?:\\(?s:.)|[^'\\\n])*['\\]?`)

// code returns C source with what is not code replaced by blanks. Lines keep
// their numbers.
func code(src []byte) []byte {
	out := bytes.Clone(src)
	for _, at := range notCode.FindAllIndex(src, -1) {
		for i := at[0]; i < at[1]; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	return out
}
