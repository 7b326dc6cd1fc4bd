// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// A check looks at one thing that measuring takes; the obstacle's Why is empty
// if it is there.
type check struct {
	name string
	look func(System) Obstacle
}

// checks are all that can be known before the module is built.
var checks = []check{
	{"capabilities", checkCapabilities},
	{"kvm", checkKVM},
	{"modules", checkModules},
	{"loaded", checkLoaded},
	{"signatures", checkSignatures},
	{"types", checkTypes},
	{"types of kvm", checkKVMTypes},
	{"ftrace", checkFtrace},
	{"clock", checkClock},
	{"build", checkBuild},
}

// Check looks whether the running kernel can be measured. The error is a
// RefusedError with all that stands against it. It changes nothing.
func Check(s System) error {
	var e RefusedError
	for _, c := range checks {
		if o := c.look(s); o.Why != "" {
			e.Obstacles = append(e.Obstacles, o)
		}
	}
	if len(e.Obstacles) > 0 {
		return &e
	}
	return nil
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

func checkCapabilities(s System) Obstacle {
	caps := s.capabilities()
	var missing []string
	for _, n := range needed {
		if caps&(1<<n.number) == 0 {
			missing = append(missing, n.name)
		}
	}
	switch {
	case len(missing) == 0:
		return Obstacle{}
	case caps == 0:
		return Obstacle{"not root", `run it with sudo env "PATH=$PATH", which finds the same programs`}
	}
	return Obstacle{"no " + strings.Join(missing, ", "), "run it as root outside of containers"}
}

func checkKVM(s System) Obstacle {
	if s.exists("dev/kvm") {
		return Obstacle{}
	}
	return Obstacle{"no /dev/kvm", "modprobe kvm_amd or kvm_intel; without either the processor, or the firmware's setup, offers no virtualization"}
}

func checkModules(s System) Obstacle {
	switch {
	case !s.exists("proc/modules"):
		return Obstacle{"the kernel takes no modules", "boot one with CONFIG_MODULES and CONFIG_MODULE_UNLOAD"}
	case s.line("proc/sys/kernel/modules_disabled") == "1":
		return Obstacle{"/proc/sys/kernel/modules_disabled is 1", "no module can be loaded until the next boot: boot without what sets it"}
	}
	// "kvm 1400832 - - Live 0x0": its users are not counted.
	if f := strings.Fields(s.line("proc/modules")); len(f) > 2 && f[2] == "-" {
		return Obstacle{"the kernel never unloads a module", "boot one with CONFIG_MODULE_UNLOAD"}
	}
	return Obstacle{}
}

func checkLoaded(s System) Obstacle {
	if !s.loaded(ModuleName) {
		return Obstacle{}
	}
	return Obstacle{"a module " + ModuleName + " is loaded", "unload it if no other measurement is running: rmmod " + ModuleName}
}

func checkSignatures(s System) Obstacle {
	if s.line("sys/module/module/parameters/sig_enforce") == "Y" {
		return Obstacle{"the kernel takes signed modules only", "boot without module.sig_enforce, or a kernel without CONFIG_MODULE_SIG_FORCE"}
	}
	// "none [integrity] confidentiality"
	if mode := s.line("sys/kernel/security/lockdown"); mode != "" && !strings.Contains(mode, "[none]") {
		return Obstacle{"the kernel is locked down: " + mode, "turn secure boot off, or boot without lockdown="}
	}
	return Obstacle{}
}

func checkTypes(s System) Obstacle {
	if s.exists("sys/kernel/btf/vmlinux") {
		return Obstacle{}
	}
	return Obstacle{"no /sys/kernel/btf/vmlinux", "boot a kernel with CONFIG_DEBUG_INFO_BTF: probes attach to functions that have a type"}
}

// kvmTypes is where KVM's types are: in a file of its own if it is a module.
func (s System) kvmTypes() string {
	if s.loaded("kvm") {
		return "sys/kernel/btf/kvm"
	}
	return "sys/kernel/btf/vmlinux"
}

func checkKVMTypes(s System) Obstacle {
	if name := s.kvmTypes(); filepath.Base(name) == "kvm" && !s.exists(name) {
		return Obstacle{"no /" + name, "boot a kernel with CONFIG_DEBUG_INFO_BTF_MODULES, or with CONFIG_KVM=y"}
	}
	return Obstacle{}
}

func checkFtrace(s System) Obstacle {
	if s.line("proc/sys/kernel/ftrace_enabled") != "0" {
		return Obstacle{} // a kernel without ftrace refuses the probes
	}
	return Obstacle{"/proc/sys/kernel/ftrace_enabled is 0: probes would never run", "sysctl kernel.ftrace_enabled=1"}
}

// clockFolder has the clock sources.
const clockFolder = "sys/devices/system/clocksource/clocksource0/"

func checkClock(s System) Obstacle {
	current := s.line(clockFolder + "current_clocksource")
	if current == "tsc" {
		return Obstacle{}
	}
	next := "the kernel does not trust this machine's TSC: boot with tsc=reliable if you do"
	if available := s.line(clockFolder + "available_clocksource"); strings.Contains(" "+available+" ", " tsc ") {
		next = "echo tsc > /" + clockFolder + "current_clocksource"
	}
	return Obstacle{fmt.Sprintf("expected the clock source tsc, found %q", current), next}
}

func checkBuild(s System) Obstacle {
	if s.Module != "" {
		return Obstacle{}
	}
	dir := s.BuildDir()
	next := fmt.Sprintf("install linux-headers-%s, as Debian calls it, or name the directory that the kernel was built in with --kernel-build", s.Release())
	if _, err := os.Stat(filepath.Join(dir, "Makefile")); err != nil {
		return Obstacle{"nothing to build modules with in " + dir, next}
	}
	data, err := os.ReadFile(filepath.Join(dir, "include", "config", "kernel.release"))
	if err != nil {
		return Obstacle{"no kernel was built in " + dir, next}
	}
	if release := strings.TrimSpace(string(data)); release != s.Release() {
		return Obstacle{fmt.Sprintf("%s is for Linux %s and not for the one that runs, %s", dir, release, s.Release()), next}
	}
	if why := s.otherBuild(filepath.Join(dir, "vmlinux")); why != "" {
		return Obstacle{why, "boot the kernel that was built there, or name another directory with --kernel-build"}
	}
	return Obstacle{}
}

// otherBuild says why a vmlinux is not the kernel that runs, "" if it is or if
// there is none: a kernel may have been rebuilt since it was booted. Types are
// what modules have to agree about.
func (s System) otherBuild(vmlinux string) string {
	f, err := elf.Open(vmlinux)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		return fmt.Sprintf("%s: %v", vmlinux, err)
	}
	defer f.Close()
	section := f.Section(".BTF")
	if section == nil {
		return vmlinux + " has no types"
	}
	built, err := section.Data()
	if err != nil {
		return fmt.Sprintf("%s: %v", vmlinux, err)
	}
	runs, err := os.ReadFile(s.Types())
	if err != nil {
		return "" // that is said already
	}
	if !bytes.Equal(built, runs) {
		return vmlinux + " is another build than the kernel that runs: their types differ"
	}
	return ""
}
