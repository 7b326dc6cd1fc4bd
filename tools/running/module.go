// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// ModuleName is the module's name, once it is loaded.
const ModuleName = "vcpuloops"

// Structures whose members the module reads.
var structures = []string{"kvm", "kvm_vcpu"}

// CheckModule looks whether what a module knows of KVM's structures is what KVM has: a kernel that
// was configured again has the same release, and takes modules of before. The error stands for
// exit.MachineLacks if the module was built for another kernel.
func CheckModule(s System, ko string) error {
	base, err := btf.LoadSpec(s.Types())
	if err != nil {
		return fmt.Errorf("read the kernel's types: %w", err)
	}
	kvm := base
	if s.loaded("kvm") {
		if kvm, err = btf.LoadSplitSpec(s.path(kvmTypes), base); err != nil {
			return fmt.Errorf("read the types of kvm: %w", err)
		}
	}
	const next = "build it with what the running kernel was built with, and boot that kernel if it was rebuilt"
	module, err := ModuleTypes(ko, base)
	if err != nil {
		return refuse(fmt.Sprintf("%s: %v", filepath.Base(ko), err), next)
	}
	for _, name := range structures {
		var has, knows *btf.Struct
		if (Types{kvm, base}).Find(name, &has) != nil {
			return refuse(fmt.Sprintf("the types of kvm have no struct %s", name), "is KVM loaded, and is it the kernel's own?")
		}
		// What is the same as the kernel's the module does not have itself.
		if module.own.TypeByName(name, &knows) != nil {
			continue
		}
		if why := differs(has, knows); why != "" {
			return refuse(fmt.Sprintf("%s is not for the kernel that runs: struct %s: %s", filepath.Base(ko), name, why), next)
		}
	}
	return nil
}

// Types are those of a module, and the kernel's, on which they are based.
type Types struct{ own, base *btf.Spec }

// Find looks a structure up. What is the same as the kernel's the module does not
// have itself.
func (t Types) Find(name string, to **btf.Struct) error {
	err := t.own.TypeByName(name, to)
	if errors.Is(err, btf.ErrNotFound) {
		err = t.base.TypeByName(name, to)
	}
	if err != nil {
		return fmt.Errorf("struct %s: %w", name, err)
	}
	return nil
}

// ModuleTypes reads the types of a module, which are based on the kernel's, or on
// what newer tools put into the module of them.
func ModuleTypes(ko string, kernel *btf.Spec) (Types, error) {
	out := Types{base: kernel}
	types, err := section(ko, ".BTF")
	if err != nil {
		return out, err
	}
	base := kernel
	own, err := section(ko, ".BTF.base")
	if err == nil {
		base, err = btf.LoadSpecFromReader(bytes.NewReader(own))
	}
	if err == nil || errors.Is(err, errNoSection) {
		out.own, err = btf.LoadSplitSpecFromReader(bytes.NewReader(types), base)
	}
	return out, err
}

// CountsMemory says whether a module can count what VMs take, which is in its
// own description.
func CountsMemory(ko string) (bool, error) {
	data, err := section(ko, ".modinfo")
	return bytes.Contains(append([]byte{0}, data...), []byte("\x00memory=counted\x00")), err
}

// errNoSection means that an ELF file lacks a section.
var errNoSection = errors.New("no such section")

func section(name, section string) ([]byte, error) {
	f, err := elf.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := f.Section(section)
	if s == nil {
		return nil, fmt.Errorf("%w: %s", errNoSection, section)
	}
	return s.Data()
}

// differs says in what a structure is another one than the kernel's, as far as
// those that read it must agree, "" if in nothing.
func differs(kernel, module *btf.Struct) string {
	for i, m := range kernel.Members {
		if i >= len(module.Members) || m.Name != module.Members[i].Name || m.Offset != module.Members[i].Offset {
			return fmt.Sprintf("the kernel has the member %q at byte %d, the module does not", m.Name, m.Offset/8)
		}
	}
	if kernel.Size != module.Size || len(kernel.Members) != len(module.Members) {
		return fmt.Sprintf("the kernel has %d members in %d bytes, the module %d in %d",
			len(kernel.Members), kernel.Size, len(module.Members), module.Size)
	}
	return ""
}

// Load loads the module.
func Load(ko string) error {
	f, err := os.Open(ko)
	if err != nil {
		return err
	}
	defer f.Close()
	return loadError(filepath.Base(ko), unix.FinitModule(int(f.Fd()), "", 0))
}

// loadError says what to do about a module that the kernel does not take.
func loadError(name string, err error) error {
	if err == nil {
		return nil
	}
	next := "the last lines of dmesg may say more"
	switch {
	case errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.ENOKEY):
		next = "the kernel takes signed modules only: turn secure boot off, or boot without module.sig_enforce"
	case errors.Is(err, unix.EPERM):
		next = "the kernel is locked down, or loading modules is turned off until the next boot"
	case errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		next = "it is not for the kernel that runs: " + next
	case errors.Is(err, unix.EEXIST):
		next = "unload it if no other measurement is running: rmmod " + ModuleName
	}
	return refuse(fmt.Sprintf("load %s: %v", name, err), next)
}

// unloadFor is how long the kernel may hold on to the module after the last
// probe and descriptor are gone: probes let go of it after a grace period.
const (
	unloadFor  = 20 * time.Second
	unloadPoll = 20 * time.Millisecond
)

// ErrStays means that the module could not be unloaded.
var ErrStays = errors.New("the module " + ModuleName + " stays loaded")

// Unload unloads the module, and waits for what still holds it. That it is not
// loaded is good. The error is an ErrStays.
func Unload() error {
	var err error
	for waited := time.Duration(0); waited < unloadFor; waited += unloadPoll {
		err = unix.DeleteModule(ModuleName, unix.O_NONBLOCK)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("%w: %v; try rmmod %s", ErrStays, err, ModuleName)
		}
		time.Sleep(unloadPoll)
	}
	return fmt.Errorf("%w: something holds it: %v; try rmmod %s", ErrStays, err, ModuleName)
}
