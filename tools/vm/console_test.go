// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files, and take consoles from real guests")

// golden compares got with a file, or writes the file.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// TestConsoles reads what real guests said: testdata/console holds their
// consoles and, in the golden files, the Fault or null.
func TestConsoles(t *testing.T) {
	logs, err := filepath.Glob("testdata/console/*.log")
	if err != nil || len(logs) == 0 {
		t.Fatalf("no consoles: %v", err)
	}
	for _, file := range logs {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			whole := newConsole(maxConsole, nil)
			_, _ = whole.Write(data)
			whole.close()
			// How the bytes are cut must not matter.
			pieces := newConsole(maxConsole, nil)
			for _, b := range data {
				_, _ = pieces.Write([]byte{b})
			}
			pieces.close()
			if diff := cmp.Diff(whole.splats(), pieces.splats()); diff != "" {
				t.Errorf("byte by byte it differs:\n%s", diff)
			}
			// As if the run had ended well otherwise.
			res := &Result{Splats: whole.splats(), Console: whole.text()}
			out := evidence{good: true, result: res}.fault()
			text, err := json.MarshalIndent(out, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".log")+".golden", append(text, '\n'))
		})
	}
}

// errTest stands for a stream that stopped.
var errTest = iotest.ErrTimeout

// TestFindSplat holds lines that begin a splat, and lines that look so.
func TestFindSplat(t *testing.T) {
	for line, want := range map[string]FaultKind{
		"[    1.224896] BUG: kernel NULL pointer dereference, address: 0000000000000000":                         KernelOops,
		"[    1.22][    T1] BUG: KASAN: slab-use-after-free in kvm_get_vcpu+0x10/0x20":                           KernelOops,
		"[   12.345678][ C1] BUG: KCSAN: data-race in a / b":                                                     KernelWarning,
		"BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591":                       KernelWarning,
		"[    3.0] WARNING: arch/x86/kvm/x86.c:12 at kvm_arch_vcpu_create+0x10/0x20 [kvm], CPU#1: test/42":       KernelWarning,
		"[    3.0] WARNING: at faulty_warn+0xc/0x20 [faulty], CPU#0: init/1":                                     KernelWarning,
		"[    3.0] WARNING: CPU: 0 PID: 1 at virt/kvm/kvm_main.c:100 kvm_destroy_vm+0x1/0x2 [kvm]":               KernelWarning,
		"WARNING: possible circular locking dependency detected":                                                 KernelWarning,
		"kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)":                                KernelWarning,
		"[    1.000000] kmemleak: Cannot allocate a scan area, scanning the full object":                         "",
		"WARNING: suspicious RCU usage":                                                                          KernelWarning,
		"WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected":                                            KernelWarning,
		"rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:":                                                  KernelWarning,
		"INFO: task kvm-test:77 blocked for more than 120 seconds.":                                              KernelWarning,
		"watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]":                                             KernelWarning,
		"[    0.9] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000":         KernelOops,
		"[    0.9] Internal error: Oops: 0000000096000046 [#1] PREEMPT SMP":                                      KernelOops,
		"[    0.9] Kernel panic - not syncing: Oops: Fatal exception":                                            KernelPanic,
		"[    0.9] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b":                      InitDied,
		"[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)":               NoInit,
		"[    0.9] Kernel panic - not syncing: Requested init /x failed (error -2).":                             NoInit,
		"[    0.9] ACPI BIOS Error (bug): Could not resolve symbol":                                              "",
		"[    0.9] warning: process `x' used the deprecated sysctl system call":                                  "",
		"[    0.9] Spectre V2 : WARNING: Unprivileged eBPF is enabled":                                           "",
		"[    0.9] WARNING: Kernel not compiled with CONFIG_X":                                                   "",
		"[    0.9] **   NOTICE NOTICE NOTICE   **":                                                               "",
		"[    4.812401][  T101] [ BUG: Invalid wait context ]":                                                   KernelWarning,
		"[  243.106401][   T29] INFO: task CPU 0/KVM:412 blocked for more than 120 seconds.":                     KernelWarning,
		"[  301.550120][   T29] INFO: task vm_destroy_race:77 can't die for more than 143 seconds.":              KernelWarning,
		"ok 7 vcpu_id_test[   12.301944][  T88] BUG: kernel NULL pointer dereference, address: 0000000000000018": KernelOops,
		"vcpulab: start bug_test":                                "",
		"not ok 1 Kernel panic - not syncing: said by a program": "",
	} {
		if got, _ := findSplat(kernelMessage([]byte(line + "\r"))); got != want {
			t.Errorf("%s: expected %q, found %q", line, want, got)
		}
	}
}

// TestConsoleIsBounded: a guest that talks without end fills no memory.
func TestConsoleIsBounded(t *testing.T) {
	c := newConsole(1000, nil)
	line := strings.Repeat("x", 99) + "\n"
	for range 10000 {
		_, _ = c.Write([]byte(line))
		_, _ = c.Write([]byte("WARNING: CPU: 0 PID: 1 at x\n"))
		_, _ = c.Write([]byte(strings.Repeat("y", 10000)))
	}
	_, _ = c.Write([]byte("\nKernel panic - not syncing: at last"))
	if c.fatal() {
		t.Error("the last line was taken before it was complete")
	}
	c.close()
	if n := len(c.text()); n > 1100 {
		t.Errorf("%d bytes are kept", n)
	}
	if n := len(c.splats()); n != maxSplats+1 {
		t.Errorf("expected %d splats and the panic, found %d", maxSplats, n)
	}
	if !c.fatal() {
		t.Error("the panic at the end was not seen")
	}
}

func TestExcerptLines(t *testing.T) {
	var text strings.Builder
	for range 100 {
		text.WriteString("before\r\n")
	}
	text.WriteString("\x1b[31mred\x1b[0m \x00 caf\u00e9\r\n")
	got := excerpt(text.String(), Hang, false)
	if len(got) != tailLines || got[len(got)-1] != `\x1b[31mred\x1b[0m \x00 café` {
		t.Errorf("found %d lines, the last %q", len(got), got[len(got)-1])
	}
	if got := excerpt("\r\n\r\n", Hang, false); got != nil {
		t.Errorf("expected nothing, found %q", got)
	}
}

func FuzzConsole(f *testing.F) {
	logs, _ := filepath.Glob("testdata/console/*.log")
	for _, file := range logs {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 7)
	}
	f.Add([]byte("[    0.1] Kernel panic - not syncing: \xff\x00\r\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if piece <= 0 {
			piece = 1
		}
		whole, pieces := newConsole(4096, nil), newConsole(4096, nil)
		_, _ = whole.Write(data)
		whole.close()
		for rest := data; len(rest) > 0; {
			n := min(piece, len(rest))
			_, _ = pieces.Write(rest[:n])
			rest = rest[n:]
		}
		pieces.close()
		if diff := cmp.Diff(whole.splats(), pieces.splats()); diff != "" {
			t.Fatalf("cut in pieces of %d it differs:\n%s", piece, diff)
		}
		if n := len(whole.text()); n > 4096+64 {
			t.Fatalf("%d bytes are kept", n)
		}
		f := evidence{good: true, guest: whole.guestReason(), result: &Result{Splats: whole.splats(), Console: whole.text()}, streamErr: errTest}.fault()
		if f == nil || len(f.Lines) > splatLines || strings.ContainsAny(f.Error(), "\x00\x1b\r") {
			t.Fatalf("a fault that cannot be shown: %+v", f)
		}
	})
}
