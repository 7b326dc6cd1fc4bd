// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"fmt"
	"strings"

	"vcpulab/tools/exit"
)

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

// ExitCode is that of a failed build, or says that the machine lacks
// something where that is what stopped it.
func (e *Error) ExitCode() int {
	switch e.Fault.Kind {
	case MissingProgram, MissingLibrary, DiskFull, OutOfMemory:
		return exit.MachineLacks
	}
	return exit.BuildFailed
}
