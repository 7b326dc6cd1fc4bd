// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
	guest "vcpulab/tools/vm/tiny"
)

// tiny is a part of a guest that needs no kernel.
type tiny = guest.Code

var halt, spin, babel, reset = guest.Halt, guest.Spin, guest.Babble, guest.Reset

func console1(text string) tiny { return guest.Console(text) }
func record1(text string) tiny  { return guest.Record(text) }

// speech is a run that goes well: hello and end, then a reset.
func speech(t *testing.T, status wire.Status) string {
	t.Helper()
	text, err := guest.Records(
		wire.Record{Kind: wire.KindHello, Hello: &wire.Hello{Version: wire.Version, Job: wire.JobBoot, Kernel: "tiny"}},
		wire.Record{Kind: wire.KindSample, Sample: &wire.Sample{Type: "answer", Data: []byte("42")}},
		wire.Record{Kind: wire.KindEnd, End: &wire.End{Status: status}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// machine returns a machine with the guest made of parts. The test is skipped
// where QEMU is not installed.
func machine(t testing.TB, parts ...tiny) Machine {
	t.Helper()
	arch := X86_64().WithDebugPort(guest.PortRecords)
	needQEMU(t, arch)
	file := filepath.Join(t.TempDir(), "tiny.elf")
	if err := guest.Write(file, parts...); err != nil {
		t.Fatal(err)
	}
	return Machine{Arch: arch, Kernel: file, MemMiB: 32}
}

// needQEMU skips a test where an architecture's QEMU is missing, and says so.
func needQEMU(t testing.TB, arch Arch) {
	t.Helper()
	if _, err := exec.LookPath(arch.QEMU); err != nil {
		t.Skipf("SKIPPED FOR LACK OF %s: install Debian's package %s, or run \"make test\", which does", strings.ToUpper(arch.QEMU), arch.Package)
	}
}
