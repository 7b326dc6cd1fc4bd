// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"vcpulab/tools/ctoken"
	"vcpulab/tools/tree"
)

var rules = inTree(func(_ context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
	name := s.table(rulesFile)
	table, err := once(s.Seen, name, func() (*ruleTable, error) { return loadRules(name) })
	if err != nil {
		return nil, err
	}
	return table.of(s).check(src, log, s.Seen), nil
})

func (t *ruleTable) check(src *tree.Overlay, log io.Writer, seen *sync.Map) []Finding {
	var found []Finding
	matched := make(map[string]int) // accesses, by field
	for _, name := range src.Names(t.In, ".c", ".h", ".S") {
		file := readSource(src, name) // not kept: there are many, and hardly any is looked at again
		for _, f := range t.Fields {
			in := foundBy(f, file, seen, f.check)
			matched[f.Name] += in.matched
			found = append(found, in.found...)
		}
		for _, w := range t.Walks {
			found = append(found, foundBy(w, file, seen, w.check)...)
		}
	}
	for _, f := range t.Fields {
		fmt.Fprintf(log, "%s: %d accesses\n", f.Name, matched[f.Name])
		if matched[f.Name] == 0 {
			found = append(found, Finding{
				File: rulesFile, Message: "nothing accesses " + f.Name + " as the table knows it", Do: "take it out of the table, or mend its name and base",
			})
		}
	}

	files := make(map[string]*source)
	read := func(name string) *source {
		if files[name] == nil {
			files[name] = readSource(src, name)
		}
		return files[name]
	}
	for _, o := range t.Orders {
		list := foundBy(o, read(o.File), seen, o.check)
		fmt.Fprintf(log, "%s() of %s: %d steps, %d findings\n", o.Function, o.File, len(o.Steps), len(list))
		found = append(found, list...)
	}
	for _, x := range t.Texts {
		list := foundBy(x, read(x.File), seen, x.check)
		fmt.Fprintf(log, "%s: %s: %d findings\n", x.File, x.Form, len(list))
		found = append(found, list...)
	}
	for _, c := range t.Comments {
		list := foundBy(c, read(c.File), seen, c.check)
		fmt.Fprintf(log, "%s: %q: %d findings\n", c.File, c.Says, len(list))
		found = append(found, list...)
	}
	return found
}

type source struct {
	name string
	data []byte
	sum  [sha256.Size]byte
	scan func() *ctoken.File // takes long, so that it is done when it is needed, and once
}

func readSource(src *tree.Overlay, name string) *source {
	data := src.Read(name)
	return &source{name, data, sha256.Sum256(data), sync.OnceValue(func() *ctoken.File { return ctoken.Scan(data) })}
}

// seenKey is what a rule finds in a file depends on: the rule, and the file's name and
// content.
type seenKey struct {
	rule any // a pointer
	name string
	sum  [sha256.Size]byte
}

// foundBy returns what a rule finds in a file, as seen has it or check returns it.
func foundBy[T any](rule any, file *source, seen *sync.Map, check func(*source) T) T {
	found, _ := once(seen, seenKey{rule, file.name, file.sum}, func() (T, error) { return check(file), nil })
	return found
}

// accesses are those to a field in a file.
type accesses struct {
	matched int
	found   []Finding
}

// writers are the punctuators that write what stands before them.
var writers = []string{"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"}

func (f *fieldRule) check(file *source) (in accesses) {
	if !bytes.Contains(file.data, []byte(f.Name)) {
		return in
	}
	tokens := file.scan().Tokens
	for i := 2; i < len(tokens); i++ {
		if tokens[i].Text != f.Name || !f.accessed(tokens, i) {
			continue
		}
		in.matched++
		fn := tokens[i].Func
		var allowed []string
		var elsewhere []string // functions in which it may be done as it is done
		ok := false
		for _, a := range f.Access {
			if a.may(fn) {
				allowed = append(allowed, a.Form.String())
			}
			if covers(a.Form, tokens, i) {
				ok = ok || a.may(fn)
				elsewhere = append(elsewhere, a.Only...)
			}
		}
		if ok {
			continue
		}
		finding := Finding{
			File: file.name, Line: tokens[i].Line, Function: fn, Found: statement(file.data, tokens, i), Why: f.Why,
			Message: f.Name + " is accessed in a way that it must not be", Expected: strings.Join(allowed, "\n"),
		}
		if len(elsewhere) > 0 {
			finding.Message = "this access to " + f.Name + " belongs in " + strings.Join(elsewhere, "(), ") + "() only"
		}
		if finding.Expected == "" {
			finding.Expected = "no access to " + f.Name + " here"
		}
		in.found = append(in.found, finding)
	}
	return in
}

func (f *fieldRule) accessed(tokens []ctoken.Token, i int) bool {
	if f.Call {
		return tokens[i].Func != "" && i+1 < len(tokens) && tokens[i+1].Text == "("
	}
	if op := tokens[i-1].Text; op != "->" && op != "." {
		return false
	}
	at := i - 2
	for at > 0 && (tokens[at].Text == ")" || tokens[at].Text == "]") {
		if tokens[at].Text == "]" {
			for at > 0 && tokens[at].Text != "[" {
				at--
			}
		}
		at--
	}
	if f.Base != nil && !f.Base.MatchString(tokens[at].Text) {
		return false
	}
	next := ""
	if i+1 < len(tokens) {
		next = tokens[i+1].Text
	}
	return (!f.Writes || slices.Contains(writers, next)) && (!f.Index || next == "]")
}

// reach is how many tokens before an access its form may begin.
const reach = 80

// covers says whether a pattern matches some tokens of which token i is one.
func covers(p ctoken.Pattern, tokens []ctoken.Token, i int) bool {
	for at := i; at >= 0 && at > i-reach; at-- {
		if n := p.Match(tokens[at:]); at+n > i {
			return true
		}
	}
	return false
}

// statement returns the lines of the statement that token i is in, as one.
func statement(data []byte, tokens []ctoken.Token, i int) string {
	ends := []string{";", "{", "}"}
	from, to := i, i
	for from > 0 && i-from < 30 && !slices.Contains(ends, tokens[from-1].Text) {
		from--
	}
	for to < len(tokens)-1 && to-i < 30 && !slices.Contains(ends, tokens[to].Text) {
		to++
	}
	lines := strings.Split(string(data), "\n")[tokens[from].Line-1 : tokens[to].Line]
	return flat(strings.Join(lines, " "))
}

// check looks whether each walk in a file does something with what it visits. A
// macro that passes the walk on to its own caller has no body.
func (w *walkRule) check(file *source) (found []Finding) {
	if !bytes.Contains(file.data, []byte(w.Name)) {
		return nil
	}
	tokens := file.scan().Tokens
	for i := 1; i+1 < len(tokens); i++ {
		if tokens[i].Text != w.Name || tokens[i+1].Text != "(" || tokens[i].Func == "" || tokens[i].Func == w.Name {
			continue
		}
		args, body := arguments(tokens[i+1:])
		if len(args) < 2 || len(args[len(args)-2]) != 1 || len(body) == 0 {
			continue
		}
		visited := args[len(args)-2][0].Text
		if !slices.ContainsFunc(body, func(t ctoken.Token) bool { return t.Text == visited }) {
			found = append(found, Finding{
				File: file.name, Line: tokens[i].Line, Function: tokens[i].Func, Message: "the walk does nothing with what it visits",
				Expected: "a body that names " + visited, Found: statement(file.data, body, 0), Why: w.Why,
			})
		}
	}
	return found
}

// arguments returns those of a macro, whose parenthesis comes first, and the
// statement that stands after it, up to its semicolon or its closing brace.
func arguments(tokens []ctoken.Token) (args [][]ctoken.Token, statement []ctoken.Token) {
	depth, begin := 0, 0 // of brackets that are open; where an argument, or the statement, begins
	for i, t := range tokens {
		switch t.Text {
		case "(", "[", "{":
			if depth++; depth == 1 && len(args) == 0 {
				begin = i + 1
			}
		case ")", "]", "}":
			depth--
		}
		inside := depth == 1 && begin > 0
		switch {
		case statement == nil && (inside && t.Text == "," || depth == 0 && t.Text == ")"):
			args = append(args, tokens[begin:i])
			begin = i + 1
			if depth == 0 {
				statement = tokens[begin:begin:len(tokens)]
			}
		case statement != nil && depth <= 0 && (t.Text == ";" || t.Text == "}"):
			return args, tokens[begin : i+1]
		}
	}
	return args, nil
}

// check looks whether the steps stand in the function, in their order.
func (o *orderRule) check(file *source) []Finding {
	body := file.scan().Function(o.Function)
	if len(body) == 0 {
		return []Finding{{
			File: o.File, Message: "there is no function " + o.Function + "(), which " + rulesFile + " is about", Do: "mend the function's name in the table",
		}}
	}
	var found []Finding
	add := func(at int, message, expected string) {
		found = append(found, Finding{
			File: o.File, Line: body[at].Line, Function: o.Function, Message: message, Expected: expected, Found: statement(file.data, body, at), Why: o.Why,
		})
	}
	at, listed := 0, make(map[string]int) // where the last step ends, and how often each is in the table
	complete := false
	for i, p := range o.Steps {
		listed[p.String()]++
		pos, n := p.Find(body, at)
		complete = pos >= 0
		if complete {
			at = pos + n
			continue
		}
		expected := p.String()
		if i > 0 {
			expected += ", after " + o.Steps[i-1].String()
		}
		if early, _ := p.Find(body, 0); early >= 0 {
			add(early, "this comes too early", expected)
			continue
		}
		add(min(at, len(body)-1), "a step is missing", expected)
		found[len(found)-1].Found = "nothing like it in the function"
	}
	for _, p := range o.Steps {
		left, first := listed[p.String()]
		delete(listed, p.String())
		if !first || p.First() == "return" || p.First() == "}" {
			continue // it means nothing how often a function returns, or a block ends
		}
		for pos, n := p.Find(body, 0); pos >= 0; pos, n = p.Find(body, pos+n) {
			if left--; left < 0 {
				add(pos, "this is done once more", p.String()+" as often as the table has it")
			}
		}
	}
	if o.Last && complete {
		if at < len(body) && body[at].Text == ";" {
			at++
		}
		if at < len(body) {
			add(at, "something comes after the last step", o.Steps[len(o.Steps)-1].String()+" as the end of the function")
		}
	}
	for _, g := range o.Gaps {
		from, n := g.After.Find(body, 0)
		if from < 0 {
			continue // a step that is missing is a finding of its own
		}
		to, _ := g.Before.Find(body, from+n)
		if to < 0 {
			continue
		}
		for _, p := range g.Never {
			if bad, _ := p.Find(body[:to], from+n); bad >= 0 {
				add(bad, "this must not come here", fmt.Sprintf("no %s between %s and %s", p, g.After, g.Before))
			}
		}
	}
	return found
}

func (x *textRule) check(file *source) []Finding {
	if at, _ := x.Form.Find(file.scan().Tokens, 0); at >= 0 {
		return nil
	}
	return []Finding{{File: x.File, Message: "something is missing", Expected: x.Form.String(), Found: "nothing like it in the file", Why: x.Why}}
}

// flat returns text with a blank for each stretch of white space.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// check looks for a comment that has the words, and for the code after it.
func (c *commentRule) check(file *source) []Finding {
	says, src := flat(c.Says), file.scan()
	missing := Finding{
		File: c.File, Message: "a comment is missing", Expected: fmt.Sprintf("%q, right before %s", says, c.Before), Found: "nothing like it in the file", Why: c.Why,
	}
	for _, k := range src.Comments {
		if !strings.Contains(flat(k.Text), says) {
			continue
		}
		if c.Before.Match(src.Tokens[k.Next:]) > 0 {
			return nil
		}
		missing.Line, missing.Function, missing.Message, missing.Found = k.Line, k.Func, "this comment is not where it belongs", "the end of the file after it"
		if k.Next < len(src.Tokens) {
			missing.Found = statement(file.data, src.Tokens, k.Next)
		}
	}
	return []Finding{missing}
}
