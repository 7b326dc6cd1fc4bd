// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// checkers say what is wrong with each of the kernel's checkers, nil if it is on and has
// not given up. root is "" but in tests.
var checkers = map[string]func(root string) error{
	wire.Lockdep: func(root string) error {
		return errors.Join(
			expectField(root+"/proc/lockdep_stats", "debug_locks", is("1")),
			expectField(root+"/sys/module/lockdep/parameters/prove_locking", "", is("1")))
	},
	// They free all objects when they give up, of which there are always some.
	wire.DebugObjects: func(root string) error {
		return expectField(root+"/sys/kernel/debug/debug_objects/stats", "pool_used", atLeast(1))
	},
	// A command that changes nothing is refused once it has given up.
	wire.Kmemleak: func(root string) error { return os.WriteFile(root+kmemleakFile, []byte("stack=on"), 0) },
	wire.KASAN:    kasan,
	wire.KCSAN:    func(root string) error { return expectField(root+"/sys/kernel/debug/kcsan", "enabled", is("1")) },
	wire.FaultInjection: func(root string) error {
		const dir = "/sys/kernel/debug/"
		return errors.Join(
			expectField(root+dir+"failslab/probability", "", atLeast(0)),
			expectField(root+dir+"fail_page_alloc/probability", "", atLeast(0)))
	},
}

// kasan reports the first fault only, unless told to report all; that taints the kernel.
func kasan(root string) error {
	const symbol, tainted = " kasan_report", 1 << 5 // TAINT_BAD_PAGE
	symbols, err := os.Open(root + "/proc/kallsyms")
	if err != nil {
		return err
	}
	defer symbols.Close()
	found := false
	for lines := bufio.NewScanner(symbols); !found && lines.Scan(); {
		found = strings.HasSuffix(lines.Text(), symbol)
	}
	if !found {
		return errors.New("it is not in the kernel")
	}
	if args := strings.Fields(readLine(root + "/proc/cmdline")); slices.Contains(args, wire.KASANMultiShot) {
		return nil
	}
	return expectField(root+"/proc/sys/kernel/tainted", "", func(text string) bool {
		taint, err := strconv.ParseUint(text, 10, 64)
		return err == nil && taint&tainted == 0
	})
}

func is(want string) func(string) bool { return func(text string) bool { return text == want } }

func atLeast(least int) func(string) bool {
	return func(text string) bool {
		n, err := strconv.Atoi(text)
		return err == nil && n >= least
	}
}

// expectField expects of a file a line with a name, a colon and a value that is
// good. Without a name the value is the first line.
func expectField(file, name string, good func(string) bool) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		value := line
		if name != "" {
			field, rest, ok := strings.Cut(line, ":")
			if !ok || strings.TrimSpace(field) != name {
				continue
			}
			value = rest
		}
		if value = strings.TrimSpace(value); good(value) {
			return nil
		}
		return fmt.Errorf("%s: %s", file, strings.TrimSpace(line))
	}
	return fmt.Errorf("%s: expected %q, found %q", file, name, text)
}

func lookAt(root string, names []string) ([]wire.Checker, error) {
	var all []wire.Checker
	for _, name := range names {
		look, ok := checkers[name]
		if !ok {
			return nil, fmt.Errorf("%w: checker %q: unknown to this guest program", wire.ErrInvalid, name)
		}
		c := wire.Checker{Name: name}
		if err := look(root); err != nil {
			c.Wrong = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		all = append(all, c)
	}
	return all, nil
}

// wentOff tells whether checkers went off during a program, and notes it in now.
func wentOff(before, now []wire.Checker, program string) bool {
	off := false
	for i := range now {
		if before[i].Wrong == "" && now[i].Wrong != "" {
			now[i].After, off = program, true
		}
	}
	return off
}

// gaveUp tells whether kmemleak refused a command because it has given up, which
// is no error of the job if the host is told at its end.
func gaveUp(err error, job wire.Exec) bool {
	return errors.Is(err, unix.EPERM) && slices.Contains(job.Checkers, wire.Kmemleak)
}
