// SPDX-License-Identifier: GPL-2.0-only

package ctoken

import (
	"fmt"
	"slices"
	"strings"
)

// Pattern is a sequence of tokens. An identifier that begins with $ stands for
// an expression: one or more tokens with balanced brackets, and without a comma
// or semicolon outside of them.
type Pattern struct {
	text  string
	items []string
}

// UnmarshalText reads a pattern. It implements [encoding.TextUnmarshaler].
func (p *Pattern) UnmarshalText(text []byte) error {
	*p = Pattern{text: string(text)}
	for _, t := range Scan(text).Tokens {
		p.items = append(p.items, t.Text)
	}
	if len(p.items) == 0 {
		return fmt.Errorf("the pattern %q has no tokens", text)
	}
	if strings.HasPrefix(p.items[0], "$") {
		return fmt.Errorf("the pattern %q begins with an expression, whose beginning is unknown", text)
	}
	return nil
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// First returns the pattern's first token.
func (p Pattern) First() string { return p.items[0] }

const maxExpression = 60 // tokens

// Match returns how many of the first tokens the pattern matches, 0 if it does
// not match there.
func (p Pattern) Match(tokens []Token) int { return match(p.items, tokens) }

func match(items []string, tokens []Token) int {
	isExpression := strings.HasPrefix(items[0], "$")
	if !isExpression && (len(tokens) == 0 || tokens[0].Text != items[0]) {
		return 0
	}
	// with returns how many tokens match if the first item has n of them.
	with := func(n int) int {
		if len(items) == 1 {
			return n
		}
		if more := match(items[1:], tokens[n:]); more > 0 {
			return n + more
		}
		return 0
	}
	if !isExpression {
		return with(1)
	}

	depth := 0
	for i := range min(len(tokens), maxExpression) {
		switch tokens[i].Text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth < 0 {
				return 0
			}
		case ",", ";":
			if depth == 0 {
				return 0
			}
		}
		if depth > 0 {
			continue
		}
		if n := with(i + 1); n > 0 {
			return n
		}
	}
	return 0
}

// Find returns the index of the first match at or after from, and its number of
// tokens; -1 and 0 if there is none.
func (p Pattern) Find(tokens []Token, from int) (at, n int) {
	for i := from; i < len(tokens); i++ {
		if n := p.Match(tokens[i:]); n > 0 {
			return i, n
		}
	}
	return -1, 0
}

// Function returns the tokens of the body of a function or macro, with its
// braces; nil if the file has none of that name.
func (f *File) Function(name string) []Token {
	in := func(t Token) bool { return t.Func == name }
	start := slices.IndexFunc(f.Tokens, in)
	if start < 0 {
		return nil
	}
	body := f.Tokens[start:]
	if end := slices.IndexFunc(body, func(t Token) bool { return !in(t) }); end >= 0 {
		return body[:end]
	}
	return body
}
