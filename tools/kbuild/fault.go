// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"fmt"
	"strings"

	"vcpulab/tools/exit"
)

// Kind says which of the programs that a build runs found a fault.
type Kind string

// The kinds of faults.
const (
	Compile        Kind = "compile"         // compiler or assembler
	Link           Kind = "link"            // linker
	Modpost        Kind = "modpost"         // symbols of modules
	Objtool        Kind = "objtool"         // validation of object code
	Kconfig        Kind = "kconfig"         // a Kconfig file
	BTF            Kind = "btf"             // type information: pahole, resolve_btfids
	Makefile       Kind = "make"            // a makefile, a missing rule
	MissingProgram Kind = "missing program" // a program that is not installed
	MissingLibrary Kind = "missing library" // a header of a library that is not installed
	DiskFull       Kind = "disk full"
	OutOfMemory    Kind = "out of memory" // a compiler that was killed
	Unknown        Kind = "unknown"       // nothing in the log looks like an error
)

// Fault is the first error in the log of a build.
type Fault struct {
	Kind    Kind     `json:"kind"`
	File    string   `json:"file,omitempty"`   // as the log has it
	Line    int      `json:"line,omitempty"`   // 0 if unknown
	Column  int      `json:"column,omitempty"` // 0 if unknown
	Message string   `json:"message"`
	Target  string   `json:"target,omitempty"`  // what make wanted to make
	Excerpt []string `json:"excerpt,omitempty"` // lines of the log around it: where it was included from, the source line
}

// String returns "file:line:column: message", as far as it is known.
func (f Fault) String() string {
	place := f.File
	for _, n := range []int{f.Line, f.Column} {
		if n > 0 && place != "" {
			place += fmt.Sprintf(":%d", n)
		}
	}
	return strings.TrimPrefix(place+": "+f.Message, ": ")
}

// libraries are the Debian packages of headers that a build needs and a machine
// may lack: a file, or a directory.
var libraries = map[string]string{
	"libelf.h": "libelf-dev", "gelf.h": "libelf-dev", "elfutils/": "libdw-dev",
	"openssl/": "libssl-dev", "uuid/": "uuid-dev", "zlib.h": "zlib1g-dev", "gmp.h": "libgmp-dev",
}

func libraryOf(header string) string {
	for prefix, pkg := range libraries {
		if header == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(header, prefix) {
			return pkg
		}
	}
	return ""
}

// Hint returns how to repair a fault of the machine, "" for other faults.
func (f Fault) Hint() string {
	switch f.Kind {
	case MissingProgram:
		return "install it: ci/packages.toml lists the packages to install"
	case MissingLibrary:
		header, _, _ := strings.Cut(f.Message, ":")
		return "install the package " + libraryOf(header)
	case DiskFull:
		return "free some space, or set VCPULAB_CACHE to a directory on another disk"
	case OutOfMemory:
		return "a compiler was killed: free some memory, or build with fewer jobs"
	}
	return ""
}

// Error is a build that failed.
type Error struct {
	Doing   string // "build linux 7.3.4 for x86_64"
	Fault   Fault  // the first error of the log
	Log     string // path of the whole log
	Command string // what to type to do the same by hand
	Err     error  // how make ended
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Doing, e.Fault)
	for _, line := range e.Fault.Excerpt {
		b.WriteString("\n    " + line)
	}
	if e.Fault.Target != "" {
		fmt.Fprintf(&b, "\n  while making: %s", e.Fault.Target)
	}
	if hint := e.Fault.Hint(); hint != "" {
		fmt.Fprintf(&b, "\n  %s", hint)
	}
	fmt.Fprintf(&b, "\n  whole log: %s\n  again: %s", e.Log, e.Command)
	return b.String()
}

// Unwrap returns how make ended.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is that of a failed build, or of a machine that lacks something if
// that is the reason.
func (e *Error) ExitCode() int {
	switch e.Fault.Kind {
	case MissingProgram, MissingLibrary, DiskFull, OutOfMemory:
		return exit.MachineLacks
	}
	return exit.BuildFailed
}
