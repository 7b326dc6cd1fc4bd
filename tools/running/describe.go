// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
)

// maxConfig bounds a configuration, in bytes.
const maxConfig = 4 << 20

// Config returns the configuration of the running kernel and where it was read,
// nil and results.Unknown if it is nowhere. A configuration that is there and
// cannot be read is an error.
func Config(s System) (kbuild.Config, string, error) {
	names := []string{s.path("proc/config.gz"), s.path("boot/config-" + s.Release())}
	shown := []string{"/proc/config.gz", "/boot/config-" + s.Release()}
	if s.Module == "" {
		names, shown = append(names, filepath.Join(s.BuildDir(), ".config")), append(shown, "the build directory's .config")
	}
	for i, name := range names {
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
		return c, shown[i], err
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
func known(text string) string {
	if text == "" {
		return results.Unknown
	}
	return text
}

// compiler takes what compiled the kernel out of /proc/version:
// "Linux version 6.1.0 (user@host) (gcc (Debian 12.2.0) 12.2.0, GNU ld 2.40) #1".
// Who compiled it, and where, is left out.
func compiler(version string) string {
	_, rest, ok := strings.Cut(version, ") (")
	if !ok {
		return results.Unknown
	}
	depth := 1
	for i, c := range rest {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 || c == ',' && depth == 1 {
			return known(rest[:i])
		}
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
	switch s.line("sys/devices/system/cpu/intel_pstate/no_turbo") {
	case "0":
		return "on"
	case "1":
		return "off"
	}
	switch s.line("sys/devices/system/cpu/cpufreq/boost") {
	case "0":
		return "off"
	case "1":
		return "on"
	}
	return results.Unknown
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
	notes, err := os.ReadFile(s.path("sys/kernel/notes"))
	if err != nil {
		return results.Unknown
	}
	const buildIDType = 3
	align := func(n uint32) int { return int(n+3) &^ 3 }
	for len(notes) >= 12 {
		name, desc, kind := binary.LittleEndian.Uint32(notes), binary.LittleEndian.Uint32(notes[4:]), binary.LittleEndian.Uint32(notes[8:])
		if name > 1<<16 || desc > 1<<16 || len(notes) < 12+align(name)+align(desc) {
			break
		}
		begin := 12 + align(name)
		if kind == buildIDType && string(notes[12:12+name]) == "GNU\x00" {
			return hex.EncodeToString(notes[begin : begin+int(desc)])
		}
		notes = notes[begin+align(desc):]
	}
	return results.Unknown
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

// Scheduling says of a configuration how often the kernel ticks, what it preempts,
// and whether it preempts readers of RCU: symbols that decide what a lookup under
// RCU costs. hz is 0 if the configuration does not say.
func Scheduling(config kbuild.Config) (hz int, preemption, rcu string) {
	_, _ = fmt.Sscanf(config.Value("CONFIG_HZ"), "%d", &hz)
	preemption = "none"
	for _, c := range []string{"LAZY", "VOLUNTARY", "RT"} {
		if config.Value("CONFIG_PREEMPT_"+c) == "y" {
			preemption = map[string]string{"LAZY": "lazy", "VOLUNTARY": "voluntary", "RT": "real-time"}[c]
		}
	}
	if config.Value("CONFIG_PREEMPT") == "y" {
		preemption = "full"
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
