// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"vcpulab/tools/ctoken"
	"vcpulab/tools/tomlfile"
)

// The tables that checks go by, in Subject.Tables.
const (
	rulesFile   = "rules.toml"
	retiredFile = "retired.toml"
)

func (s *Submission) table(name string) string { return filepath.Join(s.Tables, name) }

// ruleTable is rules.toml.
type ruleTable struct {
	// In are the directories and files in which fields are looked for, as
	// path.Match has them.
	In       []string       `toml:"in"`
	Fields   []*fieldRule   `toml:"field"`
	Walks    []*walkRule    `toml:"walk"`
	Orders   []*orderRule   `toml:"order"`
	Texts    []*textRule    `toml:"text"`
	Comments []*commentRule `toml:"comment"`
}

// fieldRule says how a field of a structure may be accessed, or a function called.
type fieldRule struct {
	Name string `toml:"name"`
	// Base matches the name before "->" or "."; nil is any. It tells fields of
	// one name apart.
	Base *regexp.Regexp `toml:"base"`
	// Writes: only assignments are looked at. Index: only what indexes an array
	// is. Call: it is a function, and calls are.
	Writes bool `toml:"writes"`
	Index  bool `toml:"index"`
	// Sets are what a tree has to have for the rule to be about it, sets and
	// rivals; none is every tree.
	Sets   []string     `toml:"sets"`
	Call   bool         `toml:"call"`
	Why    string       `toml:"why"`
	Access []accessRule `toml:"access"`
}

// accessRule is a form that accesses may have.
type accessRule struct {
	Form ctoken.Pattern `toml:"form"`
	// Only are the functions and macros in which it may be done; none is all.
	Only []string `toml:"only"`
}

func (a *accessRule) may(function string) bool {
	return len(a.Only) == 0 || slices.Contains(a.Only, function)
}

// walkRule is of a macro that walks, with a variable as its last argument but one:
// what is done at each step has to name it.
type walkRule struct {
	Name string `toml:"name"`
	Why  string `toml:"why"`
}

// orderRule says what a function has to do, in which order.
type orderRule struct {
	Function string   `toml:"function"`
	File     string   `toml:"file"`
	Why      string   `toml:"why"`
	Sets     []string `toml:"sets"` // as those of a field
	// Steps are what it does. Anything may stand between them.
	Steps []ctoken.Pattern `toml:"steps"`
	// Last: the function ends with the last step.
	Last bool      `toml:"last"`
	Gaps []gapRule `toml:"gap"`
}

// gapRule says what must not stand between two patterns.
type gapRule struct {
	After  ctoken.Pattern   `toml:"after"`
	Before ctoken.Pattern   `toml:"before"`
	Never  []ctoken.Pattern `toml:"never"`
}

// textRule is a pattern that has to stand in a file.
type textRule struct {
	File string         `toml:"file"`
	Form ctoken.Pattern `toml:"form"`
	Why  string         `toml:"why"`
	Sets []string       `toml:"sets"` // as those of a field
}

// commentRule is a comment that has to stand right before some code.
type commentRule struct {
	File string `toml:"file"`
	// Says are words of it, however its lines are broken.
	Says   string         `toml:"says"`
	Before ctoken.Pattern `toml:"before"`
	Why    string         `toml:"why"`
	Sets   []string       `toml:"sets"` // as those of a field
}

// of returns the rules that are about the tree of a submission.
func (t *ruleTable) of(s *Submission) *ruleTable {
	own := *t
	own.Fields = slices.DeleteFunc(slices.Clone(t.Fields), func(f *fieldRule) bool { return !s.has(f.Sets) })
	own.Orders = slices.DeleteFunc(slices.Clone(t.Orders), func(o *orderRule) bool { return !s.has(o.Sets) })
	own.Texts = slices.DeleteFunc(slices.Clone(t.Texts), func(x *textRule) bool { return !s.has(x.Sets) })
	own.Comments = slices.DeleteFunc(slices.Clone(t.Comments), func(c *commentRule) bool { return !s.has(c.Sets) })
	return &own
}

// loadRules reads the table of rules. Errors have the exit code for wrong use.
func loadRules(name string) (*ruleTable, error) {
	t := new(ruleTable)
	if err := tomlfile.Load(name, t); err != nil {
		return nil, err
	}
	var errs []error
	need := func(rule, key, text string) {
		if text == "" {
			errs = append(errs, fmt.Errorf("%s: it has no %s", rule, key))
		}
	}
	for _, f := range t.Fields {
		need("field "+f.Name, "why", f.Why)
		need("a field", "name", f.Name)
		for _, a := range f.Access {
			need("access to "+f.Name, "form", a.Form.String())
		}
	}
	for _, w := range t.Walks {
		need("a walk", "name", w.Name)
		need("walk "+w.Name, "why", w.Why)
	}
	for _, o := range t.Orders {
		rule := "order of " + o.Function
		need(rule, "why", o.Why)
		if len(o.Steps) == 0 {
			need(rule, "steps", "")
		}
		for _, g := range o.Gaps {
			need(rule, "after of a gap", g.After.String())
			need(rule, "before of a gap", g.Before.String())
		}
	}
	for _, x := range t.Texts {
		need("text of "+x.File, "form", x.Form.String())
		need("text "+x.Form.String(), "why", x.Why)
	}
	for _, c := range t.Comments {
		rule := "comment in " + c.File
		need(rule, "says", flat(c.Says))
		need(rule, "before", c.Before.String())
		need(rule, "why", c.Why)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, tomlfile.Invalid(name, err)
	}
	return t, nil
}
