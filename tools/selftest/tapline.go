// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lineKind is what a line of TAP is.
type lineKind int

const (
	lineOther lineKind = iota
	lineVersion
	linePlan // text is the number and what follows
	lineTest // text is + for ok or - for not ok, and what follows
	lineBail // text is the reason
)

// tapLine tells what a line without its indentation is.
func tapLine(s string) (lineKind, string) {
	if after, ok := strings.CutPrefix(s, "TAP version "); ok && isNumber(after) {
		return lineVersion, ""
	}
	if after, ok := strings.CutPrefix(s, "KTAP version "); ok && isNumber(after) {
		return lineVersion, ""
	}
	if after, ok := strings.CutPrefix(s, "1.."); ok && after != "" && after[0] >= '0' && after[0] <= '9' {
		return linePlan, after
	}
	if after, ok := cutWord(s, "ok"); ok {
		return lineTest, "+" + after
	}
	if after, ok := cutWord(s, "not ok"); ok {
		return lineTest, "-" + after
	}
	if after, ok := strings.CutPrefix(s, "Bail out!"); ok {
		return lineBail, after
	}
	return lineOther, ""
}

// cutWord takes a word off s that a space or the end follows.
func cutWord(s, word string) (string, bool) {
	after, ok := strings.CutPrefix(s, word)
	return after, ok && (after == "" || after[0] == ' ')
}

func isNumber(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// splitIndent splits off what a nested line begins with: spaces, or the "# "
// that kselftest's runner puts before what a test prints.
func splitIndent(line string) (indent, rest string) {
	n := 0
	for {
		switch {
		case strings.HasPrefix(line[n:], "# "):
			n += 2
		case line[n:] != "" && (line[n] == ' ' || line[n] == '\t'):
			n++
		default:
			return line[:n], line[n:]
		}
	}
}

// isSubtest tells whether a line is TAP 14's comment before nested tests.
func isSubtest(line string) bool {
	text := strings.TrimSpace(line)
	return text == "# Subtest" || strings.HasPrefix(text, "# Subtest:")
}

// splitDirective splits the text of a test line at the hash sign before a
// directive.
func splitDirective(s string) (text, comment string) {
	for i := 0; i < len(s); i++ {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ') {
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:])
		}
	}
	return strings.TrimSpace(s), ""
}

// directive splits the comment of a test line. Without one of the words that
// change what a line means, word is "".
func directive(comment string) (word, reason string) {
	first, rest, _ := strings.Cut(comment, " ")
	word = strings.ToUpper(strings.TrimSuffix(first, ":"))
	switch word {
	case "SKIP", "SKIPPED", "XFAIL", "XPASS", "TODO", "TIMEOUT", "ERROR":
		word = strings.TrimSuffix(word, "PED")
	default:
		word, rest = "", comment
	}
	rest = strings.TrimSpace(rest)
	return word, strings.TrimSpace(strings.TrimPrefix(rest, "- "))
}

// clip shortens s to n bytes of whole characters, makes it valid UTF-8 and
// keeps control characters off the user's terminal.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return '.'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	const dots = "..."
	cut := n - len(dots)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + dots
}
