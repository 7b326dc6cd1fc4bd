// SPDX-License-Identifier: GPL-2.0-only

// Package unittests makes tests of package selftest of KVM's unit tests, kvm-unit-tests:
// guests without an operating system, each run by QEMU with KVM, i.e. here by a QEMU in
// the guest with the kernel that is tested.
//
// See docs/unittests.md in their tree for what they are configured by.
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
	// Name is that of the section, File that of the program, apic.flat.
	Name, File string
	// CPUs are the processors of its guest.
	CPUs int
	// Args are what the program is given; Params are QEMU's own.
	Args   string
	Params []string
	// Timeout is how long it may run on real hardware.
	Timeout time.Duration
	// Skip says why it cannot be run here, "" if it can.
	Skip string
}

// Bounds of a unittests.cfg, and what it leaves out.
const (
	maxLine        = 1 << 16
	maxCPUs        = 512
	defaultTimeout = 90 * time.Second
)

var (
	section  = regexp.MustCompile(`^\[([A-Za-z0-9_][A-Za-z0-9_.-]*)\]$`)
	setting  = regexp.MustCompile(`^([a-z_]+) *= *(.*)$`)
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
		if m := section.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			if slices.ContainsFunc(entries, func(e Entry) bool { return e.Name == m[1] }) {
				return nil, fmt.Errorf("line %d: there are two of %s", at, m[1])
			}
			entries = append(entries, Entry{Name: m[1], CPUs: 1, Timeout: defaultTimeout})
			continue
		}
		m := setting.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || len(entries) == 0 {
			continue
		}
		value := m[2]
		if rest, block := strings.CutPrefix(value, `"""`); block {
			for value = rest; more && !strings.Contains(value, `"""`); value += "\n" + line {
				line, more = next()
			}
			value, _, _ = strings.Cut(value, `"""`)
		}
		if err := entries[len(entries)-1].set(m[1], value); err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
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

// set takes a setting. Those that are not known say nothing of how the program is run.
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
			skip("its guest has processors that are not a number: " + value)
		}
		e.CPUs = n
	case "test_args":
		words, err := shellquote.Split(value)
		if err != nil {
			return fmt.Errorf("test_args: %w", err)
		}
		e.Args = strings.Join(words, " ")
	case "qemu_params", "extra_params":
		words, err := shellquote.Split(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if strings.ContainsAny(value, "$`") {
			skip("a shell is to make up its parameters: " + value)
		}
		e.Params = words
	case "timeout":
		d, err := time.ParseDuration(strings.TrimRight(value, "s") + "s")
		if err != nil || d < 0 {
			return fmt.Errorf("timeout: expected seconds, found %q", value)
		}
		if d > 0 {
			e.Timeout = d
		}
	case "arch":
		if value != "x86_64" {
			skip("it is for " + value)
		}
	case "accel":
		if value != "kvm" {
			skip("it is for " + value)
		}
	case "check":
		skip("it needs " + value)
	case "disabled_if":
		skip("a shell is to tell whether it can be run: " + value)
	case "groups":
		for _, group := range strings.Fields(value) {
			switch group {
			case "nodefault":
				skip("its authors have it run by hand only")
			case "migration", "panic", "pv-host":
				skip("it needs more than one QEMU: " + group)
			}
		}
	}
	return nil
}
