// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// Obstacle is a reason why the running kernel cannot be measured.
type Obstacle struct {
	Why  string // what was found
	Next string // what to do about it
}

// RefusedError says that the running kernel cannot be measured. Nothing was
// changed.
type RefusedError struct{ Obstacles []Obstacle }

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("the running kernel cannot be measured")
	for _, o := range e.Obstacles {
		fmt.Fprintf(&b, "\n  %s: %s", o.Why, o.Next)
	}
	return b.String()
}

// ExitCode says that the machine lacks something.
func (e *RefusedError) ExitCode() int { return exit.MachineLacks }

// refuse is a RefusedError of one obstacle.
func refuse(why, next string) error { return &RefusedError{[]Obstacle{{why, next}}} }

// lacks notes an obstacle if there is one.
func (e *RefusedError) lacks(is bool, why, next string) {
	if is {
		e.Obstacles = append(e.Obstacles, Obstacle{why, next})
	}
}

// needed are the capabilities that loading modules, and BPF programs that trace,
// takes.
var needed = []struct {
	number int
	name   string
}{
	{unix.CAP_SYS_MODULE, "CAP_SYS_MODULE"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{unix.CAP_BPF, "CAP_BPF"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
}

// clockFolder has the clock sources.
const clockFolder = "sys/devices/system/clocksource/clocksource0/"

// Check looks whether the running kernel can be measured, as far as that can be
// known before the module is built. The error is a RefusedError with all that
// stands against it. It changes nothing.
func Check(s System) error {
	var e RefusedError
	caps := s.capabilities()
	var missing []string
	for _, n := range needed {
		if caps&(1<<n.number) == 0 {
			missing = append(missing, n.name)
		}
	}
	e.lacks(caps == 0, "not root", `run it with sudo env "PATH=$PATH", which finds the same programs`)
	e.lacks(caps != 0 && len(missing) > 0, "no "+strings.Join(missing, ", "), "run it as root outside of containers")

	e.lacks(!s.exists("dev/kvm"), "no /dev/kvm", "modprobe kvm_amd or kvm_intel; without either the processor, or the firmware's setup, offers no virtualization")
	e.lacks(!s.exists("proc/modules"), "the kernel takes no modules", "boot one with CONFIG_MODULES and CONFIG_MODULE_UNLOAD")
	e.lacks(s.line("proc/sys/kernel/modules_disabled") == "1", "/proc/sys/kernel/modules_disabled is 1",
		"no module can be loaded until the next boot: boot without what sets it")
	// "kvm 1400832 - - Live 0x0": its users are not counted.
	f := strings.Fields(s.line("proc/modules"))
	e.lacks(len(f) > 2 && f[2] == "-", "the kernel never unloads a module", "boot one with CONFIG_MODULE_UNLOAD")
	e.lacks(s.loaded(ModuleName), "a module "+ModuleName+" is loaded", "unload it if no other measurement is running: rmmod "+ModuleName)
	e.lacks(s.line("sys/module/module/parameters/sig_enforce") == "Y", "the kernel takes signed modules only",
		"boot without module.sig_enforce, or a kernel without CONFIG_MODULE_SIG_FORCE")
	// "none [integrity] confidentiality"
	lockdown := s.line("sys/kernel/security/lockdown")
	e.lacks(lockdown != "" && !strings.Contains(lockdown, "[none]"), "the kernel is locked down: "+lockdown,
		"turn secure boot off, or boot without lockdown=")

	e.lacks(!s.exists("sys/kernel/btf/vmlinux"), "no /sys/kernel/btf/vmlinux",
		"boot a kernel with CONFIG_DEBUG_INFO_BTF: probes attach to functions that have a type")
	e.lacks(s.loaded("kvm") && !s.exists(kvmTypes), "no /"+kvmTypes, "boot a kernel with CONFIG_DEBUG_INFO_BTF_MODULES, or with CONFIG_KVM=y")
	// A kernel without ftrace refuses the probes.
	e.lacks(s.line("proc/sys/kernel/ftrace_enabled") == "0", "/proc/sys/kernel/ftrace_enabled is 0: probes would never run",
		"sysctl kernel.ftrace_enabled=1")

	clock := s.line(clockFolder + "current_clocksource")
	next := "the kernel does not trust this machine's TSC: boot with tsc=reliable if you do"
	if slices.Contains(strings.Fields(s.line(clockFolder+"available_clocksource")), "tsc") {
		next = "echo tsc > /" + clockFolder + "current_clocksource"
	}
	e.lacks(clock != "tsc", fmt.Sprintf("expected the clock source tsc, found %q", clock), next)

	if s.Module == "" {
		why, next := s.checkBuild()
		e.lacks(why != "", why, next)
	}
	if len(e.Obstacles) > 0 {
		return &e
	}
	return nil
}

// kvmTypes is where KVM's types are if it is a module.
const kvmTypes = "sys/kernel/btf/kvm"

// checkBuild says why no module can be built for the kernel that runs, "" if one
// can, and what to do about it.
func (s System) checkBuild() (why, next string) {
	dir := s.BuildDir()
	next = fmt.Sprintf("install linux-headers-%s, as Debian calls it, or name the directory that the kernel was built in with --kernel-build", s.Release())
	if _, err := os.Stat(filepath.Join(dir, "Makefile")); err != nil {
		return "nothing to build modules with in " + dir, next
	}
	data, err := os.ReadFile(filepath.Join(dir, "include", "config", "kernel.release"))
	if err != nil {
		return "no kernel was built in " + dir, next
	}
	if release := strings.TrimSpace(string(data)); release != s.Release() {
		return fmt.Sprintf("%s is for Linux %s and not for the one that runs, %s", dir, release, s.Release()), next
	}
	return s.otherBuild(filepath.Join(dir, "vmlinux")), "boot the kernel that was built there, or name another directory with --kernel-build"
}

// otherBuild says why a vmlinux is not the kernel that runs, "" if it is or if
// there is none: a kernel may have been rebuilt since it was booted. Types are
// what modules have to agree about.
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
