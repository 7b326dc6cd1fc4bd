// SPDX-License-Identifier: GPL-2.0-only

// Command faulty ends in the ways in which a test can end. It is run in a
// guest, as root; its argument says how.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	switch how := os.Args[1]; how {
	case "pass":
		fmt.Println("TAP version 13\n1..2\nok 1 one\nok 2 two")
	case "lost":
		fmt.Println("TAP version 13\n1..2\nok 1 one")
	case "fail":
		fmt.Println("TAP version 13\n1..2\nok 1 one\nnot ok 2 two")
		os.Exit(1)
	case "skip":
		fmt.Println("1..0 # SKIP - Requirement not met: has_a_reason()")
		os.Exit(4)
	case "killed":
		must(syscall.Kill(os.Getpid(), syscall.SIGKILL))
		time.Sleep(time.Minute)
	case "endless":
		time.Sleep(time.Hour)
	case "clock":
		fmt.Println("Random seed:", time.Now().Unix())
	case "open":
		// Until an allocation fails: that begins some time after this has.
		for {
			open()
		}
	case "open again":
		for range 2000 {
			open()
		}
	case "panic":
		// The kernel is told to panic when memory runs out, that of a cgroup
		// too; then it does.
		const cgroup = "/sys/fs/cgroup/faulty"
		write("/proc/sys/vm/panic_on_oom", "2")
		write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")
		must(os.Mkdir(cgroup, 0o755))
		write(cgroup+"/memory.max", "16777216")
		write(cgroup+"/cgroup.procs", "0")
		b := make([]byte, 1<<26)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
	case "init":
		// Init is a Go program, which such a signal ends.
		must(syscall.Kill(1, syscall.SIGSEGV))
		time.Sleep(time.Minute)
	case "reset":
		must(syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART))
	case "report":
		// As lockdep does.
		write("/dev/kmsg", "<4>WARNING: possible circular locking dependency detected")
		write("/sys/module/lockdep/parameters/prove_locking", "0")
	case "blind":
		// Switches off what the kernel looks for faults with, as far as it has it.
		for file, text := range map[string]string{
			"/sys/module/lockdep/parameters/prove_locking": "0",
			"/sys/kernel/debug/kmemleak":                   "off",
			"/sys/kernel/debug/kcsan":                      "off",
			"/proc/sys/kernel/tainted":                     "32", // as after a report of KASAN
		} {
			if _, err := os.Stat(file); err == nil {
				write(file, text)
			}
		}
	default:
		fmt.Fprintf(os.Stderr, "faulty: it does not know how to %s\n", how)
		os.Exit(2)
	}
}

func write(file, text string) { must(os.WriteFile(file, []byte(text), 0)) }

func open() {
	f, err := os.Open("/dev/null")
	must(err)
	must(f.Close())
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "faulty:", err)
		os.Exit(3)
	}
}
