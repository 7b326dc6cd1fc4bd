// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
)

const maxConfig = 4 << 20 // bounds a configuration, in bytes

// Config returns the configuration of the running kernel and where it was read, nil and
// results.Unknown if it is nowhere. One that cannot be read is an error.
func Config(s System) (kbuild.Config, string, error) {
	files := [][2]string{
		{s.path("proc/config.gz"), "/proc/config.gz"},
		{s.path("boot/config-" + s.Release()), "/boot/config-" + s.Release()},
	}
	if s.Module == "" {
		files = append(files, [2]string{filepath.Join(s.BuildDir(), ".config"), "the build directory's .config"})
	}
	for _, file := range files {
		name, shown := file[0], file[1]
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		var r io.Reader = f
		if filepath.Ext(name) == ".gz" {
			if r, err = gzip.NewReader(f); err != nil {
				return nil, "", fmt.Errorf("%s: %w", name, err)
			}
		}
		c, err := kbuild.ParseConfig(name, io.LimitReader(r, maxConfig))
		return c, shown, err
	}
	return nil, results.Unknown, nil
}

// names are symbols that say what a kernel is called, not what it is.
var names = []string{"CONFIG_LOCALVERSION", "CONFIG_LOCALVERSION_AUTO", "CONFIG_BUILD_SALT"}

// Describe says what the running kernel is, by the name that figures have.
func Describe(s System, name string) (results.Kernel, *results.HostKernel, error) {
	config, from, err := Config(s)
	if err != nil {
		return results.Kernel{}, nil, fmt.Errorf("configuration of the running kernel: %w", err)
	}
	k := results.Kernel{
		Name: name, Release: s.Release(), Config: results.Unknown, Compiler: compiler(s.line("proc/version")),
		Preemption: results.Unknown, RCU: results.Unknown,
	}
	if config != nil {
		k.Config = config.Without(names...).Hash()
		k.HZ, k.Preemption, k.RCU = Scheduling(config)
	}
	r := &results.HostKernel{
		Version: s.line("proc/sys/kernel/version"), BuildID: s.buildID(), ConfigFrom: from,
		Online: known(s.line("sys/devices/system/cpu/online")), Turbo: s.turbo(), Virtualized: s.virtualized(),
	}
	r.Load[0] = s.Load()
	k.Image = r.BuildID
	if r.CPU, err = s.quietest(); err != nil {
		return k, nil, err
	}
	r.Governor = known(s.line(fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", r.CPU)))
	return k, r, nil
}

// known is text, or results.Unknown if there is none.
func known(text string) string { return cmp.Or(text, results.Unknown) }

// compiledBy is what compiled the kernel in /proc/version:
// "Linux version 6.1.0 (user@host) (gcc (Debian 12.2.0) 12.2.0, GNU ld 2.40) #1".
var compiledBy = regexp.MustCompile(`\) \(((?:[^(),]|\([^()]*\))+)`)

// compiler leaves out who compiled the kernel, and where.
func compiler(version string) string {
	if m := compiledBy.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return results.Unknown
}

// Load is the load average of one minute.
func (s System) Load() string {
	one, _, _ := strings.Cut(s.line("proc/loadavg"), " ")
	return known(one)
}

// turbo says whether the processor may run faster than its nominal frequency.
func (s System) turbo() string {
	noTurbo, boost := s.line("sys/devices/system/cpu/intel_pstate/no_turbo"), s.line("sys/devices/system/cpu/cpufreq/boost")
	return cmp.Or(map[string]string{"0": "on", "1": "off"}[noTurbo], map[string]string{"0": "off", "1": "on"}[boost], results.Unknown)
}

// virtualized says what the machine runs in, as far as it shows.
func (s System) virtualized() string {
	if !slices.Contains(strings.Fields(s.field("proc/cpuinfo", "flags")), "hypervisor") {
		return "no"
	}
	what := strings.TrimSpace(s.line("sys/class/dmi/id/sys_vendor") + " " + s.line("sys/class/dmi/id/product_name"))
	if what == "" {
		return "yes"
	}
	return "yes, " + what
}

// buildID is the kernel's GNU build ID, which is another one for each build.
func (s System) buildID() string {
	notes, _ := os.ReadFile(s.path("sys/kernel/notes"))
	// A note is the lengths of its name and of its text, its type, its name and its text.
	const kindAndName = "\x03\x00\x00\x00GNU\x00"
	before, text, ok := bytes.Cut(notes, []byte(kindAndName))
	if !ok || len(before) < 8 {
		return results.Unknown
	}
	size := binary.LittleEndian.Uint32(before[len(before)-4:])
	return known(hex.EncodeToString(text[:min(int(size), len(text))]))
}

// quietest returns the processor to measure on: the fastest that this process
// may use, and of those the last: the first ones have most of the interrupts.
func (s System) quietest() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("processors that may be used: %w", err)
	}
	best, speed := -1, ""
	for cpu := range len(set) * 64 {
		if !set.IsSet(cpu) {
			continue
		}
		// In kHz; a longer number is a larger one.
		max := s.line(fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", cpu))
		if best < 0 || len(max) > len(speed) || len(max) == len(speed) && max >= speed {
			best, speed = cpu, max
		}
	}
	return best, nil
}

// Scheduling says how often a kernel ticks, what it preempts, and whether it preempts readers of
// RCU: what a lookup under RCU costs depends on it. hz is 0 if the configuration does not say.
func Scheduling(config kbuild.Config) (hz int, preemption, rcu string) {
	hz, _ = strconv.Atoi(config.Value("CONFIG_HZ"))
	preemption = "none"
	for _, c := range [][2]string{{"_LAZY", "lazy"}, {"_VOLUNTARY", "voluntary"}, {"_RT", "real-time"}, {"", "full"}} {
		if config.Value("CONFIG_PREEMPT"+c[0]) == "y" {
			preemption = c[1]
		}
	}
	if config.Value("CONFIG_PREEMPT_DYNAMIC") == "y" {
		preemption += " (dynamic)"
	}
	rcu = "non-preemptible"
	if config.Value("CONFIG_PREEMPT_RCU") == "y" {
		rcu = "preemptible"
	}
	return hz, preemption, rcu
}

// private are parameters of the kernel that say where things are on the machine,
// or which kernel was booted, and change nothing about what is measured.
var private = []string{
	"BOOT_IMAGE", "initrd", "root", "rootflags", "rootfstype", "resume", "resume_offset", "ip", "nfsroot", "netconsole", "cryptdevice",
	"hostname", "systemd.hostname", "ostree", "zfs",
}

// CommandLine leaves out what a kernel's command line says of the machine alone:
// results are for others to read, and to be compared.
func CommandLine(line string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(line), func(word string) bool {
		key, _, _ := strings.Cut(word, "=")
		return slices.Contains(private, key) || strings.HasPrefix(key, "rd.")
	}), " ")
}

// System is a machine.
type System struct {
	Root string // the directory that has its proc, sys, dev, boot and lib: "/"
	// Build is the directory to build modules in, "" for that of the release in
	// /lib/modules. Unlike all else it is not below Root if it is given.
	Build string
	// Module is a module that was built before, "" to build one. It takes the
	// place of Build and is not below Root either.
	Module string
}

func (s System) path(name string) string { return filepath.Join(s.Root, name) }

// line returns the first line of a file, "" if there is none.
func (s System) line(name string) string {
	data, _ := os.ReadFile(s.path(name))
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}

func (s System) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// field returns what follows the key in the first line of a file that begins
// with it, "" if there is none.
func (s System) field(name, key string) string {
	data, _ := os.ReadFile(s.path(name))
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Release is what uname -r prints.
func (s System) Release() string { return s.line("proc/sys/kernel/osrelease") }

// BuildDir is the directory to build modules in.
func (s System) BuildDir() string {
	if s.Build != "" {
		return s.Build
	}
	return s.path("lib/modules/" + s.Release() + "/build")
}

// Types is the file with the kernel's types.
func (s System) Types() string { return s.path("sys/kernel/btf/vmlinux") }

// loaded says whether a module of that name is loaded.
func (s System) loaded(module string) bool {
	data, _ := os.ReadFile(s.path("proc/modules"))
	return strings.Contains("\n"+string(data), "\n"+module+" ")
}
