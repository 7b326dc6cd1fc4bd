// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

// kvmDevice is how a user reaches KVM.
const kvmDevice = "/dev/kvm"

// Bounds of the guest that KVM is tried with. The same guest takes TCG little
// more than a second.
const (
	probeTimeout = 30 * time.Second
	probeSilence = 6 * time.Second
)

// accelKind is of the cache entries that hold verdicts.
const accelKind = "accel"

// Probe says how the accelerator is chosen.
type Probe struct {
	Arch Arch
	// Want is what the user asked for: "" to find out, or kvm or tcg, which
	// is then taken as it is.
	Want string
	// Kernel is an ordinary kernel for Arch: a tiny one would prove less. ""
	// leaves TCG.
	Kernel string
	// Modules are loaded in the guest, with what they depend on from
	// ModuleDir. With kvm-amd or kvm-intel it is tried, too, whether KVM
	// nests.
	Modules   []Module
	ModuleDir string
	// KernelID is under what the verdict is remembered for that kernel and
	// those modules, such as the key of their build; "" does not remember it.
	KernelID string
	// Source is as in Guest.
	Source string
}

// Verdict is which accelerator to use and why.
type Verdict struct {
	Accel  Accel  `json:"accel"`
	Reason string `json:"reason"`
	// Remembered says that the guest was booted by an earlier call.
	Remembered bool `json:"-"`
}

// ChooseAccel finds out whether KVM runs an ordinary kernel here. A /dev/kvm
// that opens is no proof: some hosts offer a KVM that makes VMs and vCPUs and
// then hangs. So a guest is booted to its end record within a deadline, and
// the verdict is remembered in c for this kernel, host kernel and QEMU.
//
// A KVM that does not work is a verdict, not an error, unless Want is kvm.
// Counting instructions takes TCG whatever the verdict is.
func ChooseAccel(ctx context.Context, c *cache.Cache, p Probe) (Verdict, error) {
	switch Accel(p.Want) {
	case TCG:
		return Verdict{Accel: TCG, Reason: "asked for"}, nil
	case KVM:
		if why := p.obstacle(); why != "" {
			return Verdict{}, exit.With(exit.MachineLacks, fmt.Errorf("accelerator kvm, which was asked for: %s", why))
		}
		return Verdict{Accel: KVM, Reason: "asked for"}, nil
	case "":
	default:
		return Verdict{}, exit.With(exit.Usage, fmt.Errorf("accelerator %q: expected kvm or tcg", p.Want))
	}
	if why := p.obstacle(); why != "" {
		return Verdict{Accel: TCG, Reason: why}, nil
	}
	if p.Kernel == "" {
		return Verdict{Accel: TCG, Reason: "there is no kernel yet to try KVM with"}, nil
	}
	if p.KernelID == "" {
		return p.try(ctx, c)
	}
	key, err := p.key(ctx)
	if err != nil {
		return Verdict{}, err
	}
	return p.remember(ctx, c, key)
}

// obstacle returns why KVM need not even be tried, "" if it may work.
func (p Probe) obstacle() string {
	if p.Arch.GOARCH != runtime.GOARCH {
		return fmt.Sprintf("KVM runs no %s guests on %s", p.Arch.Name, runtime.GOARCH)
	}
	fd, err := unix.Open(kvmDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Sprintf("open %s: %v", kvmDevice, err)
	}
	_ = unix.Close(fd)
	return ""
}

// key covers what the verdict depends on.
func (p Probe) key(ctx context.Context) (string, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "", fmt.Errorf("probe KVM: uname: %w", err)
	}
	version, err := QEMUVersion(ctx, p.Arch)
	if err != nil {
		return "", err
	}
	return cache.Key(p.Arch.Name, unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Version[:]),
		version, cpuModel(), p.KernelID, strings.Join(p.moduleNames(), ",")), nil
}

func (p Probe) moduleNames() []string {
	names := make([]string, len(p.Modules))
	for i, m := range p.Modules {
		names[i] = filepath.Base(m.Host) + " " + m.Args
	}
	return names
}

// remember returns the verdict of the cache, or finds it out and keeps it.
func (p Probe) remember(ctx context.Context, c *cache.Cache, key string) (Verdict, error) {
	const name = "verdict.json"
	dir, hit, err := c.Populate(ctx, accelKind, key, func(ctx context.Context, tmp string) error {
		v, err := p.try(ctx, c)
		if err != nil {
			return err
		}
		data, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("probe KVM: %w", err)
		}
		return os.WriteFile(filepath.Join(tmp, name), append(data, '\n'), 0o644)
	})
	if err != nil {
		return Verdict{}, err
	}
	var v Verdict
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("probe KVM: %w; remove %s to try again", err, dir)
	}
	v.Remembered = hit
	return v, nil
}

// try boots a guest with KVM.
func (p Probe) try(ctx context.Context, c *cache.Cache) (Verdict, error) {
	m := Machine{Arch: p.Arch, Accel: KVM, Kernel: p.Kernel}
	o := Options{Timeout: probeTimeout, Silence: probeSilence, AllowWarnings: true}
	g := Guest{Job: wire.Job{Kind: wire.JobBoot}, Modules: p.Modules, ModuleDir: p.ModuleDir, Source: p.Source}
	res, err := Boot(ctx, c, m, g, o)
	if fault, ok := errors.AsType[*Fault](err); ok {
		why := fmt.Sprintf("%s opens, but an ordinary kernel does not boot: %s", kvmDevice, fault.Kind)
		if fault.Kind == JobFailed {
			why = "KVM boots an ordinary kernel, but does not nest"
		}
		if fault.Title != "" {
			why += ": " + fault.Title
		}
		return Verdict{Accel: TCG, Reason: why}, nil
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("probe KVM: %w", err)
	}
	return Verdict{Accel: KVM, Reason: fmt.Sprintf("%s %s booted in %v", res.Hello.Machine, res.Hello.Kernel,
		res.Timing.Gone.Round(time.Millisecond))}, nil
}

// QEMUVersion returns the first line of what an architecture's QEMU says of
// its version.
func QEMUVersion(ctx context.Context, arch Arch) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, arch.QEMU, "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", lacksQEMU(arch, err)
	}
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", arch.QEMU, err)
	}
	return firstLine(string(out)), nil
}

func lacksQEMU(arch Arch, err error) error {
	return exit.With(exit.MachineLacks, fmt.Errorf("start QEMU: %w: install Debian's package %s", err, arch.Package))
}

// cpuModel returns the processor's name as the host's kernel has it, "" where
// it has none.
func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
