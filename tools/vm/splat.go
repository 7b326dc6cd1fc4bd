// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/arch"
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

// complaint is one way in which a splat begins.
type complaint struct {
	kind   FaultKind
	prefix string // of the line without its time stamp
}

// kcsanTitle begins the report of a data race.
const kcsanTitle = "BUG: KCSAN: "

// complaints are tried in order: the first whose prefix matches counts. The
// texts are the pinned kernel's.
var complaints = [...]complaint{
	{InitDied, "Kernel panic - not syncing: Attempted to kill init!"},
	{NoInit, "Kernel panic - not syncing: No working init found"},
	{NoInit, "Kernel panic - not syncing: Requested init "},
	{NoInit, "Kernel panic - not syncing: VFS: Unable to mount root fs"},
	{KernelPanic, "Kernel panic - not syncing: "},

	{KernelWarning, kcsanTitle}, // a race, after which the kernel goes on
	{KernelWarning, "BUG: sleeping function called from invalid context"},
	{KernelWarning, "BUG: scheduling while atomic"},
	{KernelWarning, "BUG: workqueue lockup"},
	{KernelWarning, "BUG: Bad page state"},
	{KernelWarning, "BUG: Bad rss-counter state"},
	{KernelWarning, "BUG: spinlock "},
	{KernelWarning, "BUG: memory leak"},
	{KernelWarning, "BUG: MAX_LOCK"},
	{KernelWarning, "[ BUG: "}, // lockdep's headings in brackets
	{KernelOops, "BUG: "},
	{KernelOops, "kernel BUG at "},
	{KernelOops, "Oops: "},
	{KernelOops, "Oops - "},
	{KernelOops, "Oops ["},
	{KernelOops, "general protection fault"},
	{KernelOops, "invalid opcode: "},
	{KernelOops, "divide error: "},
	{KernelOops, "stack segment: "},
	{KernelOops, "int3: "},
	{KernelOops, "PANIC: double fault"},
	{KernelOops, "Unable to handle kernel "},
	{KernelOops, "Internal error: "},
	{KernelOops, "Insufficient stack space to handle exception"},

	{KernelWarning, "WARNING: possible "},
	{KernelWarning, "WARNING: inconsistent lock state"},
	{KernelWarning, "WARNING: suspicious RCU usage"},
	{KernelWarning, "WARNING: bad unlock balance"},
	{KernelWarning, "WARNING: bad contention"},
	{KernelWarning, "WARNING: held lock freed"},
	{KernelWarning, "WARNING: lock held when returning to user space"},
	{KernelWarning, "WARNING: Nested lock was not taken"},
	{KernelWarning, "WARNING: chain_key collision"},
	{KernelWarning, "UBSAN: "},
	{KernelWarning, "KCSAN: "},
	{KernelWarning, "kmemleak: "},
	{KernelWarning, "rcu: INFO: "},
	{KernelWarning, "INFO: rcu_"},
	{KernelWarning, "INFO: trying to register non-static key"},
	{KernelWarning, "watchdog: BUG: "},
	{KernelWarning, "watchdog: CPU"},
	{KernelWarning, "unchecked MSR access error"},
	{KernelWarning, "refcount_t: "},
	{KernelWarning, "list_add corruption"},
	{KernelWarning, "list_del corruption"},
}

var (
	// stamp is what printk puts before a line: [    1.234567][    T1] ...
	stamp = regexp.MustCompile(`^(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?`)
	// laterStamp is the same after text that a program left without a newline.
	laterStamp = regexp.MustCompile(`^.*\S(\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )`)
	// warnAt is a WARN_ON(): WARNING: file.c:12 at func+0x1/0x2, CPU#0: init/1,
	// without the file when the kernel does not know it, or in older kernels
	// WARNING: CPU: 0 PID: 1 at file.c:12 func+0x1/0x2.
	warnAt = regexp.MustCompile(`^WARNING: (?:CPU: \d|.*\bat .*, CPU#\d)`)
	// lockWarn is one of lockdep's with names in front.
	lockWarn = regexp.MustCompile(`^WARNING: \S+(?:-safe -> \S+-unsafe lock order detected|/\d+ still has locks held!)`)
	// hungTask may have a name with spaces: INFO: task CPU 0/KVM:412 blocked
	// for more than 120 seconds.
	hungTask = regexp.MustCompile(`^INFO: task .+:\d+ (?:blocked|can't die) for more than `)
	// oopsAt is where the processor was, such as RIP: 0010:func+0x1/0x2 on x86.
	oopsAt = regexp.MustCompile(`^(?:` + strings.Join(oopsPrefixes(), "|") + `)([A-Za-z_][\w.]*)\+0x`)
	// accessBy is one side of a data race: write to 0xffff888100a3c1d8 of 4
	// bytes by task 12 on cpu 1:
	accessBy = regexp.MustCompile(`^(?:[a-z -]+)(?: \([a-z, ]+\))? to 0x[0-9a-f]+ of \d+ bytes by (interrupt|task \d+) on cpu \d+:$`)
)

// oopsPrefixes are the beginnings of oopsAt on all architectures.
func oopsPrefixes() []string {
	var prefixes []string
	for _, a := range arch.Bootable() {
		prefixes = append(prefixes, a.PC)
	}
	return prefixes
}

// kernelMessage takes the time stamp and the line ending off a console line.
func kernelMessage(line []byte) string {
	line = bytes.TrimRight(line, "\r\n")
	if m := laterStamp.Find(line); m != nil {
		return string(line[len(m):])
	}
	return string(line[len(stamp.Find(line)):])
}

// harmless are messages that begin like a splat. If a test makes allocations
// fail, kmemleak cannot note which part of an object to scan and scans all of it.
var harmless = [...]string{
	"kmemleak: Cannot allocate a scan area, scanning the full object",
}

// findSplat tells whether a splat begins with this message.
func findSplat(msg string) (FaultKind, bool) {
	if slices.Contains(harmless[:], msg) {
		return "", false
	}
	for _, c := range complaints {
		if strings.HasPrefix(msg, c.prefix) {
			return c.kind, true
		}
	}
	if warnAt.MatchString(msg) || lockWarn.MatchString(msg) || hungTask.MatchString(msg) {
		return KernelWarning, true
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
