// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
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
	Makefile       Kind = "make"            // a makefile, a rule that is missing
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
	Line    int      `json:"line,omitempty"`   // 0 if it is not known
	Column  int      `json:"column,omitempty"` // 0 if it is not known
	Message string   `json:"message"`
	Target  string   `json:"target,omitempty"`  // what make wanted to make
	Excerpt []string `json:"excerpt,omitempty"` // lines of the log around it: where it was included from, the source line
}

// String returns "file:line:column: message" with what is known of it.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:", f.Line)
		}
		if f.Column > 0 {
			fmt.Fprintf(&b, "%d:", f.Column)
		}
		b.WriteString(" ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// libraries are the packages of Debian that headers come from which a build
// needs and a machine may lack.
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

// Hint returns what to do about a fault of the machine, "" for others.
func (f Fault) Hint() string {
	switch f.Kind {
	case MissingProgram:
		return "install it: ci/packages.txt lists the packages to install"
	case MissingLibrary:
		header, _, _ := strings.Cut(f.Message, ":")
		return "install the package " + libraryOf(header)
	case DiskFull:
		return "free some space, or set VCPULAB_CACHE to a folder on another disk"
	case OutOfMemory:
		return "a compiler was killed: free some memory, or build with fewer jobs"
	}
	return ""
}

// faultPattern recognizes one form of error. Its groups are named file, line,
// column and message; a fixed message takes the place of the group where it
// is set.
type faultPattern struct {
	kind Kind
	re   *regexp.Regexp
}

// faultPatterns are tried in this order on each line of a log.
var faultPatterns = []faultPattern{
	// ld: kvm_main.c:(.text+0x12): undefined reference to `x'; with debug
	// information ld has the line instead of the section.
	{Link, regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?: )?(?:[^:\s]+\.[oa]:)?(?P<file>[^:\s]+):(?:(?P<line>\d+)|\([^)]*\)): (?P<message>(?:undefined reference to|multiple definition of|relocation truncated) .*)$`)},
	{Link, regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?: )(?P<file>[^:\s]+):(?:[^:]*:)? (?P<message>(?:undefined reference to|multiple definition of|file not recognized|relocation ).*)$`)},
	{Objtool, regexp.MustCompile(`^(?P<file>[^:\s]+): error: objtool: (?P<message>.*)$`)},
	{Objtool, regexp.MustCompile(`^error: objtool: (?P<message>.*)$`)},
	// gcc and clang; the assembler writes a capital E and no column.
	{Compile, regexp.MustCompile(`^(?P<file>[^:\s][^:]*):(?P<line>\d+):(?:(?P<column>\d+):)? (?:fatal )?[Ee]rror: (?P<message>.*)$`)},
	{Compile, regexp.MustCompile(`^(?P<file>\S+\.[sS]): Fatal error: (?P<message>.*)$`)},
	{Kconfig, regexp.MustCompile(`^(?P<file>\S*Kconfig[^:\s]*):(?P<line>\d+):\s*(?:error: )?(?P<message>.*)$`)},
	{Modpost, regexp.MustCompile(`^ERROR: modpost: "(?P<symbol>[^"]*)" \[(?P<file>[^\]]+)\] (?P<message>undefined!)$`)},
	{Modpost, regexp.MustCompile(`^ERROR: modpost: (?P<file>[^:\s]+\.k?o): (?P<message>.*)$`)},
	{Modpost, regexp.MustCompile(`^ERROR: modpost: (?P<message>.*)$`)},
	{BTF, regexp.MustCompile(`^(?P<message>FAILED:? .*)$`)},
	{BTF, regexp.MustCompile(`^BTF: [^:]*: (?P<message>.*)$`)},
	{MissingProgram, regexp.MustCompile(`^(?:/bin/(?:ba|da)?sh|\S+\.sh)(?:: (?:line )?\d+)?: (?:exec: )?(?P<program>[^:\s]+): (?P<message>(?:command )?not found)$`)},
	{MissingProgram, regexp.MustCompile(`^make(?:\[\d+\])?: (?P<program>[^:\s]+): (?P<message>No such file or directory)$`)},
	{MissingProgram, regexp.MustCompile(`^env: .(?P<program>[^:\s'"]+).: (?P<message>No such file or directory)$`)},
	{OutOfMemory, regexp.MustCompile(`^\S*(?:gcc|clang)[\w.-]*: (?:fatal )?error: (?P<message>Killed signal terminated program \S+)$`)},
	{Compile, regexp.MustCompile(`^\S*(?:gcc|cc1|clang|as)[\w.-]*: (?:fatal )?error: (?P<message>.*)$`)},
	{Link, regexp.MustCompile(`^\S*\bld(?:\.[\w-]+)?: error: (?P<message>.*)$`)},
	{Link, regexp.MustCompile(`^\S*\bld(?:\.[\w-]+)?: (?P<message>(?:cannot find|final link failed|cannot open|unrecognized|.*: No such file).*)$`)},
	{Makefile, regexp.MustCompile(`^(?P<file>[^:\s]+):(?P<line>\d+): \*\*\* (?P<message>.*?)(?:  Stop\.)?$`)},
	{Kconfig, regexp.MustCompile(`^error: (?P<message>recursive dependency detected!)$`)},
	{Kconfig, regexp.MustCompile(`^\*\*\* (?P<message>Can't .*)$`)},
	{DiskFull, regexp.MustCompile(`^(?P<message>.*No space left on device.*)$`)},
}

var (
	// make[3]: *** [../scripts/Makefile.build:287: virt/kvm/kvm_main.o] Error 1
	makeFailed = regexp.MustCompile(`^make(?:\[\d+\])?: \*\*\* \[(?:[^\]]*: )?([^\]\s]+)\] (.*)$`)
	makeStop   = regexp.MustCompile(`^make(?:\[\d+\])?: \*\*\* (.*?)(?:  Stop\.)?$`)
	waiting    = "Waiting for unfinished jobs"
	// what follows an error and belongs to it
	tail = regexp.MustCompile(`^[ \t]|^>>>|^\S+: note: `)
	// lld says where a symbol is used in a line of its own
	referenced = regexp.MustCompile(`^>>> (?:referenced by|defined at) ([^:\s]+):(\d+)`)
	// what every log has, before and after: the command, the folders of make
	noise = regexp.MustCompile(`^(?:#|make(?:\[\d+\])?: (?:Entering|Leaving) directory )`)
	// where an error line's file was included from, and which function it is in
	lead = regexp.MustCompile(`^(In file included from |\s+from |\S+: (?:In|At) |\S*ld(?:\.\w+)?: .*: in function )`)
)

// matchFault returns the fault that one line of a log tells of.
func matchFault(line string) (Fault, bool) {
	for _, p := range faultPatterns {
		m := p.re.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		f := Fault{Kind: p.kind}
		for i, name := range p.re.SubexpNames() {
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
		if f.Message == "" {
			continue
		}
		if f.Kind == Kconfig && strings.HasPrefix(f.Message, "warning:") {
			continue
		}
		f.File = cleanPath(f.File)
		return f.refine(), true
	}
	return Fault{}, false
}

// cleanPath takes the detours out of the paths that kbuild makes:
// ../arch/x86/kvm/../../../virt/kvm/kvm_main.c.
func cleanPath(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean(p)
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

// maxLogLine is where lines of a log are cut, in bytes: a compiler's command
// may be printed, a binary file may have got into it.
const maxLogLine = 16 << 10

// FirstFault reads the log of a build that failed and returns its first
// error. A log without one gives what make said, or a fault of kind Unknown
// with its last lines; the error is only that of reading.
func FirstFault(r io.Reader) (Fault, error) {
	var s faultScan
	in := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			s.line(strings.TrimRight(strings.ToValidUTF8(string(line), "?"), "\r\n"))
		}
		for long && errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return s.result(), nil
		}
		if err != nil {
			return Fault{}, err
		}
	}
}

// faultScan looks for the first fault in lines.
type faultScan struct {
	found  *Fault
	open   bool     // lines that follow still belong to the fault
	after  int      // lines after the fault that were kept
	lead   []string // lines that may belong to a fault that follows
	recent []string // the last lines that are not kbuild's steps
	stop   string   // what make said first
	target string
}

func (s *faultScan) line(line string) {
	if m := makeFailed.FindStringSubmatch(line); m != nil {
		s.open = false
		if s.target == "" {
			s.target = m[1]
		}
		if s.stop == "" {
			s.stop = strings.TrimSpace(m[2])
		}
		return
	}
	if m := makeStop.FindStringSubmatch(line); m != nil {
		s.open = false
		if s.stop == "" && m[1] != "" && !strings.Contains(line, waiting) {
			s.stop = m[1]
		}
		return
	}
	if noise.MatchString(line) {
		return
	}
	if stepLine.MatchString(line) {
		s.open, s.lead = false, nil
		return
	}
	s.recent = appendBounded(s.recent, line, excerptBefore+excerptAfter)
	if s.found != nil {
		if m := referenced.FindStringSubmatch(line); m != nil && s.open && s.found.File == "" {
			s.found.File = m[1]
			s.found.Line, _ = strconv.Atoi(m[2])
		}
		if s.open && s.after < excerptAfter && tail.MatchString(line) {
			s.found.Excerpt = append(s.found.Excerpt, line)
			s.after++
		} else {
			s.open = false
		}
		return
	}
	if f, ok := matchFault(line); ok {
		f.Excerpt = s.lead
		s.found, s.open = &f, true
		return
	}
	if lead.MatchString(line) {
		s.lead = appendBounded(s.lead, line, excerptBefore)
	} else if !strings.HasPrefix(line, " ") {
		s.lead = nil
	}
}

func appendBounded(list []string, line string, n int) []string {
	list = append(list, line)
	if len(list) > n {
		list = append([]string(nil), list[len(list)-n:]...)
	}
	return list
}

func (s *faultScan) result() Fault {
	if s.found != nil {
		f := *s.found
		f.Target = s.target
		return f
	}
	if s.stop != "" {
		return Fault{Kind: Makefile, Message: "make: " + s.stop, Target: s.target, Excerpt: s.recent}
	}
	return Fault{Kind: Unknown, Message: "the build failed and its log does not say why", Excerpt: s.recent}
}
