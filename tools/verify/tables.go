// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/ctoken"
	"vcpulab/tools/exit"
)

// The tables that checks go by, in Subject.Tables.
const (
	rulesFile   = "rules.toml"
	retiredFile = "retired.toml"
)

// table returns the path of a table.
func (s *Submission) table(name string) string { return filepath.Join(s.Tables, name) }

// readTable reads a TOML file, in which each key has to be known.
func readTable(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("read the table of a check: %w", err))
	}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		text := err.Error()
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
			text = strict.String()
		} else if syntax, ok := errors.AsType[*toml.DecodeError](err); ok {
			text = syntax.String()
		}
		return exit.With(exit.Usage, fmt.Errorf("read the table %s: %s", name, text))
	}
	return nil
}

// ruleTable is rules.toml.
type ruleTable struct {
	// In are the directories and files in which fields are looked for, as
	// path.Match has them.
	In     []string    `toml:"in"`
	Fields []fieldRule `toml:"field"`
	Orders []orderRule `toml:"order"`
	Texts  []textRule  `toml:"text"`
}

// fieldRule says how a field of a structure may be accessed.
type fieldRule struct {
	Name string `toml:"name"`
	// Base is a regular expression for the name before "->" or "."; empty is
	// any. It tells fields of one name apart.
	Base string `toml:"base"`
	// Writes: only assignments are looked at.
	Writes bool         `toml:"writes"`
	Why    string       `toml:"why"`
	Access []accessRule `toml:"access"`

	base *regexp.Regexp
}

// accessRule is a form that accesses may have.
type accessRule struct {
	// Form is a ctoken.Pattern.
	Form string `toml:"form"`
	// Only are the functions and macros in which it may be done; none is all.
	Only []string `toml:"only"`

	pattern ctoken.Pattern
}

func (a *accessRule) may(function string) bool {
	return len(a.Only) == 0 || slices.Contains(a.Only, function)
}

// orderRule says what a function has to do, in which order.
type orderRule struct {
	Function string `toml:"function"`
	File     string `toml:"file"`
	Why      string `toml:"why"`
	// Steps are patterns. Anything may stand between them.
	Steps []string `toml:"steps"`
	// Last: the function ends with the last step.
	Last bool      `toml:"last"`
	Gaps []gapRule `toml:"gap"`

	steps []ctoken.Pattern
}

// gapRule says what must not stand between two patterns.
type gapRule struct {
	After  string   `toml:"after"`
	Before string   `toml:"before"`
	Never  []string `toml:"never"`

	after, before ctoken.Pattern
	never         []ctoken.Pattern
}

// textRule is a pattern that has to stand in a file.
type textRule struct {
	File string `toml:"file"`
	Form string `toml:"form"`
	Why  string `toml:"why"`

	pattern ctoken.Pattern
}

// loadRules reads the table of rules. Errors have the exit code for wrong use.
func loadRules(name string) (*ruleTable, error) {
	t := new(ruleTable)
	if err := readTable(name, t); err != nil {
		return nil, err
	}
	if err := t.parse(); err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("read the table %s: %w", name, err))
	}
	return t, nil
}

// parse reads the patterns.
func (t *ruleTable) parse() error {
	var errs []error
	pattern := func(text string) ctoken.Pattern {
		p, err := ctoken.ParsePattern(text)
		errs = append(errs, err)
		return p
	}
	why := func(what, text string) {
		if text == "" {
			errs = append(errs, fmt.Errorf("%s: it does not say why", what))
		}
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		why("field "+f.Name, f.Why)
		if f.Base != "" {
			var err error
			f.base, err = regexp.Compile(f.Base)
			errs = append(errs, err)
		}
		for j := range f.Access {
			f.Access[j].pattern = pattern(f.Access[j].Form)
		}
	}
	for i := range t.Orders {
		o := &t.Orders[i]
		why("order of "+o.Function, o.Why)
		if len(o.Steps) == 0 {
			errs = append(errs, fmt.Errorf("order of %s: it has no steps", o.Function))
		}
		for _, step := range o.Steps {
			o.steps = append(o.steps, pattern(step))
		}
		for j := range o.Gaps {
			g := &o.Gaps[j]
			g.after, g.before = pattern(g.After), pattern(g.Before)
			for _, never := range g.Never {
				g.never = append(g.never, pattern(never))
			}
		}
	}
	for i := range t.Texts {
		why("text "+t.Texts[i].Form, t.Texts[i].Why)
		t.Texts[i].pattern = pattern(t.Texts[i].Form)
	}
	return errors.Join(errs...)
}
