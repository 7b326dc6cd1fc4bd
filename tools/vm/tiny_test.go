// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// A tiny guest is some bytes of 32-bit x86 code that QEMU starts by PVH. It
// says what it is told to on the serial console and on a debug port that
// stands for the record port, and ends as it is told to: all that Run has to
// cope with, in a tenth of a second and without a kernel.
type tiny []byte

// Where a tiny guest lies, and its six zero bytes: an empty table of
// interrupts, with which the next interrupt is a triple fault.
const (
	tinyBase   = 0x100000
	tinyHeader = 52 + 2*32 // ELF header and two program headers
	tinyZeros  = 8
	tinyStart  = tinyBase + tinyHeader + tinyZeros
)

const (
	portSerial  = 0x3f8
	portRecords = 0xe9
)

func say(port uint32, text string) tiny {
	code := binary.LittleEndian.AppendUint32(tiny{0xba}, port) // mov edx, port
	for _, b := range []byte(text) {
		code = append(code, 0xb0, b, 0xee) // mov al, b; out dx, al
	}
	return code
}

func console1(text string) tiny { return say(portSerial, text) }
func record1(text string) tiny  { return say(portRecords, text) }

var (
	halt  = tiny{0xfa, 0xf4, 0xeb, 0xfd}                              // cli; again: hlt; jmp again
	spin  = tiny{0xeb, 0xfe}                                          // again: jmp again
	babel = tiny{0xba, 0xf8, 0x03, 0, 0, 0xb0, 'x', 0xee, 0xeb, 0xfd} // endless text on the console
	reset = append(binary.LittleEndian.AppendUint32(tiny{0x0f, 0x01, 0x1d}, tinyBase+tinyHeader), 0xcc)
)

// speech is a run that goes well: hello and end, then a reset.
func speech(t *testing.T, status wire.Status) string {
	t.Helper()
	var b bytes.Buffer
	enc := wire.NewEncoder(&b, nil)
	for _, r := range []wire.Record{
		{Kind: wire.KindHello, Hello: &wire.Hello{Version: wire.Version, Job: wire.JobBoot, Kernel: "tiny"}},
		{Kind: wire.KindSample, Sample: &wire.Sample{Type: "answer", Data: []byte("42")}},
		{Kind: wire.KindEnd, End: &wire.End{Status: status}},
	} {
		if err := enc.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// elf returns a kernel image: ELF32 with a note that says where PVH enters.
func (code tiny) elf() []byte {
	note := []uint32{4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */, 0x006e6558 /* Xen */, tinyStart}
	size := uint32(tinyHeader + tinyZeros + len(code) + 4*len(note))
	noteAt := size - uint32(4*len(note))
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	put([]uint16{2, 3}) // an executable for the 386
	put([]uint32{1, tinyStart, 52, 0, 0})
	put([]uint16{52, 32, 2, 40, 0, 0})
	put([]uint32{1, 0, tinyBase, tinyBase, size, size, 7, 4})                                                          // PT_LOAD
	put([]uint32{4, noteAt, tinyBase + noteAt, tinyBase + noteAt, uint32(4 * len(note)), uint32(4 * len(note)), 4, 4}) // PT_NOTE
	b.Write(make([]byte, tinyZeros))
	b.Write(code)
	put(note)
	return b.Bytes()
}

// machine returns a machine with the guest made of parts. The test is skipped
// where QEMU is not installed.
func machine(t testing.TB, parts ...tiny) Machine {
	t.Helper()
	arch := X86_64()
	needQEMU(t, arch)
	file := filepath.Join(t.TempDir(), "tiny.elf")
	if err := os.WriteFile(file, tiny(bytes.Join(asBytes(parts), nil)).elf(), 0o644); err != nil {
		t.Fatal(err)
	}
	return Machine{Arch: arch, Kernel: file, MemMiB: 32, recordDevice: debugPort}
}

func asBytes(parts []tiny) [][]byte {
	out := make([][]byte, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

func debugPort(file string) Device {
	return Args{QEMU: []string{
		"-chardev", "file,id=records,path=" + quoteOption(file),
		"-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=records", portRecords),
	}}
}

// needQEMU skips a test where an architecture's QEMU is missing, and says so.
func needQEMU(t testing.TB, arch Arch) {
	t.Helper()
	if _, err := exec.LookPath(arch.QEMU); err != nil {
		t.Skipf("SKIPPED FOR LACK OF %s: install Debian's package %s, or run \"make test\", which does", strings.ToUpper(arch.QEMU), arch.Package)
	}
}
