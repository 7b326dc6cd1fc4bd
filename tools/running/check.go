// SPDX-License-Identifier: GPL-2.0-only

// Package running is about the kernel that runs on the machine: whether it can be
// measured, what it and the machine are like, and the module with the loops in
// it, which it loads and unloads.
//
// All that is read of the machine is files. A System says where they are, so
// that a directory can stand in for a machine in tests.
package running

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// obstacles are reasons why the running kernel cannot be measured, each with what to
// do about it.
type obstacles []string

func (o *obstacles) add(is bool, why, next string) {
	if is {
		*o = append(*o, why+": "+next)
	}
}

// refused says that the running kernel cannot be measured, and that nothing was
// changed: the machine lacks something.
func (o obstacles) refused() error {
	return exit.With(exit.MachineLacks, errors.New("the running kernel cannot be measured\n  "+strings.Join(o, "\n  ")))
}

func refuse(why, next string) error { return obstacles{why + ": " + next}.refused() }

// needed are the capabilities that loading modules, and BPF programs that trace, takes.
var needed = []struct {
	number int
	name   string
}{
	{unix.CAP_SYS_MODULE, "CAP_SYS_MODULE"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{unix.CAP_BPF, "CAP_BPF"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
}

const clockFolder = "sys/devices/system/clocksource/clocksource0/" // has the clock sources

// Check looks whether the running kernel can be measured, as far as that is known before the module
// is built, and changes nothing. The error has all that stands against it, for exit.MachineLacks.
func Check(s System) error {
	var o obstacles
	caps, _ := strconv.ParseUint(s.field("proc/self/status", "CapEff"), 16, 64)
	var missing []string
	for _, n := range needed {
		if caps&(1<<n.number) == 0 {
			missing = append(missing, n.name)
		}
	}
	o.add(caps == 0, "not root", `run it with sudo env "PATH=$PATH", which finds the same programs`)
	o.add(caps != 0 && len(missing) > 0, "no "+strings.Join(missing, ", "), "run it as root outside of containers")

	o.add(!s.exists("dev/kvm"), "no /dev/kvm", "modprobe kvm_amd or kvm_intel; without either the processor, or the firmware's setup, offers no virtualization")
	o.add(!s.exists("proc/modules"), "the kernel takes no modules", "boot one with CONFIG_MODULES and CONFIG_MODULE_UNLOAD")
	o.add(s.line("proc/sys/kernel/modules_disabled") == "1", "/proc/sys/kernel/modules_disabled is 1",
		"no module can be loaded until the next boot: boot without what sets it")
	// "kvm 1400832 - - Live 0x0": its users are not counted.
	f := strings.Fields(s.line("proc/modules"))
	o.add(len(f) > 2 && f[2] == "-", "the kernel never unloads a module", "boot one with CONFIG_MODULE_UNLOAD")
	o.add(s.loaded(ModuleName), "a module "+ModuleName+" is loaded", "unload it if no other measurement is running: rmmod "+ModuleName)
	o.add(s.line("sys/module/module/parameters/sig_enforce") == "Y", "the kernel takes signed modules only",
		"boot without module.sig_enforce, or a kernel without CONFIG_MODULE_SIG_FORCE")
	// "none [integrity] confidentiality"
	lockdown := s.line("sys/kernel/security/lockdown")
	o.add(lockdown != "" && !strings.Contains(lockdown, "[none]"), "the kernel is locked down: "+lockdown,
		"turn secure boot off, or boot without lockdown=")

	o.add(!s.exists("sys/kernel/btf/vmlinux"), "no /sys/kernel/btf/vmlinux",
		"boot a kernel with CONFIG_DEBUG_INFO_BTF: probes attach to functions that have a type")
	o.add(s.loaded("kvm") && !s.exists(kvmTypes), "no /"+kvmTypes, "boot a kernel with CONFIG_DEBUG_INFO_BTF_MODULES, or with CONFIG_KVM=y")
	// A kernel without ftrace refuses the probes.
	o.add(s.line("proc/sys/kernel/ftrace_enabled") == "0", "/proc/sys/kernel/ftrace_enabled is 0: probes would never run",
		"sysctl kernel.ftrace_enabled=1")

	clock := s.line(clockFolder + "current_clocksource")
	next := "the kernel does not trust this machine's TSC: boot with tsc=reliable if you do"
	if slices.Contains(strings.Fields(s.line(clockFolder+"available_clocksource")), "tsc") {
		next = "echo tsc > /" + clockFolder + "current_clocksource"
	}
	o.add(clock != "tsc", fmt.Sprintf("expected the clock source tsc, found %q", clock), next)

	if s.Module == "" {
		why, next := s.checkBuild()
		o.add(why != "", why, next)
	}
	if len(o) > 0 {
		return o.refused()
	}
	return nil
}

const kvmTypes = "sys/kernel/btf/kvm" // where KVM's types are if it is a module

// utsRelease finds the release that modules built with a header are for.
var utsRelease = regexp.MustCompile(`(?m)^#define UTS_RELEASE "(.*)"$`)

// checkBuild says why no module can be built for the kernel that runs, "" if one
// can, and what to do about it.
func (s System) checkBuild() (why, next string) {
	dir := s.BuildDir()
	next = fmt.Sprintf("install linux-headers-%s, as Debian calls it, or name the directory that the kernel was built in with --kernel-build", s.Release())
	if _, err := os.Stat(filepath.Join(dir, "Makefile")); err != nil {
		return "nothing to build modules with in " + dir, next
	}
	// Debian's kernel.release has the version of the source, not what uname prints.
	data, err := os.ReadFile(filepath.Join(dir, "include", "generated", "utsrelease.h"))
	m := utsRelease.FindSubmatch(data)
	if err != nil || m == nil {
		return "no kernel was built in " + dir, next
	}
	if release := string(m[1]); release != s.Release() {
		return fmt.Sprintf("%s is for Linux %s and not for the one that runs, %s", dir, release, s.Release()), next
	}
	return s.otherBuild(filepath.Join(dir, "vmlinux")), "boot the kernel that was built there, or name another directory with --kernel-build"
}

// otherBuild says why a vmlinux is not the kernel that runs, "" if it is or if there is none: it may
// have been rebuilt since. Types are what modules have to agree about.
func (s System) otherBuild(vmlinux string) string {
	built, err := section(vmlinux, ".BTF")
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		return fmt.Sprintf("%s: %v", vmlinux, err)
	}
	runs, err := os.ReadFile(s.Types())
	if err == nil && !bytes.Equal(built, runs) { // that there are none is said already
		return vmlinux + " is another build than the kernel that runs: their types differ"
	}
	return ""
}

// Sizes are the most vCPUs of a VM, and the largest ID of one.
type Sizes struct{ VCPUs, ID int }

// KVM's request to ask for what it can, and what to ask for: from linux/kvm.h.
const (
	kvmCheckExtension = 0xae03
	kvmCapMaxVCPUs    = 66
	kvmCapMaxVCPUID   = 128
)

// What a VM of x86 takes, more than that in bytes: with a vCPU's pages and what
// the allocators keep for it, and for all else.
const (
	perVCPU = 128 << 10
	spare   = 256 << 20
)

// CheckSizes looks whether KVM takes VMs that large, and whether the machine has
// memory for them.
func CheckSizes(s System, want Sizes) error {
	f, err := os.Open(s.path("dev/kvm"))
	if err != nil {
		return refuse(err.Error(), "is this a container? Run it outside of one")
	}
	defer f.Close()
	var has Sizes
	for _, q := range []struct {
		what int
		into *int
	}{{kvmCapMaxVCPUs, &has.VCPUs}, {kvmCapMaxVCPUID, &has.ID}} {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmCheckExtension, uintptr(q.what))
		if errno != 0 {
			return fmt.Errorf("KVM_CHECK_EXTENSION: %w", errno)
		}
		*q.into = int(n)
	}
	// "16315316 kB", nothing if that is not known.
	available, _, _ := strings.Cut(s.field("proc/meminfo", "MemAvailable"), " ")
	kib, _ := strconv.ParseInt(available, 10, 64)
	return fits(want, has, kib<<10)
}

// fits refuses VMs that are too large. has.ID is one more than the largest ID, and
// memory in bytes, 0 if that is not known.
func fits(want, has Sizes, memory int64) error {
	var why string
	switch takes := int64(want.VCPUs)*perVCPU + spare; {
	case want.VCPUs > has.VCPUs:
		why = fmt.Sprintf("VMs of %d vCPUs: KVM takes %d here", want.VCPUs, has.VCPUs)
	case has.ID > 0 && want.ID >= has.ID:
		why = fmt.Sprintf("vCPUs with IDs up to %d: KVM takes them up to %d here", want.ID, has.ID-1)
	case memory > 0 && takes > memory:
		why = fmt.Sprintf("VMs of %d vCPUs: expected %d MiB of memory, found %d", want.VCPUs, takes>>20, memory>>20)
	default:
		return nil
	}
	return exit.With(exit.Usage, fmt.Errorf("%s; choose smaller ones with --sizes, --ids and --memory-at, and leave out --max", why))
}
