// SPDX-License-Identifier: GPL-2.0-only

package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/exit"
)

// LacksError says that the machine lacks packages that could not be, or were
// not to be, installed.
type LacksError struct {
	Packages []Package
	Why      string // why they were not installed
	Debian   bool   // whether they can be installed by these names
}

func (e *LacksError) Error() string {
	var b strings.Builder
	b.WriteString("this machine lacks")
	for i, p := range e.Packages {
		if i > 0 {
			b.WriteByte(',')
		}
		if e.Debian {
			b.WriteString(" " + p.Name)
		} else {
			fmt.Fprintf(&b, " %s (%s)", p.Provides, p.Why)
		}
	}
	if e.Why != "" {
		b.WriteString(": " + e.Why)
	}
	if e.Debian {
		fmt.Fprintf(&b, "\nInstall them with: %s", Command(e.Packages))
	} else {
		fmt.Fprintf(&b, "\nOn Debian they are installed with: %s", Command(e.Packages))
	}
	return b.String()
}

// ExitCode says that the machine lacks something.
func (e *LacksError) ExitCode() int { return exit.MachineLacks }

// Command returns the command line that installs packages on Debian.
func Command(packages []Package) string {
	line := "sudo apt-get install --no-install-recommends"
	for _, p := range packages {
		line += " " + p.Name
	}
	return line
}

// Missing returns the packages of the named groups that the machine does not
// have. A package whose program is in PATH is there, however it came there;
// for others, dpkg is asked, and where there is no dpkg, their headers are
// looked for.
func (l *List) Missing(ctx context.Context, groups ...string) ([]Package, error) {
	packages, err := l.Packages(groups...)
	if err != nil {
		return nil, err
	}
	return missing(ctx, packages)
}

func missing(ctx context.Context, packages []Package) ([]Package, error) {
	var unknown []Package
	for _, p := range packages {
		if !p.found("/") {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	installed, err := installedPackages(ctx, unknown)
	if err != nil {
		return nil, err
	}
	var lacking []Package
	for _, p := range unknown {
		// A program that dpkg has installed but that is not in PATH cannot be
		// run all the same.
		if header := strings.HasPrefix(p.Provides, "<"); !header || !installed[p.Name] {
			lacking = append(lacking, p)
		}
	}
	return lacking, nil
}

// found reports whether what the package provides is on the machine, whose
// root folder is root.
func (p Package) found(root string) bool {
	header, isHeader := strings.CutPrefix(strings.TrimSuffix(p.Provides, ">"), "<")
	if !isHeader {
		_, err := lookPath(p.Provides)
		return err == nil
	}
	dirs := []string{"usr/include", "usr/include/*-linux-gnu*", "usr/local/include"}
	if m := crossPackage.FindStringSubmatch(p.Name); m != nil {
		// Only the target's own folder counts for a cross library.
		dirs = []string{"usr/" + cmp.Or(debianTargets[m[1]], m[1]) + "-linux-gnu/include"}
	}
	for _, dir := range dirs {
		if found, _ := filepath.Glob(filepath.Join(root, dir, header)); len(found) > 0 {
			return true
		}
	}
	return false
}

// crossPackage is a library for another architecture, as Debian calls that.
var crossPackage = regexp.MustCompile(`-([a-z0-9]+)-cross$`)

// debianTargets are the compiler's names of architectures for which Debian has
// one of its own.
var debianTargets = map[string]string{"amd64": "x86_64", "arm64": "aarch64", "ppc64el": "powerpc64le"}

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

// installedPackages asks dpkg which of the packages are installed. Without
// dpkg none is.
func installedPackages(ctx context.Context, packages []Package) (map[string]bool, error) {
	args := []string{"--show", "--showformat=${Package} ${db:Status-Status}\n"}
	for _, p := range packages {
		args = append(args, p.Name)
	}
	cmd := exec.CommandContext(ctx, "dpkg-query", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// It fails when it knows one of them not, after saying what it knows.
	if _, ran := errors.AsType[*exec.ExitError](err); err != nil && !ran {
		return map[string]bool{}, nil
	}
	return parseInstalled(string(out)), nil
}

// parseInstalled reads lines "package status".
func parseInstalled(text string) map[string]bool {
	installed := map[string]bool{}
	for line := range strings.Lines(text) {
		if name, status, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" {
			installed[name] = true
		}
	}
	return installed
}
