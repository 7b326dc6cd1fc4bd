// SPDX-License-Identifier: GPL-2.0-only

// Package ctoken splits C in the kernel's style into tokens, each with the line
// and the function that it is in, and comments. It does not parse and does not
// expand macros: it answers whether a few tokens are where they should be,
// whatever the white space and the comments between them.
//
// A function ends with a brace in the first column, as in the kernel's style. So
// branches of #if that open a block twice, which counting braces does not
// survive, do no harm beyond their function.
package ctoken

import (
	"regexp"
	"strings"
)

// Token is a token of a file.
type Token struct {
	Text string // an identifier, a number, a punctuator, or a whole string or character constant
	Line int    // 1-based
	Func string // the function or macro whose body the token is in, "" outside of them
}

// Comment is a comment of a file.
type Comment struct {
	Text string // without the delimiters and the stars of lines
	Line int    // 1-based, of its first line
	Func string
	Next int // the index of the token after it, or the number of tokens
}

// File is the content of a file.
type File struct {
	Tokens   []Token
	Comments []Comment
}

// Scan splits a file. Any input is accepted; what is not C gives tokens that C
// does not have.
func Scan(src []byte) *File {
	s := scanner{src: string(src), line: 1, bol: true, out: new(File)}
	s.run()
	return s.out
}

type scanner struct {
	src  string
	at   int
	line int
	bol  bool // only white space since the beginning of the line

	depth int // of braces
	// body is the function around depth > 0, pending are the tokens since the
	// last end of a declaration at depth 0.
	body    string
	pending []string
	// macro is the macro whose definition is being read, to the offset end.
	macro string
	end   int

	out *File
}

// element matches the next element of a file that is not simple: blanks or a continued
// line, a comment, or a token, which is a word or a number, a constant up to its end or
// the line's, or a punctuator.
var element = regexp.MustCompile(`^(?:([ \t\r\f\v]+|\\\n)|(//[^\n]*|/\*(?s:.*?)(?:\*/|\z))|` +
	`([0-9][\w$.]*|[A-Za-z_$][\w$]*|"(?:\\[^\n]|[^"\\\n])*\\?"?|'(?:\\[^\n]|[^'\\\n])*\\?'?|` +
	`\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|&&|\|\||##|[-+*/%&|^<>=!]=|(?s:.)))`)

// simple returns the length of the blanks, the word or the punctuator that a text begins
// with, as most elements are, 0 if it begins with something else: element takes ten times
// as long.
func simple(text string) (n int, isToken bool) {
	if n = len(text) - len(strings.TrimLeft(text, " \t")); n > 0 || '0' <= text[0] && text[0] <= '9' {
		return n, false
	}
	if strings.IndexByte("(){}[];,", text[0]) >= 0 {
		return 1, true
	}
	for n < len(text) && wordByte[text[n]] {
		n++
	}
	if n > 0 || strings.HasPrefix(text, "//") || strings.HasPrefix(text, "/*") {
		return n, n > 0
	}
	for _, operator := range operators {
		if strings.HasPrefix(text, operator) {
			return len(operator), true
		}
	}
	return 0, false
}

// operators are the punctuators that an expression may have, those first that begin
// with others.
var operators = strings.Fields("... <<= >>= -> ++ -- << >> && || -= += *= /= %= &= |= ^= <= >= == != - + * / % & | ^ < > = ! ~ ? : .")

// wordByte tells which bytes an identifier has.
var wordByte = func() (in [256]bool) {
	for _, c := range []byte("$0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		in[c] = true
	}
	return in
}()

func (s *scanner) run() {
	for s.at < len(s.src) {
		if s.macro != "" && s.at >= s.end {
			s.macro = ""
		}
		if s.src[s.at] == '#' && s.bol && s.macro == "" {
			s.directive()
			continue
		}
		if s.src[s.at] == '\n' {
			s.bol = true
			s.skip(1)
			continue
		}
		if n, isToken := simple(s.src[s.at:]); n > 0 {
			if isToken {
				s.token(s.src[s.at : s.at+n])
			}
			s.at += n
			continue
		}
		// Of what is not UTF-8, a byte is a token.
		m := element.FindStringSubmatch(s.src[s.at:])
		switch {
		case m[2] != "":
			s.comment(m[2])
		case m[3] != "":
			s.token(m[3])
		}
		s.skip(len(m[0]))
	}
}

var (
	// logicalLine is a line that backslashes and comments may continue.
	logicalLine = regexp.MustCompile(`^(?:\\\n|/\*(?s:.*?)(?:\*/|\z)|[^\n])*`)
	// define is the start of a macro's definition, up to its body. The parameters
	// are not part of it.
	define = regexp.MustCompile(`^#[ \t\\\n]*define[ \t\\\n]+([\w$]+)(?:\([^)]*\))?`)
)

func (s *scanner) skip(n int) {
	s.line += strings.Count(s.src[s.at:s.at+n], "\n")
	s.at += n
}

// comment adds a comment, without the delimiters and the stars of lines.
func (s *scanner) comment(raw string) {
	text := raw[2:]
	if raw[1] == '*' {
		text = strings.TrimSuffix(text, "*/")
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "*")))
	}
	s.out.Comments = append(s.out.Comments, Comment{Text: strings.TrimSpace(strings.Join(lines, "\n")), Line: s.line, Func: s.fn(), Next: len(s.out.Tokens)})
}

// directive reads a line of the preprocessor. The body of a macro is treated as
// that of a function; other directives are skipped.
func (s *scanner) directive() {
	line := logicalLine.FindString(s.src[s.at:])
	m := define.FindStringSubmatch(line)
	if m == nil {
		s.skip(len(line))
		return
	}
	s.bol = false
	s.macro, s.end = m[1], s.at+len(line)
	s.skip(len(m[0]))
}

// token adds a token, and tracks where functions begin and end.
func (s *scanner) token(text string) {
	s.bol = false
	first := s.at == 0 || s.src[s.at-1] == '\n' // in its line
	switch {
	case s.macro != "":
	case text == "{" && (s.depth == 0 || first):
		s.add(text)
		s.body, s.depth, s.pending = functionName(s.pending), 1, nil
		return
	case text == "{":
		s.depth++
	case text == "}" && (s.depth <= 1 || first):
		s.depth, s.body, s.pending = 0, "", nil
	case text == "}":
		s.depth--
	case s.depth == 0 && text == ";":
		s.pending = nil
	case s.depth == 0:
		s.pending = append(s.pending, text)
	}
	s.add(text)
}

func (s *scanner) add(text string) {
	s.out.Tokens = append(s.out.Tokens, Token{Text: text, Line: s.line, Func: s.fn()})
}

func (s *scanner) fn() string {
	if s.macro != "" {
		return s.macro
	}
	return s.body
}

// annotation are macros with arguments in a function's head.
var annotation = map[string]bool{
	"__attribute__": true, "__printf": true, "__acquires": true, "__releases": true, "__must_hold": true,
	"__aligned": true, "__section": true, "__cold": true, "__no_sanitize": true, "EXPORT_SYMBOL": true,
}

// functionName returns the name of the function with these tokens as its head,
// "" if they are something else.
func functionName(head []string) string {
	depth := 0
	for i, text := range head {
		switch text {
		case "(":
			if depth == 0 && i > 0 && wordByte[head[i-1][0]] && !annotation[head[i-1]] {
				return head[i-1]
			}
			depth++
		case ")":
			depth--
		case "=":
			if depth == 0 {
				return ""
			}
		}
	}
	return ""
}
