// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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
	// What follows an error and belongs to it.
	tail = regexp.MustCompile(`^[ \t]|^>>>|^\S+: note: `)
	// lld prints in another line where a symbol is used.
	referenced = regexp.MustCompile(`^>>> (?:referenced by|defined at) ([^:\s]+):(\d+)`)
	// What every log has before and after: the command, make's directories.
	noise = regexp.MustCompile(`^(?:#|make(?:\[\d+\])?: (?:Entering|Leaving) directory )`)
	// Where an error line's file was included from, and which function it is in.
	lead = regexp.MustCompile(`^(In file included from |\s+from |\S+: (?:In|At) |\S*ld(?:\.\w+)?: .*: in function )`)
)

// matchFault returns the fault that a line of a log reports.
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
		if f.Message == "" || f.Kind == Kconfig && strings.HasPrefix(f.Message, "warning:") {
			continue
		}
		if f.File != "" {
			// kbuild's paths have detours:
			// ../arch/x86/kvm/../../../virt/kvm/kvm_main.c.
			f.File = path.Clean(f.File)
		}
		return f.refine(), true
	}
	return Fault{}, false
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
	var s faultScan
	lines := scanLines(r)
	for lines.Scan() {
		line := lines.Text()
		s.line(strings.ToValidUTF8(line[:min(len(line), maxLogLine)], "?"))
	}
	return s.result(), lines.Err()
}

// scanLines returns a scanner of make's output, in which package program splits
// longer lines.
func scanLines(r io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	return lines
}

// faultScan looks for the first fault in lines.
type faultScan struct {
	found  *Fault
	sparse bool     // lines that follow are sparse's, which does not fail a build
	open   bool     // lines that follow still belong to the fault
	after  int      // lines after the fault that were kept
	lead   []string // lines that may belong to a fault that follows
	recent []string // the last lines that are not kbuild's steps
	stop   string   // what make said first
	target string
}

func (s *faultScan) line(line string) {
	if m := makeFailed.FindStringSubmatch(line); m != nil {
		s.open, s.sparse = false, false
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
	if m := stepLine.FindStringSubmatch(line); m != nil {
		s.open, s.lead, s.sparse = false, nil, m[1] == stepCheck
		return
	}
	if s.sparse || noise.MatchString(line) {
		return
	}
	s.recent = appendLast(s.recent, line, excerptBefore+excerptAfter)

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
		s.lead = appendLast(s.lead, line, excerptBefore)
	} else if !strings.HasPrefix(line, " ") {
		s.lead = nil
	}
}

// appendLast appends a line and keeps the last n.
func appendLast(list []string, line string, n int) []string {
	list = append(list, line)
	return slices.Clone(list[max(0, len(list)-n):])
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
