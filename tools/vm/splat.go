// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	_ "embed"
	"regexp"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/tomlfile"
)

// Splat is a complaint of the kernel on its console.
type Splat struct {
	// Kind is one of KernelPanic, KernelOops, KernelWarning, NoInit and
	// InitDied.
	Kind FaultKind `json:"kind"`
	// Title is its first line, without time stamp, and the function that it
	// happened in where a later line says so.
	Title string `json:"title"`
	// Line is where it begins, counted from 1 in lines of the console.
	Line int `json:"line"`
	// By are the contexts that made the accesses of a data race, as KCSAN names
	// them: "task 12", "interrupt". nil is not a data race.
	By []string `json:"by,omitempty"`
}

// kcsanTitle begins the report of a data race.
const kcsanTitle = "BUG: KCSAN: "

//go:embed splats.toml
var splatsText []byte

// splatStart has a group for each line of splats.toml, whose kind is in splatKinds.
var splatStart, splatKinds = func() (*regexp.Regexp, []FaultKind) {
	var file struct{ Splats [][]string }
	tomlfile.Embedded("splats.toml", splatsText, &file)
	var all []string
	var kinds []FaultKind
	for _, s := range file.Splats {
		kinds, all = append(kinds, FaultKind(s[0])), append(all, "("+s[1]+")")
	}
	return regexp.MustCompile("^(?:" + strings.Join(all, "|") + ")"), kinds
}()

var (
	// stamp is what printk puts before a line: [    1.234567][    T1] ...
	stamp = regexp.MustCompile(`^(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?`)
	// laterStamp is the same after text that a program left without a newline.
	laterStamp = regexp.MustCompile(`^.*\S(\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )`)
	// oopsAt is where the processor was, such as RIP: 0010:func+0x1/0x2 on x86.
	oopsAt = func() *regexp.Regexp {
		var prefixes []string
		for _, a := range arch.Bootable() {
			prefixes = append(prefixes, a.PC)
		}
		return regexp.MustCompile(`^(?:` + strings.Join(prefixes, "|") + `)([A-Za-z_][\w.]*)\+0x`)
	}()
	// accessBy is one side of a data race: write to 0xffff888100a3c1d8 of 4
	// bytes by task 12 on cpu 1:
	accessBy = regexp.MustCompile(`^(?:[a-z -]+)(?: \([a-z, ]+\))? to 0x[0-9a-f]+ of \d+ bytes by (interrupt|task \d+) on cpu \d+:$`)
)

// kernelMessage takes the time stamp and the line ending off a console line.
func kernelMessage(line []byte) string {
	line = bytes.TrimRight(line, "\r\n")
	if m := laterStamp.Find(line); m != nil {
		return string(line[len(m):])
	}
	return string(line[len(stamp.Find(line)):])
}

// findSplat tells whether a splat begins with this message.
func findSplat(msg string) (kind FaultKind, ok bool) {
	groups := splatStart.FindStringSubmatchIndex(msg)
	for i, kind := range splatKinds {
		if groups != nil && groups[2*i+2] >= 0 {
			return kind, kind != ""
		}
	}
	return "", false
}

// maxSplats bounds how many warnings of one console are kept, and how many of
// the other splats.
const maxSplats = 64

// splatFinder finds the splats of a console, a line at a time.
type splatFinder struct {
	found []Splat
	lines int
	open  bool // the last splat found has not named its function yet

	warnings, fatal int // number found, kept or not
}

// addLine searches the next line of the console.
func (s *splatFinder) addLine(line []byte) {
	s.lines++
	msg := kernelMessage(line)
	if kind, ok := findSplat(msg); ok {
		// An oops is announced by several lines, such as BUG: and Oops:.
		if n := len(s.found); kind == KernelOops && n > 0 && s.found[n-1].Kind == KernelOops && s.open {
			return
		}
		count := &s.fatal
		if kind == KernelWarning {
			count = &s.warnings
		}
		*count++
		if s.open = *count <= maxSplats; s.open {
			title := strings.Map(printable, strings.TrimSpace(msg))
			s.found = append(s.found, Splat{Kind: kind, Title: title, Line: s.lines})
		}
		return
	}
	if !s.open {
		return
	}
	last := &s.found[len(s.found)-1]
	if strings.HasPrefix(last.Title, kcsanTitle) {
		if m := accessBy.FindStringSubmatch(msg); m != nil {
			last.By = append(last.By, m[1])
		}
		s.open = len(last.By) < 2
		return
	}
	if m := oopsAt.FindStringSubmatch(msg); m != nil {
		if !strings.Contains(last.Title, m[1]) {
			last.Title += " in " + m[1]
		}
		s.open = false
	} else if strings.HasPrefix(msg, "---[ end ") {
		s.open = false
	}
}

// worst returns the splat that best explains why a guest ended: the first oops,
// then how init was missing or ended, then a panic, then a warning.
func worst(found []Splat) (Splat, bool) {
	for _, kind := range []FaultKind{KernelOops, NoInit, InitDied, KernelPanic, KernelWarning} {
		for _, s := range found {
			if s.Kind == kind {
				return s, true
			}
		}
	}
	return Splat{}, false
}
