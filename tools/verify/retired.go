// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
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
	Pattern *regexp.Regexp `toml:"pattern"`
	// Subject is that of the patch after which it is gone.
	Subject string `toml:"subject"`
	Instead string `toml:"instead"`
	// In is searched instead of the table's In, if it is given. Not are files
	// and directories of it that are left out, without wildcards: there the name
	// means something else.
	In  []string `toml:"in"`
	Not []string `toml:"not"`

	// quick matches wherever Pattern does, and is found faster: without \b in
	// front, package regexp looks for the text that it begins with.
	quick *regexp.Regexp
}

// leavesOut says whether the entry is not about a file.
func (e *interfaceEntry) leavesOut(name string) bool {
	return slices.ContainsFunc(e.Not, func(not string) bool { return name == not || strings.HasPrefix(name, not+"/") })
}

var retired = Check{
	Name: "retired",
	Explain: "Nothing is left of the interfaces that ci/verify/retired.toml lists, on no architecture, in no comment and no document. " +
		"A user on an architecture that is rarely compiled breaks its build, and a comment that names what is gone misleads.",
	Whole: true,
	Run: inTree(func(_ context.Context, s *Submission, src *patched, log io.Writer) ([]Finding, error) {
		table, err := loadRetired(s.table(retiredFile))
		if err != nil {
			return nil, err
		}
		var found []Finding
		contents := make(map[string][]byte)
		for _, e := range table.Interfaces {
			in := e.In
			if len(in) == 0 {
				in = table.In
			}
			for _, name := range src.names(in, extensions...) {
				if e.leavesOut(name) {
					continue
				}
				if _, known := contents[name]; !known {
					contents[name] = src.read(name)
				}
				data := contents[name]
				if !e.quick.Match(data) {
					continue
				}
				for _, at := range e.Pattern.FindAllIndex(data, -1) {
					found = append(found, Finding{
						File: name, Line: 1 + bytes.Count(data[:at[0]], []byte("\n")),
						Message: fmt.Sprintf("this should be gone since %q", e.Subject), Expected: e.Instead, Found: lineOf(data, at[0]),
					})
				}
			}
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
	}),
}

// removedBy says whether a patch takes away something that the entry matches.
func (e *interfaceEntry) removedBy(p *series.Patch) bool {
	for _, f := range p.Files {
		removed, _ := f.Lines()
		if e.Pattern.MatchString(strings.Join(removed, "\n")) {
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
	if err := tomlfile.Load(name, t); err != nil {
		return nil, err
	}
	for i := range t.Interfaces {
		e := &t.Interfaces[i]
		if e.Pattern == nil || e.Pattern.String() == "" || e.Instead == "" || e.Subject == "" {
			return nil, tomlfile.Invalid(name, fmt.Errorf("interface %d: it has to say pattern, subject and instead", i+1))
		}
		var err error
		if e.quick, err = regexp.Compile(strings.TrimPrefix(e.Pattern.String(), `\b`)); err != nil {
			return nil, tomlfile.Invalid(name, err)
		}
	}
	return t, nil
}
