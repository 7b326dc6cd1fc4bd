// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"regexp"
	"slices"
)

var kconfigToken = regexp.MustCompile(`"[^"]*"|\$\([^)]*\)|&&|\|\||!=|<=|>=|[()!=<>]|[A-Za-z0-9_]+`)

// evaluate says whether a Kconfig expression is true in a configuration (m
// counts as true) and, if it is not, which symbols stand in the way, as
// "NAME is VALUE". What it does not understand counts as true: it explains,
// it does not decide.
func evaluate(expr string, c Config) (bool, []string) {
	e := kexpr{tokens: kconfigToken.FindAllString(expr, -1), config: c}
	return e.or(false)
}

// kexpr is a recursive descent over the tokens of an expression. Each of its
// methods returns the value of what it read and the symbols that keep it from
// being true, or from being false where negated is set.
type kexpr struct {
	tokens []string
	config Config
	depth  int
}

func (e *kexpr) peek() string {
	if len(e.tokens) == 0 {
		return ""
	}
	return e.tokens[0]
}

func (e *kexpr) next() string {
	t := e.peek()
	if len(e.tokens) > 0 {
		e.tokens = e.tokens[1:]
	}
	return t
}

func (e *kexpr) or(negated bool) (bool, []string) {
	v, why := e.and(negated)
	for e.peek() == "||" {
		e.next()
		w, more := e.and(negated)
		v, why = v || w, append(why, more...)
	}
	if v != negated {
		return v, nil
	}
	return v, why
}

func (e *kexpr) and(negated bool) (bool, []string) {
	v, why := e.not(negated)
	for e.peek() == "&&" {
		e.next()
		w, more := e.not(negated)
		v, why = v && w, append(why, more...)
	}
	return v, why
}

func (e *kexpr) not(negated bool) (bool, []string) {
	if e.peek() == "!" {
		e.next()
		v, why := e.not(!negated)
		return !v, why
	}
	return e.primary(negated)
}

// maxKexprDepth bounds the parentheses, for text that is no expression.
const maxKexprDepth = 100

func (e *kexpr) primary(negated bool) (bool, []string) {
	t := e.next()
	switch {
	case t == "(" && e.depth < maxKexprDepth:
		e.depth++
		v, why := e.or(negated)
		e.depth--
		if e.peek() == ")" {
			e.next()
		}
		return v, why
	case t == "" || t == "y" || t == "m":
		return true, nil
	case t == "n":
		return false, nil
	case t[0] == '"' || t[0] == '$':
		return true, nil
	}
	got := e.config.Value("CONFIG_" + t)
	if slices.Contains([]string{"=", "!=", "<", ">", "<=", ">="}, e.peek()) {
		op, want := e.next(), e.next()
		v := true
		switch op {
		case "=":
			v = got == want
		case "!=":
			v = got != want
		}
		if v != negated {
			return v, nil
		}
		return v, []string{t + " is " + got}
	}
	v := got != "n"
	if v != negated {
		return v, nil
	}
	return v, []string{t + " is " + got}
}
