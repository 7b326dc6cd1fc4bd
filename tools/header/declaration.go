// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"regexp"
	"slices"
	"strings"
)

// notNames are words of C that are no names, statements those that begin what is no
// declaration.
var (
	notNames   = strings.Fields("bool char const double enum extern float inline int long return short signed sizeof static struct typeof __typeof__ union unsigned void volatile")
	statements = strings.Fields("asm break case default do else for goto if return switch while")
)

func isWord(token string) bool {
	c := token[0]
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isRecord tells whether a declaration begins as that of a structure with its
// members, and of nothing else.
func isRecord(tokens []string) bool {
	if len(tokens) < 3 || tokens[0] != "struct" && tokens[0] != "union" && tokens[0] != "enum" {
		return false
	}
	return tokens[1] == "{" || isWord(tokens[1]) && tokens[2] == "{"
}

// isFunction tells whether the first brace of a declaration begins a function's body.
func isFunction(tokens []string) bool {
	brace := slices.Index(tokens, "{")
	return brace > 0 && slices.Contains(tokens[:brace], "(") && !slices.Contains(tokens[:brace], "=") && !isRecord(tokens)
}

// classify says what a declaration is, and which names it declares. What does not have
// the plain form of one is something else.
func classify(tokens []string) (kind, []string) {
	if !isWord(tokens[0]) || slices.Contains(statements, tokens[0]) {
		return other, nil
	}
	if isRecord(tokens) {
		return classifyRecord(tokens)
	}
	// A static function that is not inline, and not used, is complained of.
	isStatic := slices.Contains(tokens, "static")
	if isFunction(tokens) {
		head := tokens[:slices.Index(tokens, "{")]
		isInline := slices.ContainsFunc(head, func(t string) bool { return strings.Contains(t, "inline") })
		if names := called(head); names != nil && isStatic && isInline {
			return function, names
		}
		return other, nil
	}
	if isStatic || tokens[len(tokens)-1] != ";" || slices.ContainsFunc(tokens, func(t string) bool { return t == "{" || t == "=" || t == "typedef" }) {
		return other, nil
	}
	var names []string
	switch {
	case slices.Contains(tokens, "("):
		names = called(tokens)
	case tokens[0] == "extern" || len(tokens) == 3: // "struct name ;"
		names = declared(tokens)
	}
	if names == nil {
		return other, nil
	}
	return prototype, names
}

// typeName matches what is taken for a type or a mark, not for a name.
var typeName = regexp.MustCompile(`^(?:__\w+|\w+_t|[us](?:8|16|32|64))$`)

// called returns the name of a function in its head or prototype, and the words before
// other parentheses that are marks, such as __printf; nil if it has another form.
func called(head []string) []string {
	var names []string
	plain, depth := 0, 0
	for i, t := range head {
		switch t {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 && (t == "[" || t == ",") || t[0] == '#' {
			return nil // a variable, several, or a condition in the middle
		}
		if depth == 0 && plain > 0 && isWord(t) && !strings.HasPrefix(t, "__") {
			return nil
		}
		if depth != 1 || t != "(" {
			continue
		}
		if i < 2 || i+1 < len(head) && head[i+1] == "*" {
			return nil
		}
		name, before := head[i-1], head[i-2]
		if !isWord(name) || slices.Contains(notNames, name) || slices.Contains(statements, name) || before == "extern" {
			return nil
		}
		names = append(names, name)
		if strings.HasPrefix(name, "__") {
			if strings.HasPrefix(before, "__") {
				return nil
			}
			// It may be a mark, before the name or behind a variable's.
			if isWord(before) && !slices.Contains(notNames, before) && !typeName.MatchString(before) {
				names = append(names, before)
			}
			continue
		}
		// DECLARE_MACRO(name) declares what only the macro knows.
		if plain++; plain > 1 || name == strings.ToUpper(name) || before == "static" {
			return nil
		}
	}
	if plain == 0 && len(names) > 1 {
		return nil
	}
	return names
}

// declared returns the name of a variable or a member, nil if that is not plain. Of
// words at its end that begin with __ any may be the name: all are returned.
func declared(tokens []string) []string {
	end := slices.IndexFunc(tokens, func(t string) bool { return t == "[" || t == ":" || t == ";" })
	if end < 2 || slices.Contains(tokens, ",") || slices.ContainsFunc(tokens[:end], func(t string) bool { return !isWord(t) && t != "*" }) {
		return nil
	}
	first := end - 1
	for first > 1 && strings.HasPrefix(tokens[first], "__") && isWord(tokens[first-1]) && !slices.Contains(notNames, tokens[first-1]) {
		first--
	}
	if !isWord(tokens[end-1]) || slices.Contains(notNames, tokens[end-1]) {
		return nil
	}
	return tokens[first:end]
}

func classifyRecord(tokens []string) (kind, []string) {
	inside, tail := body(tokens)
	if slices.ContainsFunc(tail, func(t string) bool { return isWord(t) && !strings.HasPrefix(t, "__") }) {
		return other, nil // it declares a variable, too
	}
	var names []string
	if tokens[1] != "{" {
		names = tokens[1:2:2]
	}
	if tokens[0] == "enum" {
		// Macros may make enumerators of any word.
		ofLine := false
		for _, t := range inside {
			ofLine = t[0] == '#' || ofLine && t != ";"
			if isWord(t) && !ofLine {
				names = append(names, t)
			}
		}
	}
	if names == nil {
		return other, nil
	}
	return record, names
}

// body returns what is between the outermost braces, and what follows.
func body(tokens []string) (inside, tail []string) {
	first := slices.Index(tokens, "{")
	depth := 0
	for i, t := range tokens {
		switch t {
		case "{":
			depth++
		case "}":
			if depth--; depth == 0 {
				return tokens[first+1 : i], tokens[i+1:]
			}
		}
	}
	return tokens[first+1:], nil
}

// member is a member of a structure.
type member struct {
	words []string
	under []string // words of the conditions that it is under, within the structure
}

func (m member) String() string {
	return strings.Join(m.under, " ") + "\n" + strings.Join(m.words, " ")
}

// members splits the body of a structure. A member with braces of its own is one.
func members(tokens []string) []member {
	inside, _ := body(tokens)
	var list []member
	var open [][]string
	depth, start := 0, 0
	for i, t := range inside {
		switch t {
		case "{":
			depth++
		case "}":
			depth--
		}
		if i < len(inside)-1 && (depth > 0 || t != ";") {
			continue
		}
		words := inside[start : i+1]
		start = i + 1
		last := max(len(open)-1, 0)
		switch words[0] {
		case "#if", "#ifdef", "#ifndef":
			open = append(open, words)
		case "#elif", "#else":
			open = append(open[:last:last], slices.Concat(slices.Concat(open[last:]...), words))
		case "#endif":
			open = open[:last]
		default:
			list = append(list, member{words, slices.Concat(open...)})
		}
	}
	return list
}

// allMembers returns the members of a structure, and those of structures within it, each
// of which is also one without its braces.
func allMembers(tokens []string) []member {
	var list []member
	for _, m := range members(tokens) {
		brace := slices.Index(m.words, "{")
		if brace < 0 || m.words[0] == "enum" {
			list = append(list, m)
			continue
		}
		for _, inner := range allMembers(m.words) {
			list = append(list, member{inner.words, slices.Concat(m.under, inner.under)})
		}
		_, tail := body(m.words)
		list = append(list, member{slices.Concat(m.words[:brace], tail), m.under})
	}
	return list
}

// nested returns the words of a member that has braces of its own: tags, enumerators and
// members are among them.
func nested(words []string) []string {
	if !slices.Contains(words, "{") {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !isWord(w) || slices.Contains(notNames, w) || typeName.MatchString(w) })
}
