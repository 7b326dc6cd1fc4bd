// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	_ "embed"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/progress"
	"vcpulab/tools/tomlfile"
)

// Limits of what is kept of a console, in bytes.
const (
	// maxConsole bounds the console that is kept.
	maxConsole = 1 << 20
	// maxConsoleLine bounds a line that is searched for splats.
	maxConsoleLine = 4 << 10
)

// console keeps a bounded part of what a serial port sends and looks for splats
// line by line, so that a fault is seen as it arises. It is safe for use by
// several goroutines.
type console struct {
	live io.Writer // gets everything as it comes; may be nil

	mu    sync.Mutex
	kept  *wire.Excerpt
	part  []byte // of the line that is not yet complete
	seen  splatFinder
	guest string // why the guest program gave up, "" if it did not say
}

func newConsole(limit int, live io.Writer) *console {
	return &console{kept: wire.NewExcerpt(limit), live: live}
}

// Write never fails: a full disk behind live must not hide what the kernel
// printed.
func (c *console) Write(p []byte) (int, error) {
	if c.live != nil {
		_, _ = c.live.Write(p)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.kept.Write(p)
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		if room := maxConsoleLine - len(c.part); room < len(line) {
			line = line[:room]
		}
		c.part = append(c.part, line...)
		if ended {
			c.endLine()
		}
	}
	return len(p), nil
}

// endLine searches the line that is complete.
func (c *console) endLine() {
	c.seen.addLine(c.part)
	if c.guest == "" && bytes.HasPrefix(c.part, []byte(wire.FatalPrefix)) {
		c.guest = strings.TrimSpace(string(c.part[len(wire.FatalPrefix):]))
	}
	c.part = c.part[:0]
}

// close ends the last line if nothing else did: a panic may be cut short.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.part) > 0 {
		c.endLine()
	}
}

// splats returns what was found so far.
func (c *console) splats() []Splat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen.found)
}

// fatal tells whether the kernel has printed that it will not go on.
func (c *console) fatal() bool {
	return slices.ContainsFunc(c.splats(), func(s Splat) bool { return s.Kind != KernelWarning })
}

// guestReason returns why the guest program gave up.
func (c *console) guestReason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guest
}

func (c *console) text() string {
	return strings.ReplaceAll(c.kept.String(), "\r\n", "\n")
}

// Lines of the console that a Fault carries.
const (
	tailLines   = 24
	splatLines  = 48
	splatBefore = 3
)

// excerpt returns the lines of text that tell most: from a little before the
// first splat of a kind if it is about one, else the last ones.
func excerpt(text string, about FaultKind, isSplat bool) []string {
	text = progress.Printable(strings.ReplaceAll(strings.TrimRight(text, "\r\n\x00"), "\r", ""))
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		if len(lines[i]) > 512 {
			lines[i] = lines[i][:512] + "..."
		}
	}
	// Lines are looked for by their text: what was left out of the middle has
	// moved the numbers.
	first := slices.IndexFunc(lines, func(l string) bool { kind, _ := findSplat(kernelMessage([]byte(l))); return kind == about })
	if isSplat && first >= 0 {
		lines = lines[max(0, first-splatBefore):]
		return lines[:min(len(lines), splatLines)]
	}
	return lines[max(0, len(lines)-tailLines):]
}

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
			title := progress.Printable(strings.TrimSpace(msg))
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
