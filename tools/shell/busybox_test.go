// SPDX-License-Identifier: GPL-2.0-only

package shell

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/exit"
)

// TestCheckBusybox takes headers for kernels and programs.
func TestCheckBusybox(t *testing.T) {
	dir := t.TempDir()
	program := func(name string, machine elf.Machine, segment elf.ProgType) string {
		h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
		copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
		var b bytes.Buffer
		for _, part := range []any{h, elf.Prog64{Type: uint32(segment)}} {
			if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b.Bytes(), 0o755); err != nil {
			t.Fatal(err)
		}
		return file
	}
	kernel := program("vmlinux", elf.EM_X86_64, elf.PT_LOAD)
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 0\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}

	for name, tt := range map[string]struct{ file, want string }{
		"static":    {file: program("busybox", elf.EM_X86_64, elf.PT_LOAD)},
		"a script":  {file: script, want: "bad magic number"},
		"missing":   {file: "/nope", want: "/nope"},
		"another's": {file: program("arm", elf.EM_AARCH64, elf.PT_LOAD), want: "arm is for EM_AARCH64, and the guest is EM_X86_64"},
		"dynamic":   {file: program("dynamic", elf.EM_X86_64, elf.PT_INTERP), want: "dynamic needs libraries, which the guest has not"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckBusybox(tt.file, kernel)
			if tt.want == "" && err == nil {
				return
			}
			if err == nil || tt.want == "" || !strings.Contains(err.Error(), tt.want) || exit.Code(err) != exit.MachineLacks {
				t.Errorf("expected an error with %q and code %d, found %v", tt.want, exit.MachineLacks, err)
			}
		})
	}
}
