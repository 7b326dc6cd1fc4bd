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

var rules = Check{
	Name: "rules",
	Own:  true,
	Explain: "The series' data structures are read and written by the primitives, in the functions and in the order that ci/verify/rules.toml lists, each with its reason. " +
		"A barrier that is missing, or a store that comes too early, is seen by no compiler and hardly ever by a test.",
	Whole: true,
	Tree:  true,
	Run: inTree(func(_ context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
		table, err := loadRules(s.table(rulesFile))
		if err != nil {
			return nil, err
		}
		if s.Seen == nil {
			s.Seen = new(sync.Map)
		}
		return table.of(s).check(src, log, s.Seen), nil
	}),
}

// check looks at all files that the table is about.
func (t *ruleTable) check(src *tree.Overlay, log io.Writer, seen *sync.Map) []Finding {
	var found []Finding
	files := scans{src, make(map[string]*scan)}
	matched := make(map[string]int) // accesses, by field
	for _, name := range src.Names(t.In, ".c", ".h", ".S") {
		found = append(found, t.fields(name, files.of(name), matched, seen)...)
	}
	for _, f := range t.Fields {
		fmt.Fprintf(log, "%s: %d accesses\n", f.Name, matched[f.Name])
		if matched[f.Name] == 0 {
			found = append(found, Finding{
				File: rulesFile, Message: "nothing accesses " + f.Name + " as the table knows it", Do: "take it out of the table, or mend its name and base",
			})
		}
	}
	for _, o := range t.Orders {
		f := files.of(o.File)
		list := once(seen, seenKey{t.id, o.id, o.File, f.sum}, func() []Finding { return o.check(f) })
		fmt.Fprintf(log, "%s() of %s: %d steps, %d findings\n", o.Function, o.File, len(o.Steps), len(list))
		found = append(found, list...)
	}
	for _, x := range t.Texts {
		f := files.of(x.File)
		list := once(seen, seenKey{t.id, x.id, x.File, f.sum}, func() []Finding { return x.check(f) })
		fmt.Fprintf(log, "%s: %s: %d findings\n", x.File, x.Form, len(list))
		found = append(found, list...)
	}
	return found
}

// seenKey is what a rule finds in a file depends on: the table, the rule in it, and
// the file's name and content.
type seenKey struct {
	table, rule, name string
	sum               [sha256.Size]byte
}

// once returns what seen has, or what is found, and keeps that.
func once[T any](seen *sync.Map, key seenKey, find func() T) T {
	if known, ok := seen.Load(key); ok {
		return known.(T)
	}
	found := find()
	seen.Store(key, found)
	return found
}

// scans are the files of a tree, each of which is read once.
type scans struct {
	src   *tree.Overlay
	files map[string]*scan
}

func (s scans) of(name string) *scan {
	if s.files[name] == nil {
		data := s.src.Read(name)
		s.files[name] = &scan{data: data, sum: sha256.Sum256(data)}
	}
	return s.files[name]
}

// scan is a file and, when they were needed, its tokens.
type scan struct {
	data   []byte
	sum    [sha256.Size]byte
	tokens *ctoken.File
}

func (s *scan) scan() *ctoken.File {
	if s.tokens == nil {
		s.tokens = ctoken.Scan(s.data)
	}
	return s.tokens
}

// accesses are those to a field in a file.
type accesses struct {
	matched int
	found   []Finding
}

// fields looks at the accesses and the walks in a file, and counts accesses by field.
// The file's tokens are not kept: there are many files, and hardly any is looked at
// again.
func (t *ruleTable) fields(name string, file *scan, matched map[string]int, seen *sync.Map) (found []Finding) {
	own := &scan{data: file.data}
	for i := range t.Fields {
		f := &t.Fields[i]
		in := once(seen, seenKey{t.id, f.id, name, file.sum}, func() (in accesses) {
			if bytes.Contains(own.data, []byte(f.Name)) {
				in.matched, in.found = f.check(name, own.data, own.scan().Tokens)
			}
			return in
		})
		matched[f.Name] += in.matched
		found = append(found, in.found...)
	}
	for _, w := range t.Walks {
		found = append(found, once(seen, seenKey{t.id, w.id, name, file.sum}, func() []Finding {
			if !bytes.Contains(own.data, []byte(w.Name)) {
				return nil
			}
			return w.check(name, own.data, own.scan().Tokens)
		})...)
	}
	return found
}

// writers are the punctuators that write what stands before them.
var writers = []string{"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"}

// check looks at all accesses to the field in a file, and returns how many
// there are.
func (f *fieldRule) check(name string, data []byte, tokens []ctoken.Token) (accesses int, found []Finding) {
	for i := 2; i < len(tokens); i++ {
		if tokens[i].Text != f.Name || !f.accessed(tokens, i) {
			continue
		}
		accesses++
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
			File: name, Line: tokens[i].Line, Function: fn, Found: statement(data, tokens, i), Why: f.Why,
			Message: f.Name + " is accessed in a way that it must not be", Expected: strings.Join(allowed, "\n"),
		}
		if len(elsewhere) > 0 {
			finding.Message = "this access to " + f.Name + " belongs in " + strings.Join(elsewhere, "(), ") + "() only"
		}
		if finding.Expected == "" {
			finding.Expected = "no access to " + f.Name + " here"
		}
		found = append(found, finding)
	}
	return accesses, found
}

// accessed says whether token i is an access to the field.
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
func covers(p form, tokens []ctoken.Token, i int) bool {
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
	return strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
}

// check looks whether each walk in a file does something with what it visits. A
// macro that passes the walk on to its own caller has no body.
func (w *walkRule) check(name string, data []byte, tokens []ctoken.Token) (found []Finding) {
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
				File: name, Line: tokens[i].Line, Function: tokens[i].Func, Message: "the walk does nothing with what it visits",
				Expected: "a body that names " + visited, Found: statement(data, body, 0), Why: w.Why,
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
func (o *orderRule) check(file *scan) []Finding {
	data := file.data
	body := file.scan().Function(o.Function)
	if len(body) == 0 {
		return []Finding{{
			File: o.File, Message: "there is no function " + o.Function + "(), which " + rulesFile + " is about", Do: "mend the function's name in the table",
		}}
	}
	var found []Finding
	add := func(at int, message, expected string) {
		found = append(found, Finding{
			File: o.File, Line: body[at].Line, Function: o.Function, Message: message, Expected: expected, Found: statement(data, body, at), Why: o.Why,
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
		if !first || !tells(p) {
			continue
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

// tells says whether it means something how often a step is done: to return,
// or to end a block, does not.
func tells(p form) bool {
	first := p.First()
	return first != "return" && first != "}"
}

// check looks whether the form stands in the file.
func (x *textRule) check(file *scan) []Finding {
	if at, _ := x.Form.Find(file.scan().Tokens, 0); at >= 0 {
		return nil
	}
	return []Finding{{File: x.File, Message: "something is missing", Expected: x.Form.String(), Found: "nothing like it in the file", Why: x.Why}}
}
