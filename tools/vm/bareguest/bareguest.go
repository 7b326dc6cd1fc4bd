// SPDX-License-Identifier: GPL-2.0-only

// Package bareguest makes guests without a kernel, of some bytes of 32-bit x86
// code that QEMU starts by PVH. They print on the serial console and on a debug
// port in the place of the record port, and end as they are told to: all that
// callers of vm have to cope with, in a tenth of a second.
package bareguest

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
)

// Code is a part of a guest. The parts are run one after the other.
type Code []byte

// Where a guest lies, and its zero bytes: an empty table of interrupts, with
// which the next interrupt is a triple fault.
const (
	base   = 0x100000
	header = 52 + 2*32 // ELF header and two program headers
	zeros  = 8
	start  = base + header + zeros
)

// Ports that a guest writes to.
const (
	Serial  = 0x3f8
	records = 0xe9
)

// Arch returns x86_64 with the debug port that Record writes to.
func Arch() arch.Arch {
	a := arch.X86_64()
	a.QEMU.DebugPort = records
	return a
}

// Say writes text on a port.
func Say(port uint32, text string) Code {
	code := binary.LittleEndian.AppendUint32(Code{0xba}, port) // mov edx, port
	for _, b := range []byte(text) {
		code = append(code, 0xb0, b, 0xee) // mov al, b; out dx, al
	}
	return code
}

// Record writes text, which need not be a record, on the record port.
func Record(text string) Code { return Say(records, text) }

// How a guest ends, or does not.
var (
	Halt   = Code{0xfa, 0xf4, 0xeb, 0xfd}                              // cli; again: hlt; jmp again
	Spin   = Code{0xeb, 0xfe}                                          // again: jmp again
	Babble = Code{0xba, 0xf8, 0x03, 0, 0, 0xb0, 'x', 0xee, 0xeb, 0xfd} // endless text on the console
	Reset  = append(binary.LittleEndian.AppendUint32(Code{0x0f, 0x01, 0x1d}, base+header), 0xcc)
)

// Records returns records as the guest program writes them.
func Records(records ...wire.Record) (string, error) {
	var b bytes.Buffer
	enc := wire.NewEncoder(&b, nil)
	for _, r := range records {
		if err := enc.Send(r); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// Write writes a kernel image made of parts: ELF32 with a note that says where PVH enters.
func Write(file string, parts ...Code) error {
	code := slices.Concat(parts...)
	note := []uint32{4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */, 0x006e6558 /* Xen */, start}
	size := uint32(header + zeros + len(code) + 4*len(note))
	noteAt := size - uint32(4*len(note))
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	put([]uint16{2, 3}) // an executable for the 386
	put([]uint32{1, start, 52, 0, 0})
	put([]uint16{52, 32, 2, 40, 0, 0})
	put([]uint32{1, 0, base, base, size, size, 7, 4})                                                          // PT_LOAD
	put([]uint32{4, noteAt, base + noteAt, base + noteAt, uint32(4 * len(note)), uint32(4 * len(note)), 4, 4}) // PT_NOTE
	b.Write(make([]byte, zeros))
	b.Write(code)
	put(note)
	return os.WriteFile(file, b.Bytes(), 0o644)
}
