// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Arch is what kbuild must know of an architecture. It is a value: copies are
// equal, and the zero value is no architecture.
type Arch struct {
	// Name is what `uname -m` prints, "x86_64".
	Name string `json:"name"`
	// Make is kbuild's ARCH=, "x86_64" or "arm64".
	Make string `json:"make"`
	// Source is the folder below arch/ in the kernel's source.
	Source string `json:"source"`
	// Cross is the prefix of a cross compiler's programs, as Debian names
	// them: "aarch64-linux-gnu-". It is not used on a machine of the same
	// architecture.
	Cross string `json:"cross"`
	// GoArch is GOARCH for programs that run under the kernel.
	GoArch string `json:"goarch"`
	// Image is what a boot loader loads, as target of make and as path
	// relative to the output folder.
	ImageTarget string `json:"imageTarget"`
	ImagePath   string `json:"imagePath"`
	// Selftests says whether tools/testing/selftests/kvm has tests for it.
	Selftests bool `json:"selftests"`
	// Compiler is what kernels are compiled with unless a [Spec] says
	// otherwise; "" is [GCC].
	Compiler string `json:"compiler,omitempty"`
	// steps is about how many lines kbuild prints for the configurations
	// in ci/config from nothing: the estimate until a build was measured.
	steps int
}

// arches are the known architectures. The image of x86_64 is vmlinux, which
// QEMU starts by PVH: a bzImage costs 50 more files and 3 s of compression to
// build and boots slower. x86_64, arm64 and riscv64 have fragments in
// ci/config; KVM of the others can be compiled, but their kernels are not
// booted here. gcc 12, which Debian 12 has, does not know riscv64's vector
// extension, without which KVM does not compile.
var arches = []Arch{
	{Name: "x86_64", Make: "x86_64", Source: "x86", Cross: "x86_64-linux-gnu-", GoArch: "amd64",
		ImageTarget: "vmlinux", ImagePath: "vmlinux", Selftests: true, steps: 1770},
	{Name: "aarch64", Make: "arm64", Source: "arm64", Cross: "aarch64-linux-gnu-", GoArch: "arm64",
		ImageTarget: "Image", ImagePath: "arch/arm64/boot/Image", Selftests: true, steps: 1500},
	{Name: "s390x", Make: "s390", Source: "s390", Cross: "s390x-linux-gnu-", GoArch: "s390x",
		ImageTarget: "bzImage", ImagePath: "arch/s390/boot/bzImage", Selftests: true},
	{Name: "ppc64le", Make: "powerpc", Source: "powerpc", Cross: "powerpc64le-linux-gnu-", GoArch: "ppc64le",
		ImageTarget: "vmlinux", ImagePath: "vmlinux"},
	{Name: "riscv64", Make: "riscv", Source: "riscv", Cross: "riscv64-linux-gnu-", GoArch: "riscv64",
		ImageTarget: "Image", ImagePath: "arch/riscv/boot/Image", Selftests: true,
		Compiler: "clang-19", steps: 1400},
	{Name: "loongarch64", Make: "loongarch", Source: "loongarch", Cross: "loongarch64-linux-gnu-", GoArch: "loong64",
		ImageTarget: "vmlinux.efi", ImagePath: "arch/loongarch/boot/vmlinux.efi", Selftests: true},
	{Name: "mips64el", Make: "mips", Source: "mips", Cross: "mips64el-linux-gnuabi64-", GoArch: "mips64le",
		ImageTarget: "vmlinux", ImagePath: "vmlinux"},
}

// Arches returns the known architectures.
func Arches() []Arch { return slices.Clone(arches) }

// FindArch returns the architecture that goes by name in `uname -m`, in
// kbuild or in Go: "aarch64" and "arm64" are the same, and so are "x86_64"
// and "amd64".
func FindArch(name string) (Arch, error) {
	var names []string
	for _, a := range arches {
		if name == a.Name || name == a.Make || name == a.GoArch {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return Arch{}, fmt.Errorf("architecture %q is not known; known are %s", name, strings.Join(names, ", "))
}

// HostArch returns the architecture of this machine.
func HostArch() (Arch, error) { return FindArch(runtime.GOARCH) }

// Fragments returns the configuration fragments of an architecture in dir,
// which is ci/config: what all have in common, then its own.
func (a Arch) Fragments(dir string) []string {
	own := a.Make
	if a.Name == "riscv64" {
		own = a.Name // kbuild's riscv is 32 bits as well
	}
	return []string{filepath.Join(dir, "common.config"), filepath.Join(dir, own+".config")}
}

// crossPrefix returns the prefix of the compiler's programs on this machine,
// "" for the machine's own.
func (a Arch) crossPrefix() string {
	if a.GoArch == runtime.GOARCH {
		return ""
	}
	return a.Cross
}
