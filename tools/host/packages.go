// SPDX-License-Identifier: GPL-2.0-only

// Package host describes this machine, finds out which packages it lacks, and
// installs them.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// Package is a Debian package that something needs.
type Package struct {
	Name string `json:"name" toml:"name"`
	// Provides can be looked for on a machine without dpkg: a program, or a
	// header in angle brackets.
	Provides string `json:"provides" toml:"provides"`
	// Why is what it is needed for.
	Why string `json:"why" toml:"why"`
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
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("package list: %w", err))
	}
	return Parse(name, data)
}

// Parse reads a list of packages from the content of a file of that name.
func Parse(name string, data []byte) (*List, error) {
	l := &List{}
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(l)
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := bad.Position()
		err = fmt.Errorf("line %d: %w", line, err)
	}
	if err == nil {
		err = l.check()
	}
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("package list %s: %w", name, err))
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
	seen := map[string]bool{}
	for _, g := range l.Groups {
		switch {
		case !groupRE.MatchString(g.Name) || g.Purpose == "":
			return fmt.Errorf("group %q: expected a name and a purpose", g.Name)
		case seen[g.Name]:
			return fmt.Errorf("duplicate group %s", g.Name)
		}
		seen[g.Name] = true
		for _, p := range g.Packages {
			key := g.Name + " " + p.Name
			switch {
			case !packageRE.MatchString(p.Name) || !providesRE.MatchString(p.Provides) || p.Why == "":
				return fmt.Errorf("group %s: package %q: expected a name, provides = a program or <header>, and why", g.Name, p.Name)
			case seen[key]:
				return fmt.Errorf("group %s: duplicate package %s", g.Name, p.Name)
			}
			seen[key] = true
		}
	}
	return nil
}

// Names returns the names of all groups, in the order of the file.
func (l *List) Names() []string {
	names := make([]string, len(l.Groups))
	for i, g := range l.Groups {
		names[i] = g.Name
	}
	return names
}

// Packages returns the packages of the named groups, each once. An unknown name
// is an error that stands for exit.Usage.
func (l *List) Packages(groups ...string) ([]Package, error) {
	var all []Package
	seen := map[string]bool{}
	for _, name := range groups {
		i := slices.IndexFunc(l.Groups, func(g Group) bool { return g.Name == name })
		if i < 0 {
			return nil, exit.With(exit.Usage, fmt.Errorf("unknown group of packages %q: expected some of %s", name, strings.Join(l.Names(), ", ")))
		}
		for _, p := range l.Groups[i].Packages {
			if !seen[p.Name] {
				seen[p.Name] = true
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
	var lacking []Package
	for _, p := range packages {
		if !p.found("/") {
			lacking = append(lacking, p)
		}
	}
	if len(lacking) == 0 {
		return nil, nil
	}
	installed, err := installedPackages(ctx, lacking)
	if err != nil {
		return nil, err
	}
	// A program that dpkg has installed but that is not in PATH cannot be run
	// all the same.
	return slices.DeleteFunc(lacking, func(p Package) bool {
		return strings.HasPrefix(p.Provides, "<") && installed[p.Name]
	}), nil
}

// found reports whether what the package provides is on the machine, whose
// root directory is root.
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
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if sbin, sbinErr := exec.LookPath(filepath.Join(dir, name)); sbinErr == nil {
			return sbin, nil
		}
	}
	return "", err
}

// installedPackages asks dpkg which of the packages are installed: none where
// there is no dpkg.
func installedPackages(ctx context.Context, packages []Package) (map[string]bool, error) {
	args := []string{"--show", "--showformat=${Package} ${db:Status-Status}\n"}
	for _, p := range packages {
		args = append(args, p.Name)
	}
	// It fails if it does not know one of them, after the others.
	out, _, _ := program.Program{Name: "dpkg-query"}.Run(ctx, args...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	installed := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if name, status, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" {
			installed[name] = true
		}
	}
	return installed, nil
}

// lacksError says that the machine lacks packages that were not installed, and
// why. It stands for exit.MachineLacks.
func lacksError(packages []Package, why string) error {
	what, how := make([]string, len(packages)), "Install them with: "
	for i, p := range packages {
		what[i] = p.Name
	}
	if !hasApt() {
		how = "On Debian they are installed with: "
		for i, p := range packages {
			what[i] = fmt.Sprintf("%s (%s)", p.Provides, p.Why)
		}
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("this machine lacks %s: %s\n%s%s", strings.Join(what, ", "), why, how, Command(packages)))
}

// Command returns the command line that installs packages on Debian.
func Command(packages []Package) string {
	return "sudo apt-get install --no-install-recommends " + names(packages)
}

func names(packages []Package) string {
	all := make([]string, len(packages))
	for i, p := range packages {
		all[i] = p.Name
	}
	return strings.Join(all, " ")
}
