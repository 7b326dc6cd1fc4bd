// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/tomlfile"
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

// libraryOf returns the Debian package of a header, "" if it is not of a library that a
// build needs.
func libraryOf(header string) string {
	for prefix, pkg := range faults.Libraries {
		if header == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(header, prefix) {
			return pkg
		}
	}
	return ""
}

// Hint returns how to repair a fault of the machine, "" for other faults.
func (f Fault) Hint() string {
	if f.Kind == MissingLibrary {
		header, _, _ := strings.Cut(f.Message, ":")
		return "install the package " + libraryOf(header)
	}
	return faults.Hints[f.Kind]
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
	if e.Fault.Hint() != "" {
		return exit.MachineLacks
	}
	return exit.BuildFailed
}

//go:embed faults.toml
var faultsText []byte

// faults is faults.toml.
var faults = func() (f struct {
	Faults []struct {
		Kind Kind
		Form *regexp.Regexp
	}
	Hints     map[Kind]string
	Libraries map[string]string
}) {
	tomlfile.Embedded("faults.toml", faultsText, &f)
	return f
}()

var (
	// make[3]: *** [../scripts/Makefile.build:287: virt/kvm/kvm_main.o] Error 1
	makeFailed = regexp.MustCompile(`^make(?:\[\d+\])?: \*\*\* \[(?:[^\]]*: )?([^\]\s]+)\] (.*)$`)
	makeStop   = regexp.MustCompile(`^make(?:\[\d+\])?: \*\*\* (.*?)(?:  Stop\.)?$`)
	waiting    = "Waiting for unfinished jobs...."
	// What follows an error and belongs to it.
	tail = regexp.MustCompile(`^[ \t]|^>>>|^\S+: note: `)
	// lld prints in another line where a symbol is used.
	referenced = regexp.MustCompile(`^>>> (?:referenced by|defined at) ([^:\s]+):(\d+)`)
	// What every log has before and after: the command, make's directories.
	noise = regexp.MustCompile(`^(?:#|make(?:\[\d+\])?: (?:Entering|Leaving) directory )`)
	// Where an error line's file was included from, and which function it is in.
	lead = regexp.MustCompile(`^(In file included from |\s+from |\S+: (?:In|At) |\S*ld(?:\.\w+)?: .*: in function )`)
)

// matchFault returns the fault that a line of a log reports, the zero value if none.
func matchFault(line string) Fault {
	for _, p := range faults.Faults {
		m := p.Form.FindStringSubmatch(line)
		if m == nil {
			continue
		}

		f := Fault{Kind: p.Kind}
		for i, name := range p.Form.SubexpNames() {
			switch name {
			case "file":
				f.File = m[i]
			case "line":
				f.Line, _ = strconv.Atoi(m[i])
			case "column":
				f.Column, _ = strconv.Atoi(m[i])
			case "program":
				f.Message = m[i] + ": "
			case "symbol":
				f.Message = m[i] + " is "
			case "message":
				f.Message += strings.TrimSpace(m[i])
			}
		}
		if f.Message == "" || f.Kind == Kconfig && strings.HasPrefix(f.Message, "warning:") {
			continue
		}
		if f.File != "" {
			// kbuild's paths have detours:
			// ../arch/x86/kvm/../../../virt/kvm/kvm_main.c.
			f.File = path.Clean(f.File)
		}
		return f.refine()
	}
	return Fault{}
}

// refine tells faults of the machine from faults of the source.
func (f Fault) refine() Fault {
	header, what, _ := strings.Cut(f.Message, ": ")
	switch {
	case strings.Contains(f.Message, "No space left on device"):
		f.Kind = DiskFull
	case strings.Contains(f.Message, "out of memory") || strings.Contains(f.Message, "annot allocate memory"):
		f.Kind = OutOfMemory
	case f.Kind == Compile && what == "No such file or directory" && libraryOf(header) != "":
		f.Kind = MissingLibrary
	}
	return f
}

// How much of a log is kept around a fault, in lines.
const (
	excerptBefore = 5
	excerptAfter  = 8
)

// maxLogLine is where lines of a log are cut, in bytes: a compiler's command may
// be printed, or a binary file.
const maxLogLine = 16 << 10

// FirstFault reads the log of a failed build and returns its first error, which is
// not sparse's. A log without one gives what make said, or a fault of kind Unknown
// with its last lines; the error is only that of reading.
func FirstFault(r io.Reader) (Fault, error) {
	var (
		found        Fault
		at           int
		text         []string // all but the steps of kbuild, for each of which there is ""
		sparse       bool     // lines that follow are sparse's, which does not fail a build
		stop, target string   // what make said first
	)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20) // package program splits longer ones
	for lines.Scan() {
		line := strings.ToValidUTF8(lines.Text()[:min(len(lines.Text()), maxLogLine)], "?")
		if m := makeFailed.FindStringSubmatch(line); m != nil {
			target, stop = cmp.Or(target, m[1]), cmp.Or(stop, strings.TrimSpace(m[2]))
			line, sparse = "", false
		} else if m := makeStop.FindStringSubmatch(line); m != nil {
			if line = ""; m[1] != waiting {
				stop = cmp.Or(stop, m[1])
			}
		} else if m := stepLine.FindStringSubmatch(line); m != nil {
			line, sparse = "", m[1] == stepCheck
		} else if sparse || noise.MatchString(line) {
			continue
		}

		if found.Kind == "" {
			found, at = matchFault(line), len(text)
		}
		text = append(text, line)
	}

	if found.Kind != "" {
		found.addExcerpt(text[:at], text[at+1:])
	} else {
		found = Fault{Kind: Unknown, Message: "the build failed and its log does not say why"}
		if stop != "" {
			found.Kind, found.Message = Makefile, "make: "+stop
		}
		text = slices.DeleteFunc(text, func(line string) bool { return line == "" })
		found.Excerpt = text[max(0, len(text)-excerptBefore-excerptAfter):]
	}
	found.Target = target
	return found, lines.Err()
}

// addExcerpt adds what belongs to the fault of the lines before and after its own.
func (f *Fault) addExcerpt(before, after []string) {
	for _, line := range slices.Backward(before) {
		if isLead := lead.MatchString(line); !isLead && !strings.HasPrefix(line, " ") {
			break
		} else if isLead && len(f.Excerpt) < excerptBefore {
			f.Excerpt = append(f.Excerpt, line)
		}
	}
	slices.Reverse(f.Excerpt)

	for _, line := range after[:min(len(after), excerptAfter)] {
		if !tail.MatchString(line) {
			break
		}
		f.Excerpt = append(f.Excerpt, line)
		if m := referenced.FindStringSubmatch(line); m != nil && f.File == "" {
			f.File = m[1]
			f.Line, _ = strconv.Atoi(m[2])
		}
	}
}
