// SPDX-License-Identifier: GPL-2.0-only

// Package unittests builds kvm-unit-tests and describes each as a test of package selftest:
// a guest without an operating system, run by QEMU with KVM, i.e. here by a QEMU in the
// guest with the kernel that is tested.
//
// See docs/unittests.md in their tree for the format of what they are configured by.
package unittests

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
)

// Entry is a section of a unittests.cfg: a program and how QEMU runs it.
type Entry struct {
	Name, File string        // of the section, and of the program, apic.flat
	CPUs       int           // of its guest
	Args       string        // what the program is given
	Params     []string      // QEMU's own
	Timeout    time.Duration // how long it may run on real hardware
	Skip       string        // why it cannot be run here, "" if it can
}

// Bounds of a unittests.cfg, and what it leaves out.
const (
	maxLine        = 1 << 16
	maxCPUs        = 512
	defaultTimeout = 90 * time.Second
	maxTimeout     = 24 * time.Hour
)

var (
	section  = regexp.MustCompile(`^\[([A-Za-z0-9_][A-Za-z0-9_.-]*)\]$`)
	setting  = regexp.MustCompile(`^([a-z_]+) *= *(.*)$`)
	duration = regexp.MustCompile(`^([0-9]{1,9})([smhd]?)$`)
	fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// Read reads a unittests.cfg. Names are unique, and neither name nor file has a slash.
func Read(r io.Reader) ([]Entry, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var entries []Entry
	at := 0
	next := func() (string, bool) {
		at++
		more := lines.Scan()
		return lines.Text(), more
	}
	for line, more := next(); more; line, more = next() {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "[") {
			m := section.FindStringSubmatch(line)
			if m == nil {
				return nil, fmt.Errorf("line %d: invalid section %q", at, line)
			}
			if slices.ContainsFunc(entries, func(e Entry) bool { return e.Name == m[1] }) {
				return nil, fmt.Errorf("line %d: duplicate section %q", at, m[1])
			}
			entries = append(entries, Entry{Name: m[1], CPUs: 1, Timeout: defaultTimeout})
			continue
		}
		m := setting.FindStringSubmatch(line)
		if m == nil || len(entries) == 0 {
			continue
		}
		value, start := m[2], at
		if rest, block := strings.CutPrefix(value, `"""`); block {
			for value = rest; more && !strings.Contains(value, `"""`); value += "\n" + line {
				line, more = next()
			}
			var closed bool
			if value, _, closed = strings.Cut(value, `"""`); !closed {
				return nil, fmt.Errorf(`line %d: no closing """`, start)
			}
		}
		if err := entries[len(entries)-1].set(m[1], value); err != nil {
			return nil, fmt.Errorf("line %d: %w", start, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", at, err)
	}
	for i := range entries {
		if e := &entries[i]; e.File == "" {
			return nil, fmt.Errorf("%s has no file", e.Name)
		}
	}
	return entries, nil
}

// set takes a setting. A test with one that is not known is not run.
func (e *Entry) set(key, value string) error {
	skip := func(why string) {
		if e.Skip == "" {
			e.Skip = why
		}
	}
	switch key {
	case "file":
		if !fileName.MatchString(value) {
			return fmt.Errorf("expected the name of a program, found %q", value)
		}
		e.File = value
	case "smp":
		// $MAX_SMP and "4,sockets=2" are for the machine that the tests know.
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxCPUs {
			skip("unsupported number of processors: " + value)
		}
		e.CPUs = n
	case "test_args", "qemu_params", "extra_params":
		words, err := shellquote.Split(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if key == "test_args" {
			e.Args = strings.Join(words, " ")
			break
		}
		if strings.ContainsAny(value, "$`") {
			skip("its parameters need a shell: " + value)
		}
		e.Params = words
	case "timeout":
		m := duration.FindStringSubmatch(value)
		if m == nil {
			return fmt.Errorf("timeout: expected a number and s, m, h or d, found %q", value)
		}
		n, _ := strconv.Atoi(m[1])
		unit := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		if n > 0 { // 0 is no limit
			e.Timeout = time.Duration(min(n, int(maxTimeout/unit))) * unit
		}
	case "arch", "accel":
		if value != "x86_64" && key == "arch" || value != "kvm" && key == "accel" {
			skip("it is for " + value)
		}
	case "check":
		skip("it needs " + value)
	case "disabled_if":
		skip("its disabled_if needs a shell: " + value)
	case "groups":
		for _, group := range strings.Fields(value) {
			switch group {
			case "nodefault":
				skip("not run by default (group nodefault)")
			case "migration", "panic", "pv-host":
				skip("its group needs another runner: " + group)
			}
		}
	default:
		skip("unknown setting: " + key)
	}
	return nil
}
