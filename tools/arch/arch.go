// SPDX-License-Identifier: GPL-2.0-only

// Package arch is the table of the architectures whose KVM is built, booted
// and tested. It is the only list of them: whatever differs between
// architectures is a field of [Arch].
//
// A new architecture is an entry in arch.toml, a kernel configuration
// ci/config/NAME.config if it is booted, a column ci/matrix/NAME.config, and a
// group of packages in ci/packages.toml.
package arch

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"vcpulab/tools/tomlfile"
)

// All is what users write for all architectures.
const All = "all"

// Arch is an architecture; the zero value is none. In JSON it is its name alone.
type Arch struct {
	Name   string `json:"name"` // ours, "arm64": in flags, reports and names of files
	Uname  string `json:"-"`    // what `uname -m` prints
	GoArch string `json:"-"`    // GOARCH for programs that run under the kernel
	Debian string `json:"-"`    // dpkg's name, which is in the names of cross libraries
	// Group is the packages that it takes to build for it elsewhere; "" for x86_64.
	Group string `json:"-"`

	Make string `json:"-"` // kbuild's ARCH=, "riscv"
	// Source is the directory below arch/ in the kernel's source, and below
	// the directory of KVM's selftests.
	Source string `json:"-"`
	// Cross is the prefix of Debian's cross compiler, see [Arch.CrossPrefix].
	Cross       string `json:"-"`
	Compiler    string `json:"-"` // of kernels, "" is gcc
	ImageTarget string `json:"-"` // makes what is booted, as a target of make
	ImagePath   string `json:"-"` // where that is in the output directory
	// Steps is about how many lines make prints for ci/config from nothing: an
	// estimate until a build has been measured.
	Steps int `json:"-"`

	Selftests  bool     `json:"-"` // KVM's selftests have tests for it
	QuickTests []string `json:"-"` // those that use the lookups and take seconds

	// KVMModules bring KVM where it is not built in. The first is the one for
	// TCG, and for hosts that have no other's processor flag.
	KVMModules []KVMModule `json:"-"`
	// QEMU boots its kernels. It is zero where KVM cannot run under TCG.
	QEMU QEMU `json:"-"`
	// PC finds the function in a line of an oops that says where the processor
	// was: a regular expression, of which the function is what follows.
	PC string `json:"-"`
}

// KVMModule is a module that brings KVM for hosts with a processor flag.
type KVMModule struct{ Name, CPUFlag string }

// QEMU says how an architecture's kernels are booted.
type QEMU struct {
	Program      string   // its name
	Package      string   // Debian's
	Console      string   // the guest's name of the serial console
	TCG, KVM     Hardware // with each accelerator
	Append       []string // kernel arguments
	AppendICount []string // further ones when instructions are counted
	// PC finds the program counter in `info registers`: a regular expression,
	// of which the value is what follows.
	PC string
	// Interrupts is what the monitor is asked for the timer of a processor and its
	// interrupts that are requested or in service, %d is its number; "" for nothing.
	Interrupts string
	// DebugPort is an I/O port that takes records in the place of the
	// virtio-serial port, for guests that have no virtio; 0 for none.
	DebugPort uint16
}

// Hardware is what QEMU makes up a guest from.
type Hardware struct {
	Machine string // -machine
	CPU     string // -cpu
}

//go:embed arch.toml
var tableText []byte

// table is ordered as reports are.
var table = func() []Arch {
	var file struct{ Arch []Arch }
	tomlfile.Embedded("arch.toml", tableText, &file)
	return file.Arch
}()

// Arches returns all architectures.
func Arches() []Arch { return slices.Clone(table) }

// Bootable returns the architectures whose kernels can be booted.
func Bootable() []Arch {
	return slices.DeleteFunc(Arches(), func(a Arch) bool { return !a.Boots() })
}

// Tested returns the bootable architectures that KVM has selftests for.
func Tested() []Arch {
	return slices.DeleteFunc(Bootable(), func(a Arch) bool { return !a.Selftests })
}

// Names returns the names of architectures, separated by commas.
func Names(arches []Arch) string {
	names := make([]string, len(arches))
	for i, a := range arches {
		names[i] = a.Name
	}
	return strings.Join(names, ", ")
}

// Sources returns [Arch.Source] of all architectures.
func Sources() []string {
	var dirs []string
	for _, a := range table {
		dirs = append(dirs, a.Source)
	}
	return dirs
}

// Groups returns the groups of packages of architectures, separated by commas.
func Groups() string {
	return Names(slices.DeleteFunc(Arches(), func(a Arch) bool { return a.Group == "" }))
}

// Find returns the architecture with this name here, in `uname -m`, in kbuild or in Go.
func Find(name string) (Arch, error) {
	return find(table, name)
}

// FindAmong is Find for one of some architectures, or with [All] for these.
func FindAmong(among []Arch, name string) ([]Arch, error) {
	if name == All {
		return among, nil
	}
	a, err := find(among, name)
	if other, known := Find(name); err != nil && known == nil {
		return nil, fmt.Errorf("architecture %s cannot be used here: expected one of %s, %s", other.Name, Names(among), All)
	}
	if err != nil {
		return nil, fmt.Errorf("%w, %s", err, All)
	}
	return []Arch{a}, nil
}

func find(among []Arch, name string) (Arch, error) {
	for _, a := range among {
		if name != "" && slices.Contains([]string{a.Name, a.Uname, a.Make, a.GoArch}, name) {
			return a, nil
		}
	}
	return Arch{}, fmt.Errorf("unknown architecture %q: expected one of %s", name, Names(among))
}

// X86_64 returns the architecture that figures are measured on.
func X86_64() Arch { return table[0] }

// Host returns the architecture of this machine.
func Host() (Arch, error) { return Find(runtime.GOARCH) }

// IsHost tells whether this machine has the architecture.
func (a Arch) IsHost() bool { return a.GoArch == runtime.GOARCH }

// Boots tells whether its kernels can be booted.
func (a Arch) Boots() bool { return a.QEMU.Program != "" }

// CrossPrefix returns the prefix of the compiler's programs on this machine,
// "" for the machine's own compiler.
func (a Arch) CrossPrefix() string {
	if a.IsHost() {
		return ""
	}
	return a.Cross
}

// Fragments returns the configuration fragments of its kernels in dir: what
// all architectures have in common, then its own.
func (a Arch) Fragments(dir string) []string {
	return []string{filepath.Join(dir, "common.config"), filepath.Join(dir, a.Name+".config")}
}

// HasTest tells whether a selftest is for all architectures or for this one, by the name
// of its directory: up to Linux 6.13 that was uname's.
func (a Arch) HasTest(test string) bool {
	dir := filepath.Dir(test)
	return dir == "." || dir == a.Source || dir == a.Uname
}

// UnmarshalJSON finds the architecture by its name.
func (a *Arch) UnmarshalJSON(data []byte) error {
	var of struct{ Name string }
	if err := json.Unmarshal(data, &of); err != nil {
		return err
	}
	found, err := Find(of.Name)
	if err == nil {
		*a = found
	}
	return err
}
