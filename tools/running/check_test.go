// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// good is a machine whose kernel can be measured, file by file.
func good() map[string]string {
	return map[string]string{
		"proc/self/status":                                        "Name:\tx\nCapEff:\t000001ffffffffff\n",
		"proc/sys/kernel/osrelease":                               "6.12.9\n",
		"proc/sys/kernel/modules_disabled":                        "0\n",
		"proc/sys/kernel/ftrace_enabled":                          "1\n",
		"proc/modules":                                            "kvm_amd 200704 0 - Live 0x0\nkvm 1400832 1 kvm_amd, Live 0x0\n",
		"dev/kvm":                                                 "",
		"sys/module/module/parameters/sig_enforce":                "N\n",
		"sys/kernel/security/lockdown":                            "[none] integrity confidentiality\n",
		"sys/kernel/btf/vmlinux":                                  "",
		"sys/kernel/btf/kvm":                                      "",
		clockFolder + "current_clocksource":                       "tsc\n",
		clockFolder + "available_clocksource":                     "tsc hpet acpi_pm \n",
		"lib/modules/6.12.9/build/Makefile":                       "",
		"lib/modules/6.12.9/build/include/generated/utsrelease.h": "#define UTS_RELEASE \"6.12.9\"\n",
		// As in Debian's headers.
		"lib/modules/6.12.9/build/include/config/kernel.release": "6.12.172\n",
	}
}

// machine writes a machine's files; those of changes come last, and without a
// text are not there.
func machine(t *testing.T, changes map[string]string) System {
	t.Helper()
	files := good()
	for name, text := range changes {
		if files[name] = text; text == "" {
			delete(files, name)
		}
	}
	s := System{Root: t.TempDir()}
	for name, text := range files {
		name = filepath.Join(s.Root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// obstaclesOf is how many obstacles Check says that there are, each on a line.
func obstaclesOf(err error) int { return strings.Count(fmt.Sprint(err), "\n") }

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		changes map[string]string
		build   string // System.Build
		why     string // "" if it can be measured
		next    string
	}{
		"good":        {},
		"no security": {changes: map[string]string{"sys/kernel/security/lockdown": "", "sys/module/module/parameters/sig_enforce": ""}},
		"kvm built in": {changes: map[string]string{
			"proc/modules": "ext4 1 0 - Live 0x0\n", "sys/kernel/btf/kvm": "",
		}},
		"not root": {changes: map[string]string{"proc/self/status": "CapEff:\t0000000000000000\n"},
			why: "not root", next: `sudo env "PATH=$PATH"`},
		"no status": {changes: map[string]string{"proc/self/status": ""}, why: "not root", next: "sudo"},
		"container": {changes: map[string]string{"proc/self/status": "CapEff:\t00000000a80425fb\n"},
			why: "no CAP_SYS_MODULE, CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON", next: "outside of containers"},
		"no kvm":            {changes: map[string]string{"dev/kvm": ""}, why: "no /dev/kvm", next: "modprobe kvm_amd or kvm_intel"},
		"no modules":        {changes: map[string]string{"proc/modules": ""}, why: "the kernel takes no modules", next: "CONFIG_MODULES"},
		"modules disabled":  {changes: map[string]string{"proc/sys/kernel/modules_disabled": "1\n"}, why: "modules_disabled is 1", next: "next boot"},
		"no unloading":      {changes: map[string]string{"proc/modules": "kvm 1400832 - - Live 0x0\n"}, why: "never unloads", next: "CONFIG_MODULE_UNLOAD"},
		"left behind":       {changes: map[string]string{"proc/modules": "vcpuloops 1 0 - Live 0x0 (OE)\n"}, why: "a module vcpuloops is loaded", next: "rmmod vcpuloops"},
		"signatures":        {changes: map[string]string{"sys/module/module/parameters/sig_enforce": "Y\n"}, why: "signed modules only", next: "module.sig_enforce"},
		"lockdown":          {changes: map[string]string{"sys/kernel/security/lockdown": "none [integrity] confidentiality\n"}, why: "locked down", next: "secure boot"},
		"no types":          {changes: map[string]string{"sys/kernel/btf/vmlinux": ""}, why: "no /sys/kernel/btf/vmlinux", next: "CONFIG_DEBUG_INFO_BTF"},
		"no types of kvm":   {changes: map[string]string{"sys/kernel/btf/kvm": ""}, why: "no /sys/kernel/btf/kvm", next: "CONFIG_DEBUG_INFO_BTF_MODULES"},
		"ftrace off":        {changes: map[string]string{"proc/sys/kernel/ftrace_enabled": "0\n"}, why: "ftrace_enabled is 0", next: "sysctl kernel.ftrace_enabled=1"},
		"another clock":     {changes: map[string]string{clockFolder + "current_clocksource": "hpet\n"}, why: `expected the clock source tsc, found "hpet"`, next: "echo tsc > /sys/"},
		"no clock":          {changes: map[string]string{clockFolder + "current_clocksource": "hpet\n", clockFolder + "available_clocksource": "hpet tsc-early\n"}, why: `found "hpet"`, next: "tsc=reliable"},
		"nothing to build":  {changes: map[string]string{"lib/modules/6.12.9/build/Makefile": ""}, why: "nothing to build modules with", next: "install linux-headers-6.12.9"},
		"nothing built":     {changes: map[string]string{"lib/modules/6.12.9/build/include/generated/utsrelease.h": ""}, why: "no kernel was built in", next: "--kernel-build"},
		"built for another": {changes: map[string]string{"lib/modules/6.12.9/build/include/generated/utsrelease.h": "#define UTS_RELEASE \"6.12.8\"\n"}, why: "is for Linux 6.12.8 and not for the one that runs, 6.12.9", next: "--kernel-build"},
		"other directory":   {build: "/none", why: "nothing to build modules with in /none", next: "--kernel-build"},
	} {
		t.Run(name, func(t *testing.T) {
			s := machine(t, tt.changes)
			s.Build = tt.build
			err := Check(s)
			if tt.why == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if obstaclesOf(err) != 1 || exit.Code(err) != exit.MachineLacks {
				t.Fatalf("expected one obstacle, found %v", err)
			}
			if _, next, ok := strings.Cut(err.Error(), tt.why); !ok || !strings.Contains(next, tt.next) {
				t.Errorf("expected %q and %q, found %v", tt.why, tt.next, err)
			}
		})
	}
}

// TestOtherBuild: what was built since the kernel was booted has other types. The
// object with the probes stands for a vmlinux: an ELF file with types.
func TestOtherBuild(t *testing.T) {
	object, err := os.ReadFile("../../ebpf/probe/bpf_bpfel.o")
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	types, err := f.Section(".BTF").Data()
	if err != nil {
		t.Fatal(err)
	}
	const vmlinux = "lib/modules/6.12.9/build/vmlinux"
	for name, tt := range map[string]struct {
		changes map[string]string
		why     string
	}{
		"the same": {map[string]string{vmlinux: string(object), "sys/kernel/btf/vmlinux": string(types)}, ""},
		"another":  {map[string]string{vmlinux: string(object), "sys/kernel/btf/vmlinux": string(types[1:])}, "their types differ"},
		"no ELF":   {map[string]string{vmlinux: strings.Repeat("bzImage ", 16)}, "bad magic"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(machine(t, tt.changes))
			if tt.why == "" && err != nil || tt.why != "" && (err == nil || !strings.Contains(err.Error(), tt.why)) {
				t.Errorf("expected %q, found %v", tt.why, err)
			}
		})
	}
}

// TestCheckAll: all that stands against it is said at once, and a module that was
// built before needs nothing to build with.
func TestCheckAll(t *testing.T) {
	s := System{Root: t.TempDir()}
	if err := Check(s); obstaclesOf(err) != 6 {
		t.Fatalf("expected an empty directory to lack six things, found %v", err)
	}
	s.Module = "vcpuloops.ko"
	if err := Check(s); obstaclesOf(err) != 5 {
		t.Fatalf("expected it to lack five things with a module, found %v", err)
	}
}

func TestLoadError(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"signature":   {unix.EKEYREJECTED, "signed modules only"},
		"no key":      {unix.ENOKEY, "signed modules only"},
		"lockdown":    {unix.EPERM, "locked down"},
		"another":     {unix.ENOEXEC, "not for the kernel that runs"},
		"symbols":     {unix.ENOENT, "not for the kernel that runs"},
		"there":       {unix.EEXIST, "rmmod vcpuloops"},
		"out of room": {unix.ENOMEM, "dmesg"},
	} {
		t.Run(name, func(t *testing.T) {
			err := loadError("vcpuloops.ko", tt.err)
			if err == nil || !strings.Contains(err.Error(), tt.want) || exit.Code(err) != exit.MachineLacks {
				t.Errorf("expected %q, found %v", tt.want, err)
			}
		})
	}
	if err := loadError("vcpuloops.ko", nil); err != nil {
		t.Error(err)
	}
}

func TestFits(t *testing.T) {
	has := Sizes{VCPUs: 1024, ID: 4096}
	for name, tt := range map[string]struct {
		want   Sizes
		has    Sizes
		memory int64
		why    string
	}{
		"good":       {Sizes{1024, 4095}, has, 8 << 30, ""},
		"not known":  {Sizes{1024, 4095}, Sizes{VCPUs: 1024}, 0, ""},
		"too many":   {Sizes{4096, 4095}, has, 8 << 30, "VMs of 4096 vCPUs: KVM takes 1024 here"},
		"ID too big": {Sizes{1024, 4096}, has, 8 << 30, "IDs up to 4096: KVM takes them up to 4095 here"},
		"no memory":  {Sizes{1024, 4095}, has, 100 << 20, "expected 384 MiB of memory, found 100"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fits(tt.want, tt.has, tt.memory)
			if tt.why == "" && err != nil || tt.why != "" && (err == nil || !strings.Contains(err.Error(), tt.why) || exit.Code(err) != exit.Usage) {
				t.Errorf("expected %q, found %v", tt.why, err)
			}
		})
	}
}
