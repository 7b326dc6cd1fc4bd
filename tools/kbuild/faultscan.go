// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"cmp"
	_ "embed"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/tomlfile"
)

//go:embed faults.toml
var faultsText []byte

// faultPattern recognizes one form of error, a line of faults.toml.
type faultPattern struct {
	kind Kind
	re   *regexp.Regexp
}

var faultPatterns = func() (patterns []faultPattern) {
	var file struct{ Faults [][]string }
	tomlfile.Embedded("faults.toml", faultsText, &file)
	for _, f := range file.Faults {
		patterns = append(patterns, faultPattern{Kind(f[0]), regexp.MustCompile(f[1])})
	}
	return patterns
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
	lines := scanLines(r)
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

// scanLines returns a scanner of make's output, in which package program splits
// longer lines.
func scanLines(r io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	return lines
}
