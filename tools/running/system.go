// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"os"
	"path/filepath"
	"strings"
)

// System is a machine.
type System struct {
	// Root is the directory that has its proc, sys, dev, boot and lib: "/".
	Root string
	// Build is the directory to build modules in, "" for that of the release in
	// /lib/modules. Unlike all else it is not below Root if it is given.
	Build string
	// Module is a module that was built before, "" to build one. It takes the
	// place of Build and is not below Root either.
	Module string
}

// path is where a file of the machine is.
func (s System) path(name string) string { return filepath.Join(s.Root, name) }

// line returns the first line of a file, "" if there is none.
func (s System) line(name string) string {
	data, _ := os.ReadFile(s.path(name))
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}

func (s System) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// field returns what follows the key in the first line of a file that begins
// with it, "" if there is none.
func (s System) field(name, key string) string {
	data, _ := os.ReadFile(s.path(name))
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Release is what uname -r prints.
func (s System) Release() string { return s.line("proc/sys/kernel/osrelease") }

// BuildDir is the directory to build modules in.
func (s System) BuildDir() string {
	if s.Build != "" {
		return s.Build
	}
	return s.path("lib/modules/" + s.Release() + "/build")
}

// Types is the file with the kernel's types.
func (s System) Types() string { return s.path("sys/kernel/btf/vmlinux") }

// loaded says whether a module of that name is loaded.
func (s System) loaded(module string) bool {
	data, _ := os.ReadFile(s.path("proc/modules"))
	return strings.Contains("\n"+string(data), "\n"+module+" ")
}
