// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/vm/bareguest"
)

// code is a part of a guest that needs no kernel.
type code = bareguest.Code

var halt, spin, babble, reset = bareguest.Halt, bareguest.Spin, bareguest.Babble, bareguest.Reset

func console1(text string) code { return bareguest.Say(bareguest.Serial, text) }
func record1(text string) code  { return bareguest.Record(text) }

// speech is all records of a run, of which fault is the error.
func speech(t *testing.T, fault string) string {
	t.Helper()
	text, err := bareguest.Records(
		wire.Record{Hello: &wire.Hello{Version: wire.Version, Kernel: "tiny"}},
		wire.Record{Log: "42"},
		wire.Record{End: &wire.End{Message: fault}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// machine returns a machine with the guest made of parts. The test is skipped
// where QEMU is not installed.
func machine(t testing.TB, parts ...code) Machine {
	t.Helper()
	needQEMU(t, bareguest.Arch())
	file := filepath.Join(t.TempDir(), "guest.elf")
	if err := bareguest.Write(file, parts...); err != nil {
		t.Fatal(err)
	}
	return Machine{Arch: bareguest.Arch(), Kernel: file, MemMiB: 32}
}

// needQEMU skips a test where an architecture's QEMU is missing.
func needQEMU(t testing.TB, a arch.Arch) {
	t.Helper()
	if _, err := exec.LookPath(a.QEMU.Program); err != nil {
		t.Skipf("SKIPPED FOR LACK OF %s: install Debian's package %s, or run \"make test\", which does", strings.ToUpper(a.QEMU.Program), a.QEMU.Package)
	}
}

// testArch finds an architecture that can be booted.
func testArch(name string) arch.Arch {
	found, err := arch.FindAmong(arch.Bootable(), name)
	if err != nil {
		panic(err)
	}
	return found[0]
}
