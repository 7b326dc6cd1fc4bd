// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommands holds the command lines of typical machines.
func TestCommands(t *testing.T) {
	disk := Args{QEMU: []string{"-drive", "file=a,,b,if=virtio"}, Kernel: []string{"root=/dev/vda"}}
	var out bytes.Buffer
	for _, tt := range []struct {
		name string
		m    Machine
	}{
		{"x86_64", Machine{Arch: X86_64(), Kernel: "vmlinux", Initrd: "initramfs.cpio"}},
		{"x86_64, counting", Machine{Arch: X86_64(), Kernel: "vmlinux", ICount: true, MemMiB: 2048}},
		{"x86_64, four CPUs", Machine{Arch: X86_64(), Kernel: "vmlinux", CPUs: 4, Append: []string{"loglevel=8"}}},
		{"x86_64, KVM", Machine{Arch: X86_64(), Accel: KVM, Kernel: "a kernel", Devices: []Device{disk}}},
		{"arm64", Machine{Arch: ARM64(), Kernel: "Image", Initrd: "initramfs.cpio"}},
		{"arm64, KVM", Machine{Arch: ARM64(), Accel: KVM, Kernel: "Image"}},
		{"riscv64", Machine{Arch: RISCV64(), Kernel: "Image", Initrd: "initramfs.cpio"}},
	} {
		out.WriteString(tt.name + "\n" + tt.m.Command("records, all.jsonl") + "\n\n")
	}
	golden(t, "testdata/commands.golden", out.Bytes())
}

func TestArchByName(t *testing.T) {
	for name, want := range map[string]string{"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "riscv64": "riscv64"} {
		if a, err := ArchByName(name); err != nil || a.Name != want {
			t.Errorf("%s: expected %s, found %s and %v", name, want, a.Name, err)
		}
	}
	if _, err := ArchByName("s390x"); err == nil || !strings.Contains(err.Error(), "[arm64 riscv64 x86_64]") {
		t.Errorf("expected an error that lists what there is, found %v", err)
	}
}

// FuzzQuote asks the shell: what it makes of a quoted command line must be
// the arguments again.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", "two words", "it's", "$HOME `id` \\ \"", "a\nb", "-append", "~", "*", "\x80"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			t.Skip("no argument holds a NUL")
		}
		out, err := exec.Command("/bin/sh", "-c", "printf '%s\\0' "+quote([]string{a, b})).Output()
		if err != nil {
			t.Fatalf("%q %q: %v", a, b, err)
		}
		if diff := cmp.Diff(a+"\x00"+b+"\x00", string(out)); diff != "" {
			t.Errorf("%q %q (-want +got):\n%s", a, b, diff)
		}
	})
}
