// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/arch"
)

// TestSymbolAt asks nm where the functions of a small program lie.
func TestSymbolAt(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "program")
	gcc := exec.Command("gcc", "-x", "c", "-O1", "-nostdlib", "-static", "-no-pie", "-o", exe, "-")
	gcc.Stdin = strings.NewReader("int one(int a) { return a * 3; } int two(int a) { return a / 3; } void _start(void) { for (;;) ; }")
	if out, err := gcc.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED FOR LACK OF gcc: %v\n%s", err, out)
	}
	out, err := exec.Command("nm", exe).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[1] != "T" || strings.HasPrefix(f[2], "_") && f[2] != "_start" {
			continue
		}
		if got := symbolAt(exe, "0x"+f[0]); got == f[2] {
			found++
		} else if f[2] == "one" || f[2] == "two" || f[2] == "_start" {
			t.Errorf("expected %s at %s, found %q", f[2], f[0], got)
		}
	}
	if found < 3 {
		t.Errorf("expected three functions, found %d in\n%s", found, out)
	}
	for kernel, addr := range map[string]string{exe: "0x1", "/nope": "0x1000", "/etc/passwd": "0x1000"} {
		if got := symbolAt(kernel, addr); got != "" {
			t.Errorf("%s in %s: found %q", addr, kernel, got)
		}
	}
	if got := symbolAt(exe, "sixteen"); got != "" {
		t.Errorf("no address: found %q", got)
	}
}

// FuzzMonitor: whatever QEMU's monitor says, asking it comes to an end.
func FuzzMonitor(f *testing.F) {
	f.Add([]byte(`{"QMP":{}}` + "\n" + `{"event":"SHUTDOWN","data":{"reason":"guest-reset"}}` + "\n" + `{"id":"a","return":{"status":"running"}}` + "\n"))
	f.Add([]byte("{]"))
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		go func() { _, _ = theirs.Write(said); theirs.Close() }()
		m := qmpMonitor{f: ours, in: json.NewDecoder(ours)}
		m.read("a")
	})
}

// FuzzProgramCounters: registers as QEMU prints them.
func FuzzProgramCounters(f *testing.F) {
	f.Add("CPU#0\nRAX=0000000000000000\nRIP=ffffffff81000000 RFL=00000246\n")
	f.Fuzz(func(_ *testing.T, registers string) {
		for _, a := range arch.Bootable() {
			programCounters(a, registers)
		}
	})
}
