// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
)

// extensions of the files in which retired interfaces are looked for.
var extensions = []string{".c", ".h", ".S", ".rst", ".txt"}

// retiredTable is retired.toml.
type retiredTable struct {
	// In are the directories and files that are searched, as path.Match has them.
	In         []string         `toml:"in"`
	Interfaces []interfaceEntry `toml:"interface"`
}

// interfaceEntry is an interface that the series retires.
type interfaceEntry struct {
	Pattern string `toml:"pattern"`
	// Subject is that of the patch after which it is gone.
	Subject string `toml:"subject"`
	Instead string `toml:"instead"`
	// In is searched instead of the table's In, if it is given. Not are files
	// and directories of it that are left out, without wildcards: there the name
	// means something else.
	In  []string `toml:"in"`
	Not []string `toml:"not"`

	pattern *regexp.Regexp
	literal []byte // what each match has in it
}

// leavesOut says whether the entry is not about a file.
func (e *interfaceEntry) leavesOut(name string) bool {
	return slices.ContainsFunc(e.Not, func(not string) bool { return name == not || strings.HasPrefix(name, not+"/") })
}

// literal returns the longest text that all matches of a pattern have, as far
// as that is easily told.
func literal(pattern string) []byte {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || parsed.Op != syntax.OpConcat {
		return nil
	}
	longest := ""
	for _, sub := range parsed.Sub {
		if sub.Op == syntax.OpLiteral && sub.Flags&syntax.FoldCase == 0 && len(string(sub.Rune)) > len(longest) {
			longest = string(sub.Rune)
		}
	}
	return []byte(longest)
}

var retired = Check{
	Name: "retired",
	Explain: "Nothing is left of the interfaces that ci/verify/retired.toml lists, on no architecture, in no comment and no document. " +
		"A user on an architecture that is rarely compiled breaks its build, and a comment that names what is gone misleads.",
	Run: func(_ context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		table, err := loadRetired(s.table(retiredFile))
		if err != nil {
			return nil, err
		}
		src, err := s.open()
		if err != nil {
			return nil, err
		}
		defer src.close()
		var found []Finding
		err = table.each(src, func(name string, entries []int) error {
			data, err := src.read(name)
			if err != nil {
				return err
			}
			for _, i := range entries {
				e := &table.Interfaces[i]
				if !bytes.Contains(data, e.literal) || e.leavesOut(name) {
					continue
				}
				for _, at := range e.pattern.FindAllIndex(data, -1) {
					found = append(found, Finding{
						File: name, Line: 1 + bytes.Count(data[:at[0]], []byte("\n")),
						Message: fmt.Sprintf("this should be gone since %q", e.Subject), Expected: e.Instead, Found: lineOf(data, at[0]),
					})
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, e := range table.Interfaces {
			removed := slices.ContainsFunc(s.Series.Patches, e.removedBy)
			fmt.Fprintf(log, "%s: removed by a patch: %t\n", e.Pattern, removed)
			if !removed {
				found = append(found, Finding{
					File: retiredFile, Message: fmt.Sprintf("no patch removes anything that %q matches", e.Pattern), Do: "mend the pattern, or take it out of the table",
				})
			}
			if !slices.ContainsFunc(s.Series.Patches, func(p *series.Patch) bool { return p.Subject == e.Subject }) {
				found = append(found, Finding{
					File: retiredFile, Message: fmt.Sprintf("no patch has the subject %q", e.Subject), Do: "name the patch that retires it",
				})
			}
		}
		return found, nil
	},
}

// each calls f with the files that are searched, and for which entries.
func (t *retiredTable) each(src *patched, f func(name string, entries []int) error) error {
	in := make(map[string][]int)
	lists := make(map[string][]string) // files, by what was asked for
	for i, e := range t.Interfaces {
		patterns := e.In
		if len(patterns) == 0 {
			patterns = t.In
		}
		key := strings.Join(patterns, "\n")
		if _, ok := lists[key]; !ok {
			names, err := src.names(patterns, extensions...)
			if err != nil {
				return err
			}
			lists[key] = names
		}
		for _, name := range lists[key] {
			in[name] = append(in[name], i)
		}
	}
	var names []string
	for name := range in {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := f(name, in[name]); err != nil {
			return err
		}
	}
	return nil
}

// removedBy says whether a patch takes away something that the entry matches.
func (e *interfaceEntry) removedBy(p *series.Patch) bool {
	for _, f := range p.Files {
		removed, _ := f.Lines()
		if e.pattern.MatchString(strings.Join(removed, "\n")) {
			return true
		}
	}
	return false
}

// lineOf returns the line of data that the offset is in.
func lineOf(data []byte, at int) string {
	from := bytes.LastIndexByte(data[:at], '\n') + 1
	to := bytes.IndexByte(data[at:], '\n')
	if to < 0 {
		to = len(data) - at
	}
	return strings.TrimSpace(string(data[from : at+to]))
}

// loadRetired reads the table. Errors have the exit code for wrong use.
func loadRetired(name string) (*retiredTable, error) {
	t := new(retiredTable)
	if err := readTable(name, t); err != nil {
		return nil, err
	}
	var errs []error
	for i := range t.Interfaces {
		e := &t.Interfaces[i]
		var err error
		e.pattern, err = regexp.Compile(e.Pattern)
		errs = append(errs, err)
		e.literal = literal(e.Pattern)
		if e.Pattern == "" || e.Instead == "" || e.Subject == "" {
			errs = append(errs, fmt.Errorf("interface %d: it has to say pattern, subject and instead", i+1))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("read the table %s: %w", name, err))
	}
	return t, nil
}
