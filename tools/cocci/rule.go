// SPDX-License-Identifier: GPL-2.0-only

// Package cocci makes patches of a series from semantic patches.
//
// A mechanical change of a hundred files is best reviewed as the rule that
// made it. Such a rule is a file *.cocci, in Coccinelle's language, beside the
// series. Its leading comment names the patch that it generates, where it is
// run and what it is to replace:
//
//	// Generates: KVM: Drop the index from users of kvm_for_each_vcpu()
//	// Paths: virt/kvm arch/*/kvm
//	// Places: \bkvm_for_each_vcpu\([^,()]*,[^,()]*,
//	// Options: --no-includes
//
// Generates is the subject of the patch, so that the series can be reordered.
// Paths are directories and files, with wildcards. Places is a regular
// expression for the C code, without comments and strings, that the rule
// changes. spatch is run on the files that match, and a match that remains is
// left over: Coccinelle silently skips functions that it cannot parse, so
// nothing else proves that it has seen them all. Options are spatch's.
package cocci

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
)

// Ext is how the names of semantic patches end.
const Ext = ".cocci"

// Rule is a semantic patch and what its leading comment says.
type Rule struct {
	Name    string         // of the file
	File    string         // its path
	Subject string         // of the generated patch, without its prefix
	Paths   []string       // patterns of path.Match for directories and files of the kernel tree
	Places  *regexp.Regexp // what the rule is to change
	Options []string       // for spatch
	Text    []byte         // the whole file
}

// wrong returns the error for a semantic patch that is wrong, which is wrong use.
func wrong(where string, err error) error {
	return exit.With(exit.Usage, fmt.Errorf("semantic patch %s: %w", where, err))
}

// Load reads the semantic patches in dir, in the order of their names. There
// may be none. Errors stand for exit.Usage.
func Load(dir string) ([]*Rule, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, wrong(dir, err)
	}
	var rules []*Rule
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != Ext || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, wrong(file, err)
		}
		r, err := Parse(file, text)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(rules, func(o *Rule) bool { return o.Subject == r.Subject }); i >= 0 {
			return nil, wrong(file, fmt.Errorf("generates the patch %q, and so does %s", r.Subject, rules[i].Name))
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// field is a line of the leading comment that has a meaning.
var field = regexp.MustCompile(`^//[ \t]*(Generates|Paths|Places|Options):[ \t]*(.*?)[ \t]*$`)

// Parse reads a semantic patch from the content of a file. Errors stand for
// exit.Usage.
func Parse(file string, text []byte) (*Rule, error) {
	r := &Rule{Name: filepath.Base(file), File: file, Text: text}
	lines := make(map[string]int) // of the fields, 1-based
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line != "" && !strings.HasPrefix(line, "//") {
			break // the first rule
		}
		m := field.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name, value := m[1], m[2]
		var err error
		switch {
		case lines[name] > 0:
			err = fmt.Errorf("duplicate %s, see line %d", name, lines[name])
		case value == "":
			err = fmt.Errorf("%s is empty", name)
		default:
			err = r.set(name, value)
		}
		if err != nil {
			return nil, wrong(fmt.Sprintf("%s:%d", file, n), err)
		}
		lines[name] = n
	}

	for _, name := range []string{"Generates", "Paths", "Places"} {
		if lines[name] == 0 {
			return nil, wrong(file, fmt.Errorf("its leading comment has no line %q", "// "+name+": ..."))
		}
	}
	return r, nil
}

func (r *Rule) set(name, value string) (err error) {
	switch name {
	case "Generates":
		r.Subject = value
	case "Paths":
		r.Paths = strings.Fields(value)
		for _, p := range r.Paths {
			if _, err := path.Match(p, ""); err != nil {
				return fmt.Errorf("%s: %q: %w", name, p, err)
			}
			if !fs.ValidPath(p) {
				return fmt.Errorf("%s: %q is not a path in a kernel tree", name, p)
			}
		}
	case "Places":
		if r.Places, err = regexp.Compile(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if r.Places.MatchString("") {
			return fmt.Errorf("%s: %q also matches the empty string", name, value)
		}
	case "Options":
		r.Options = strings.Fields(value)
	}
	return nil
}

// Patch returns the patch of the series that the rule generates. That there is
// not exactly one stands for exit.Usage.
func (r *Rule) Patch(s *series.Series) (*series.Patch, error) {
	var found []*series.Patch
	for _, p := range s.Patches {
		if p.Subject == r.Subject {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return nil, wrong(r.File, fmt.Errorf(
			"generates %q: no patch of the series in %s has that subject; correct the line \"// Generates:\", or add the patch", r.Subject, s.Dir))
	case 1:
		return found[0], nil
	}
	return nil, wrong(r.File, fmt.Errorf("generates the patch %q, which is both %s and %s", r.Subject, found[0].Name, found[1].Name))
}

// Means tells whether a name means the rule in a series: the name of its file or of
// its patch's file, or the patch's place there, see [series.Series.Last].
func (r *Rule) Means(s *series.Series, name string) bool {
	base := filepath.Base(name)
	if base == r.Name || base+Ext == r.Name {
		return true
	}
	p, err := r.Patch(s)
	if err != nil {
		return false
	}
	n, err := s.Last(name)
	return base == path.Base(p.Name) || err == nil && n == p.Number
}
