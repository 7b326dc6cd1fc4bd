// SPDX-License-Identifier: GPL-2.0-only

// Package host describes this machine, and installs the packages that it lacks.
package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/tomlfile"
)

// Package is a Debian package that something needs.
type Package struct {
	Name string `json:"name" toml:"name"`
	// Provides can be found without dpkg: a program, or a header in angle brackets.
	Provides string `json:"provides" toml:"provides"`
	Why      string `json:"why" toml:"why"` // what it is needed for
}

// Group is a list of packages that are needed for one purpose.
type Group struct {
	Name     string    `toml:"name"`
	Purpose  string    `toml:"purpose"` // what one can do with it ("boot kernels")
	Packages []Package `toml:"packages"`
}

// List is the content of ci/packages.toml.
type List struct {
	Groups []Group `toml:"group"`
}

// Load reads a list of packages from a file. Its errors stand for exit.Usage.
func Load(name string) (*List, error) {
	l := &List{}
	if err := tomlfile.Load(name, l); err != nil {
		return nil, err
	}
	if err := l.check(); err != nil {
		return nil, tomlfile.Invalid(name, err)
	}
	return l, nil
}

// Names go onto a command line that root runs.
var (
	groupRE    = regexp.MustCompile(`^[a-z0-9]+$`)
	packageRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]+$`)
	providesRE = regexp.MustCompile(`^([A-Za-z0-9_.+-]+|<[A-Za-z0-9_./+-]+>)$`)
)

func (l *List) check() error {
	if len(l.Groups) == 0 {
		return errors.New("no group")
	}
	for i, g := range l.Groups {
		if !groupRE.MatchString(g.Name) || g.Purpose == "" {
			return fmt.Errorf("group %q: expected a name and a purpose", g.Name)
		}
		if slices.Contains(l.Names()[:i], g.Name) {
			return fmt.Errorf("duplicate group %s", g.Name)
		}
		for i, p := range g.Packages {
			if !packageRE.MatchString(p.Name) || !providesRE.MatchString(p.Provides) || p.Why == "" {
				return fmt.Errorf("group %s: package %q: expected a name, provides = a program or <header>, and why", g.Name, p.Name)
			}
			if has(g.Packages[:i], p.Name) {
				return fmt.Errorf("group %s: duplicate package %s", g.Name, p.Name)
			}
		}
	}
	return nil
}

func has(packages []Package, name string) bool {
	return slices.ContainsFunc(packages, func(p Package) bool { return p.Name == name })
}

// Names returns the names of all groups, in the order of the file.
func (l *List) Names() []string {
	var names []string
	for _, g := range l.Groups {
		names = append(names, g.Name)
	}
	return names
}

// Packages returns the packages of the named groups, each once. An unknown name
// is an error that stands for exit.Usage.
func (l *List) Packages(groups ...string) ([]Package, error) {
	var all []Package
	for _, name := range groups {
		i := slices.Index(l.Names(), name)
		if i < 0 {
			return nil, exit.With(exit.Usage, fmt.Errorf("unknown group of packages %q: expected some of %s", name, strings.Join(l.Names(), ", ")))
		}
		for _, p := range l.Groups[i].Packages {
			if !has(all, p.Name) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// Missing returns the packages of the named groups that the machine does not
// have. A package is not missing if its program is in PATH, however it came
// there, or if its header is found or dpkg has installed it.
func (l *List) Missing(ctx context.Context, groups ...string) ([]Package, error) {
	packages, err := l.Packages(groups...)
	if err != nil {
		return nil, err
	}
	return missing(ctx, packages)
}

func missing(ctx context.Context, packages []Package) ([]Package, error) {
	lacking := slices.DeleteFunc(slices.Clone(packages), func(p Package) bool { return p.found("/") })
	if len(lacking) == 0 {
		return nil, nil
	}
	// dpkg-query fails if it does not know one of them, after the others; where
	// it is not installed, nothing is.
	args := append([]string{"--show", "--showformat=${Package} ${db:Status-Status}\n"}, strings.Fields(names(lacking))...)
	out, _, _ := program.Program{Name: "dpkg-query"}.Run(ctx, args...)
	installed := strings.Split(string(out), "\n")
	// A program that dpkg has installed but that is not in PATH cannot be run.
	return slices.DeleteFunc(lacking, func(p Package) bool {
		return strings.HasPrefix(p.Provides, "<") && slices.Contains(installed, p.Name+" installed")
	}), ctx.Err()
}

// found reports whether what the package provides is on the machine with that root.
func (p Package) found(root string) bool {
	header, isHeader := strings.CutPrefix(strings.TrimSuffix(p.Provides, ">"), "<")
	if !isHeader {
		_, err := lookPath(p.Provides)
		return err == nil
	}
	dirs := []string{"usr/include", "usr/include/*-linux-gnu*", "usr/local/include"}
	for _, a := range arch.Arches() {
		if strings.HasSuffix(p.Name, "-"+a.Debian+"-cross") {
			// Only the target's own directory counts for a cross library.
			dirs = []string{"usr/" + strings.TrimSuffix(a.Cross, "-") + "/include"}
		}
	}
	for _, dir := range dirs {
		if found, _ := filepath.Glob(filepath.Join(root, dir, header)); len(found) > 0 {
			return true
		}
	}
	return false
}

// lookPath finds a program also where only root has it in PATH.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	return path, err
}

// lacksError says that the machine lacks packages that were not installed, and
// why. It stands for exit.MachineLacks.
func lacksError(packages []Package, why string) error {
	var what []string
	for _, p := range packages {
		what = append(what, fmt.Sprintf("%s (%s)", p.Provides, p.Why))
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("this machine lacks %s: %s\nOn Debian they are installed with: %s", strings.Join(what, ", "), why, Command(packages)))
}

// Command returns the command line that installs packages on Debian.
func Command(packages []Package) string {
	return "sudo apt-get install --no-install-recommends " + names(packages)
}

func names(packages []Package) string {
	var all []string
	for _, p := range packages {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}
