// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"testing"

	"vcpulab/tools/arch"
)

// TestCommands holds the command lines of typical machines.
func TestCommands(t *testing.T) {
	var out bytes.Buffer
	for _, tt := range []struct {
		name string
		m    Machine
	}{
		{"x86_64", Machine{Arch: arch.X86_64(), Kernel: "vmlinux", Initrd: "initramfs.cpio"}},
		{"x86_64, counting", Machine{Arch: arch.X86_64(), Kernel: "vmlinux", ICount: true, MemMiB: 2048}},
		{"x86_64, four CPUs", Machine{Arch: arch.X86_64(), Kernel: "vmlinux", CPUs: 4, Append: []string{"loglevel=8"}}},
		{"x86_64, files of the host", Machine{Arch: arch.X86_64(), Kernel: "bzImage", HostRoot: true}},
		{"x86_64, files of the host and others", Machine{Arch: arch.X86_64(), Kernel: "bzImage", HostRoot: true, HostLayer: "/a, b"}},
		{"x86_64, KVM", Machine{Arch: arch.X86_64(), Accel: KVM, Kernel: "a kernel"}},
		{"arm64", Machine{Arch: testArch("arm64"), Kernel: "Image", Initrd: "initramfs.cpio"}},
		{"arm64, GICv2", Machine{Arch: testArch("arm64"), Kernel: "Image", Options: "gic-version=2"}},
		{"arm64, KVM", Machine{Arch: testArch("arm64"), Accel: KVM, Kernel: "Image"}},
		{"ppc64le", Machine{Arch: testArch("ppc64le"), Kernel: "vmlinux", Initrd: "initramfs.cpio"}},
		{"riscv64", Machine{Arch: testArch("riscv64"), Kernel: "Image", Initrd: "initramfs.cpio"}},
	} {
		out.WriteString(tt.name + "\n" + tt.m.Command("records, all.jsonl") + "\n\n")
	}
	golden(t, "testdata/commands.golden", out.Bytes())
}
