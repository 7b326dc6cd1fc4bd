// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"errors"
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

// maxRule is the size of a semantic patch, in bytes, above which it is taken
// for something else.
const maxRule = 1 << 20

// Rule is a semantic patch with what its leading comment says.
type Rule struct {
	// Name is the name of the file, File its path.
	Name string
	File string
	// Subject is that of the patch that it generates, without its prefix.
	Subject string
	// Paths are patterns, as path.Match has them, for folders and files of
	// the kernel tree.
	Paths []string
	// Places finds what the rule is to change.
	Places *regexp.Regexp
	// Options are for spatch.
	Options []string
	// Text is the whole file.
	Text []byte
}

// RuleError says what is wrong with a semantic patch.
type RuleError struct {
	File string
	Line int // 1-based; 0 if it is about the whole
	Err  error
}

func (e *RuleError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("semantic patch %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("semantic patch %s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *RuleError) Unwrap() error { return e.Err }

// ExitCode makes it wrong use.
func (e *RuleError) ExitCode() int { return exit.Usage }

// Load reads the semantic patches in dir, in the order of their names. There
// may be none. Errors are *RuleError.
func Load(dir string) ([]*Rule, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &RuleError{File: dir, Err: err}
	}
	var rules []*Rule
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != Ext || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(dir, e.Name())
		if info, err := e.Info(); err == nil && info.Size() > maxRule {
			return nil, &RuleError{File: file, Err: fmt.Errorf("has %d bytes, more than %d", info.Size(), maxRule)}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, &RuleError{File: file, Err: err}
		}
		r, err := Parse(file, text)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(rules, func(o *Rule) bool { return o.Subject == r.Subject }); i >= 0 {
			return nil, &RuleError{File: file, Err: fmt.Errorf("generates the patch %q, and so does %s", r.Subject, rules[i].Name)}
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// field is a line of the leading comment that means something.
var field = regexp.MustCompile(`^//[ \t]*(Generates|Paths|Places|Options):[ \t]*(.*?)[ \t]*$`)

// Parse reads a semantic patch from the content of a file. Errors are
// *RuleError.
func Parse(file string, text []byte) (*Rule, error) {
	r := &Rule{Name: filepath.Base(file), File: file, Text: text}
	lines := make(map[string]int) // where a field stands
	n := 0
	for line := range bytes.Lines(text) {
		n++
		fail := func(format string, args ...any) (*Rule, error) {
			return nil, &RuleError{File: file, Line: n, Err: fmt.Errorf(format, args...)}
		}
		trimmed := strings.TrimRight(string(line), "\r\n")
		if trimmed != "" && !strings.HasPrefix(trimmed, "//") {
			break // the first rule
		}
		m := field.FindStringSubmatch(trimmed)
		if m == nil {
			continue
		}
		name, value := m[1], m[2]
		if lines[name] > 0 {
			return fail("%s stands in line %d already", name, lines[name])
		}
		lines[name] = n
		if value == "" {
			return fail("%s says nothing", name)
		}
		switch name {
		case "Generates":
			r.Subject = value
		case "Paths":
			r.Paths = strings.Fields(value)
			for _, p := range r.Paths {
				if err := checkPattern(p); err != nil {
					return fail("Paths: %w", err)
				}
			}
		case "Places":
			re, err := regexp.Compile(value)
			if err != nil {
				return fail("Places: %w", err)
			}
			if re.MatchString("") {
				return fail("Places: %q matches nothing at all, too", value)
			}
			r.Places = re
		case "Options":
			r.Options = strings.Fields(value)
		}
	}
	for _, name := range []string{"Generates", "Paths", "Places"} {
		if lines[name] == 0 {
			return nil, &RuleError{File: file, Err: fmt.Errorf("its leading comment has no line %q", "// "+name+": ...")}
		}
	}
	return r, nil
}

// checkPattern refuses patterns that do not stay in the tree.
func checkPattern(p string) error {
	if _, err := path.Match(p, ""); err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	if !fs.ValidPath(p) {
		return fmt.Errorf("%q is no path in a kernel tree", p)
	}
	return nil
}

// ErrNoPatch says that a series does not have the patch that a rule generates.
var ErrNoPatch = errors.New("has that subject")

// Patch returns the patch of the series that the rule generates. Where there
// is none the error is a *RuleError that wraps ErrNoPatch.
func (r *Rule) Patch(s *series.Series) (*series.Patch, error) {
	var found *series.Patch
	for _, p := range s.Patches {
		if p.Subject != r.Subject {
			continue
		}
		if found != nil {
			return nil, &RuleError{File: r.File, Err: fmt.Errorf("generates the patch %q, which is both %s and %s", r.Subject, found.Name, p.Name)}
		}
		found = p
	}
	if found == nil {
		return nil, &RuleError{File: r.File, Err: fmt.Errorf(
			"generates %q: no patch of the series in %s %w; give the line \"// Generates:\" the subject of one that is there, or add it",
			r.Subject, s.Dir, ErrNoPatch)}
	}
	return found, nil
}
