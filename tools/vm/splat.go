// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	_ "embed"
	"regexp"
	"strconv"
	"strings"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/progress"
	"vcpulab/tools/tomlfile"
)

// Splat is a complaint of the kernel on its console.
type Splat struct {
	Kind FaultKind `json:"kind"` // one of those in splats.toml
	// Title is its first line, without time stamp, and the function that it
	// happened in where a later line says so.
	Title string `json:"title"`
	Line  int    `json:"line"` // where it begins, counted from 1 in lines of the console
	// By are the contexts that made the accesses of a data race, as KCSAN names
	// them: "task 12", "interrupt". nil is not a data race.
	By []string `json:"by,omitempty"`
	// Func is the function and Where the file and line, as virt/kvm/kvm_main.c:12,
	// of a WARN_ON() and the like; "" where the kernel does not say.
	Func  string `json:"func,omitempty"`
	Where string `json:"where,omitempty"`
	// About tells it from others of its title, if known: the condition or the text of a
	// WARN_ON(), the lock of a report of lockdep, who allocated what leaked.
	About string `json:"about,omitempty"`
	// Caller is the function that called the code that complains, where that is not
	// what the complaint is about: a lock, an allocator, a check of the kernel.
	Caller string `json:"caller,omitempty"`
}

// Same tells whether two kernels complain of the same. A WARN_ON() is known by its function
// and condition: lines move, and any task on any processor may run into it.
func (s Splat) Same(o Splat) bool {
	if s.About != "" && o.About != "" && lasting(s.About) != lasting(o.About) {
		return false
	}
	if s.Caller != "" && o.Caller != "" && s.Caller != o.Caller {
		return false
	}
	if s.Func != "" || o.Func != "" {
		return ownName(s.Func) == ownName(o.Func)
	}
	return lasting(s.Title) == lasting(o.Title)
}

// ownName is a function's name without what the compiler adds: .isra.0, .cold.
func ownName(function string) string {
	name, _, _ := strings.Cut(function, ".")
	return name
}

var (
	// digits differ from one boot to the next: addresses, lines, processors, processes.
	digits = regexp.MustCompile(`0x[0-9a-fA-F]+|[0-9a-f]{8,}|[0-9]+`)
	// ofTask is the name of a task and its number, in the forms of the kernel's
	// headings. A name may have any characters.
	ofTask = regexp.MustCompile(`(^WARNING: |task |process |Comm:|code: |RCU: |atomic: |section: |CPU#\d+, |! \[).{1,64}(?:[:/\[]\d+|  | Pid:\d+)`)
)

// lasting is what remains of a text in another boot.
func lasting(text string) string {
	return digits.ReplaceAllString(ofTask.ReplaceAllString(text, "$1"), "N")
}

const (
	kcsanTitle = "BUG: KCSAN: "                   // begins the report of a data race
	leakTitle  = "kmemleak: unreferenced object " // that of a leak
	lockdepOff = "INFO: lockdep is turned off"    // is in place of the locks that a task holds
	cutHere    = "------------[ cut here ]------------"
	endMark    = "---[ end " // ends a report, which may begin at cutHere
)

//go:embed splats.toml
var splatsText []byte

// splatStart has a group for each of the splats in splats.toml, whose kind is in splatKinds.
var (
	splatStart   *regexp.Regexp
	splatKinds   []FaultKind
	callerWanted *regexp.Regexp // of a heading without the function that is at fault
	helper       *regexp.Regexp // of a function that is not at fault
)

func init() {
	var file struct {
		Splats           [][]string
		Callers, Helpers []string
	}
	tomlfile.Embedded("splats.toml", splatsText, &file)
	var all []string
	for _, s := range file.Splats {
		splatKinds, all = append(splatKinds, FaultKind(s[0])), append(all, "("+s[1]+")")
	}
	anyOf := func(all []string) string { return "^(?:" + strings.Join(all, "|") + ")" }
	splatStart = regexp.MustCompile(anyOf(all))
	callerWanted = regexp.MustCompile(anyOf(file.Callers))
	helper = regexp.MustCompile(anyOf(file.Helpers) + "$")
}

var (
	// oopsAt is where the processor was, such as RIP: 0010:func+0x1/0x2 on x86.
	oopsAt = func() *regexp.Regexp {
		var prefixes []string
		for _, a := range arch.Bootable() {
			prefixes = append(prefixes, a.PC)
		}
		return regexp.MustCompile(`^(?:` + strings.Join(prefixes, "|") + `)([A-Za-z_][\w.]*)\+0x`)
	}()
	// warnAt is where a WARN_ON() is, in the words of this kernel or, with the
	// processor first, of older ones.
	warnAt = regexp.MustCompile(`^WARNING: (?:CPU: \d+ PID: \d+ )?(?:at )?(?:(\S+:\d+) )?(?:at )?([A-Za-z_][\w.]*)\+0x`)
	// accessBy is one side of a data race: write to 0xffff888100a3c1d8 of 4
	// bytes by task 12 on cpu 1:
	accessBy = regexp.MustCompile(`^(?:[a-z -]+)(?: \([a-z, ]+\))? to 0x[0-9a-f]+ of \d+ bytes by (interrupt|task \d+) on cpu \d+:$`)
	// lockAt is the lock that lockdep complains of, rcuAt code that RCU does not protect.
	lockAt = regexp.MustCompile(`^[0-9a-f]{8,} (\(.+?\))\{.*\}-\{\d+:\d+\}, at: ([\w.]+)\+0x`)
	rcuAt  = regexp.MustCompile(`^(\S+):\d+ (suspicious .*!)$`)
	// calledAt is a line of the backtrace of a leak.
	calledAt = regexp.MustCompile(`^    ([A-Za-z_][\w.]*)\+0x[0-9a-f]+/`)
)

// message is one of the kernel's, or what a program printed.
type message struct {
	text string
	at   float64 // seconds since the boot, 0 if it has no time stamp
	by   string  // who printed it, T1 or C0, "" if unknown
}

// stamp is what printk puts before a message: [    1.234567][    T1] ...
var stamp = regexp.MustCompile(`\[ *(\d+\.\d+)\](?:\[ *([TC]\d+)\])? ?`)

// messages cuts up a line of the console. A program may leave text without a newline
// before the kernel's message: a time stamp begins a message wherever it is.
func messages(line []byte) []message {
	text := strings.TrimRight(string(line), "\r\n")
	var all []message
	from, next := 0, message{}
	for _, m := range stamp.FindAllStringSubmatchIndex(text, -1) {
		const micros = len(".123456")
		if time := text[m[2]:m[3]]; m[0] > 0 && len(time)-strings.IndexByte(time, '.') != micros {
			continue // a number in brackets
		}
		if next.text = text[from:m[0]]; next.text != "" {
			all = append(all, next)
		}
		from, next = m[1], message{}
		next.at, _ = strconv.ParseFloat(text[m[2]:m[3]], 64)
		if m[4] >= 0 {
			next.by = text[m[4]:m[5]]
		}
	}
	next.text = text[from:]
	return append(all, next)
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

// maxSplats bounds how many warnings are kept, and how many of the other splats.
const maxSplats = 64

// splatFinder finds the splats of a console, a line at a time.
type splatFinder struct {
	found []Splat
	lines int
	open  bool // the last splat found has not named its function yet
	last  message
	cut   []string // the messages since "cut here"; nil without one
	from  callerFinder

	warnings, fatal int // number found, kept or not
}

func (s *splatFinder) addLine(line []byte) {
	s.lines++
	for _, m := range messages(line) {
		s.add(m)
		s.remember(m)
	}
}

// remember keeps what may turn out to be a warning's condition.
func (s *splatFinder) remember(m message) {
	s.last = m
	switch {
	case m.text == cutHere:
		s.cut, s.last = []string{}, message{}
	case strings.HasPrefix(m.text, " "), strings.HasPrefix(m.text, endMark), strings.HasPrefix(m.text, wire.StartMark), warnAt.MatchString(m.text):
		s.cut, s.last = nil, message{}
	case s.cut != nil:
		s.cut = append(s.cut, m.text)
	}
}

// condition returns what a WARN_ON() printed before its heading. If the console's log level
// hides "cut here", it is the message just before, of the same task.
func (s *splatFinder) condition(m message) string {
	const most, maxLines = 0.01, 3 // seconds, lines
	text := s.last.text
	if s.cut != nil && len(s.cut) <= maxLines {
		text = strings.Join(s.cut, " ")
	} else if s.last.by != m.by || m.at-s.last.at > most {
		return ""
	}
	return progress.Printable(strings.TrimSpace(text))
}

func (s *splatFinder) add(m message) {
	if kind, ok := findSplat(m.text); ok {
		// An oops is announced by several lines, such as BUG: and Oops:. What turned
		// lockdep off was said when it did.
		n := len(s.found)
		if kind == KernelOops && n > 0 && s.found[n-1].Kind == KernelOops && s.open || n > 0 && strings.HasPrefix(m.text, lockdepOff) {
			return
		}
		count := &s.fatal
		if !kind.endsKernel() {
			count = &s.warnings
		}
		*count++
		if s.open = *count <= maxSplats; !s.open {
			s.from = callerFinder{}
			return
		}
		splat := Splat{Kind: kind, Title: progress.Printable(strings.TrimSpace(m.text)), Line: s.lines}
		if at := warnAt.FindStringSubmatch(m.text); at != nil {
			splat.Where, splat.Func, splat.About = at[1], at[2], s.condition(m)
		}
		s.from.begin(n, splat, m.by)
		s.found = append(s.found, splat)
		return
	}
	if caller, ok := s.from.add(m); ok {
		for _, n := range s.from.of {
			s.found[n].Caller = caller
		}
		s.from, s.open = callerFinder{}, false
	}
	if s.open {
		s.open = s.found[len(s.found)-1].detail(m.text)
	}
}

// detail takes what it lacks from a later line of its report.
func (s *Splat) detail(text string) (more bool) {
	if strings.HasPrefix(s.Title, kcsanTitle) {
		if m := accessBy.FindStringSubmatch(text); m != nil {
			s.By = append(s.By, m[1])
		}
		return len(s.By) < 2
	}
	if strings.HasPrefix(s.Title, leakTitle) {
		m := calledAt.FindStringSubmatch(text)
		if m != nil {
			s.About = strings.TrimPrefix(s.About+" < "+m[1], " < ")
		}
		return m != nil || s.About == ""
	}
	if m := oopsAt.FindStringSubmatch(text); m != nil {
		// Where a lock is known, that is what was interrupted.
		if s.About == "" && !strings.Contains(s.Title, m[1]) {
			s.Title += " in " + m[1]
		}
		return false
	}
	for _, about := range []*regexp.Regexp{lockAt, rcuAt} {
		if m := about.FindStringSubmatch(text); m != nil && s.About == "" && s.Func == "" {
			s.About = progress.Printable(m[1] + " " + m[2])
		}
	}
	return !strings.HasPrefix(text, endMark)
}

// worst returns the splat that best explains why a guest ended: the first oops,
// then how init was missing or ended, then a panic, then a warning.
func worst(found []Splat) (Splat, bool) {
	for _, kind := range []FaultKind{KernelOops, NoInit, InitDied, KernelPanic, CheckerFailed, KernelWarning} {
		for _, s := range found {
			if s.Kind == kind {
				return s, true
			}
		}
	}
	return Splat{}, false
}
