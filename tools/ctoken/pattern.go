// SPDX-License-Identifier: GPL-2.0-only

package ctoken

import (
	"fmt"
	"strings"
)

// Pattern is a few tokens in a row. In its text an identifier that begins with
// $ stands for an expression: one token or more, in which brackets are closed
// and which has no comma or semicolon outside of them.
type Pattern struct {
	text  string
	items []string
}

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{text: text}
	for _, t := range Scan([]byte(text)).Tokens {
		p.items = append(p.items, t.Text)
	}
	if len(p.items) == 0 {
		return p, fmt.Errorf("the pattern %q has no tokens", text)
	}
	if strings.HasPrefix(p.items[0], "$") {
		return p, fmt.Errorf("the pattern %q begins with an expression: where that begins cannot be told", text)
	}
	return p, nil
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// First returns the pattern's first token.
func (p Pattern) First() string { return p.items[0] }

// maxExpression is how many tokens an expression of a pattern may have.
const maxExpression = 60

// Match returns how many tokens, from the first on, the pattern takes; 0 if it
// does not match there.
func (p Pattern) Match(tokens []Token) int { return match(p.items, tokens) }

func match(items []string, tokens []Token) int {
	if len(items) == 0 {
		return 0
	}
	if !strings.HasPrefix(items[0], "$") {
		if len(tokens) == 0 || tokens[0].Text != items[0] {
			return 0
		}
		if len(items) == 1 {
			return 1
		}
		if n := match(items[1:], tokens[1:]); n > 0 {
			return n + 1
		}
		return 0
	}
	depth := 0
	for i := 0; i < len(tokens) && i < maxExpression; i++ {
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
		if len(items) == 1 {
			return i + 1
		}
		if n := match(items[1:], tokens[i+1:]); n > 0 {
			return n + i + 1
		}
	}
	return 0
}

// Find returns the index of the first token, from from on, at which the
// pattern matches, and how many it takes; -1 and 0 if there is none.
func (p Pattern) Find(tokens []Token, from int) (at, n int) {
	for i := from; i < len(tokens); i++ {
		if n := p.Match(tokens[i:]); n > 0 {
			return i, n
		}
	}
	return -1, 0
}

// Function returns the tokens of a function's or a macro's body, with its
// braces; nil if the file has none of that name.
func (f *File) Function(name string) []Token {
	start := -1
	for i, t := range f.Tokens {
		in := t.Func == name
		if in && start < 0 {
			start = i
		}
		if !in && start >= 0 {
			return f.Tokens[start:i]
		}
	}
	if start < 0 {
		return nil
	}
	return f.Tokens[start:]
}
