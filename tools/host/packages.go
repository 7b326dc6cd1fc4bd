// SPDX-License-Identifier: GPL-2.0-only

// Package host knows what a machine needs, what of it this one lacks, and
// how to install that.
package host

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// Package is a Debian package that something needs.
type Package struct {
	Name string `json:"name"`
	// Provides is what can be looked for on a machine without dpkg: a program,
	// or a header in angle brackets.
	Provides string `json:"provides"`
	// Why says what it is needed for.
	Why string `json:"why"`
}

// Group is a list of packages that are needed for one thing.
type Group struct {
	Name     string
	Purpose  string // what one can do with it ("boot kernels")
	Packages []Package
}

// List is the content of a file such as ci/packages.txt.
type List struct {
	Groups []Group
	file   string
}

// ListError says what is wrong with a list of packages.
type ListError struct {
	File string
	Line int // 1-based; 0 when it is about the whole file
	Err  error
}

func (e *ListError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("package list %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("package list %s:%d: %v", e.File, e.Line, e.Err)
}

func (e *ListError) Unwrap() error { return e.Err }

// ExitCode makes it wrong use.
func (e *ListError) ExitCode() int { return exit.Usage }

// Load reads a list of packages from a file. Its errors are *ListError.
func Load(name string) (*List, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &ListError{File: name, Err: err}
	}
	return Parse(name, data)
}

var (
	groupRE   = regexp.MustCompile(`^\[([a-z0-9]+)\]\s+(\S.*)$`)
	packageRE = regexp.MustCompile(`^([a-z0-9][a-z0-9.+-]+)\s+([A-Za-z0-9_.+-]+|<[A-Za-z0-9_./+-]+>)\s+#\s*(\S.*)$`)
)

// Parse reads a list of packages from the content of a file of that name: lines
// "[group] purpose", each followed by lines "package provides # why". Empty
// lines and lines that begin with # mean nothing. Its errors are *ListError.
func Parse(name string, data []byte) (*List, error) {
	l := &List{file: name}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		fail := func(format string, args ...any) (*List, error) {
			return nil, &ListError{File: name, Line: n, Err: fmt.Errorf(format, args...)}
		}
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			m := groupRE.FindStringSubmatch(line)
			if m == nil {
				return fail("%.80q: expected [group] and what it is for", line)
			}
			if l.group(m[1]) != nil {
				return fail("group %s is there twice", m[1])
			}
			l.Groups = append(l.Groups, Group{Name: m[1], Purpose: m[2]})
		default:
			m := packageRE.FindStringSubmatch(line)
			if m == nil {
				return fail("%.80q: expected a package, a program or <header>, and # why", line)
			}
			if len(l.Groups) == 0 {
				return fail("package %s is in no group", m[1])
			}
			g := &l.Groups[len(l.Groups)-1]
			if slices.ContainsFunc(g.Packages, func(p Package) bool { return p.Name == m[1] }) {
				return fail("package %s is twice in group %s", m[1], g.Name)
			}
			g.Packages = append(g.Packages, Package{Name: m[1], Provides: m[2], Why: m[3]})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &ListError{File: name, Err: err}
	}
	if len(l.Groups) == 0 {
		return nil, &ListError{File: name, Err: fmt.Errorf("it has no group")}
	}
	return l, nil
}

func (l *List) group(name string) *Group {
	i := slices.IndexFunc(l.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Groups[i]
}

// Names returns the names of all groups, in the order of the file.
func (l *List) Names() []string {
	names := make([]string, len(l.Groups))
	for i, g := range l.Groups {
		names[i] = g.Name
	}
	return names
}

// GroupError says that a group was asked for that the list does not have.
type GroupError struct {
	Group string
	Known []string
}

func (e *GroupError) Error() string {
	return fmt.Sprintf("there is no group of packages %q; there are: %s", e.Group, strings.Join(e.Known, ", "))
}

// ExitCode makes it wrong use.
func (e *GroupError) ExitCode() int { return exit.Usage }

// Packages returns the packages of the named groups, each once. A name that no
// group has gives a *GroupError.
func (l *List) Packages(groups ...string) ([]Package, error) {
	var all []Package
	for _, name := range groups {
		g := l.group(name)
		if g == nil {
			return nil, &GroupError{Group: name, Known: l.Names()}
		}
		for _, p := range g.Packages {
			if !slices.ContainsFunc(all, func(q Package) bool { return q.Name == p.Name }) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}
