// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/host"
	"vcpulab/tools/program"
	"vcpulab/tools/vm/bareguest"
)

// Accel is how QEMU runs the guest's processor.
type Accel string

// The accelerators.
const (
	TCG Accel = "tcg" // by translating instructions: works everywhere, can count them
	KVM Accel = "kvm" // by the processor itself
)

const kvmDevice = "/dev/kvm"

// Bounds of the guest that KVM is tried with, which takes TCG about a second.
const (
	probeTimeout = time.Minute
	probeSilence = 10 * time.Second
)

// Probe says how the accelerator is chosen.
type Probe struct {
	Arch arch.Arch
	Want string // what the user asked for, kvm or tcg; "" finds out
	// Kernel is an ordinary kernel for Arch, which proves more than a guest of
	// a few instructions; "" chooses TCG. KernelID tells it from others.
	Kernel, KernelID string
	Source           string // as in Guest
}

// Choice is which accelerator to use and why.
type Choice struct {
	Accel  Accel  `json:"accel"`
	Reason string `json:"reason"`
	Cached bool   `json:"-"` // an earlier call booted the guest
}

// ChooseAccel finds out whether KVM runs an ordinary kernel here. A /dev/kvm
// that opens proves nothing: some hosts offer a KVM that creates VMs and vCPUs
// and then hangs. So a guest is booted to its end record within a deadline, and
// the choice is kept in c for this kernel, host kernel and QEMU.
//
// A KVM that does not work is not an error unless Want is kvm. Counting
// instructions takes TCG whatever the choice is.
func ChooseAccel(ctx context.Context, c *cache.Cache, p Probe) (Choice, error) {
	obstacle := p.obstacle()
	switch want := Accel(p.Want); {
	case want == TCG, want == KVM && obstacle == "":
		return Choice{Accel: want, Reason: "asked for"}, nil
	case want == KVM:
		return Choice{}, exit.With(exit.MachineLacks, fmt.Errorf("accelerator kvm, which was asked for: %s", obstacle))
	case want != "":
		return Choice{}, exit.With(exit.Usage, fmt.Errorf("accelerator %q: expected kvm or tcg", p.Want))
	case obstacle != "":
		return Choice{Accel: TCG, Reason: obstacle}, nil
	case p.Kernel == "":
		return Choice{Accel: TCG, Reason: "no kernel to try KVM with yet"}, nil
	}
	version, err := QEMUVersion(ctx, p.Arch)
	if err != nil {
		return Choice{}, err
	}
	here := host.Read("")
	key := cache.Key("result", p.Arch.Name, here.Kernel, version, here.CPU, p.KernelID)
	choice, hit, err := cache.Result(ctx, c, "accel", key, func(ctx context.Context) (Choice, error) { return p.boot(ctx, c) })
	choice.Cached = hit
	return choice, err
}

// obstacle returns why KVM need not even be tried, "" if it may work.
func (p Probe) obstacle() string {
	if !p.Arch.IsHost() {
		return fmt.Sprintf("KVM runs no %s guests on %s", p.Arch.Name, runtime.GOARCH)
	}
	if kvm := host.ReadKVM(kvmDevice); !kvm.Opens {
		return kvm.Why
	}
	return ""
}

func (p Probe) boot(ctx context.Context, c *cache.Cache) (Choice, error) {
	m := Machine{Arch: p.Arch, Accel: KVM, Kernel: p.Kernel}
	o := Options{Timeout: probeTimeout, Silence: probeSilence, AllowWarnings: true}
	res, err := Boot(ctx, c, m, Guest{Source: p.Source}, o)
	if fault, ok := errors.AsType[*Fault](err); ok {
		why := strings.TrimSuffix(fmt.Sprintf("%s: %s", fault.Kind, fault.Title), ": ")
		return Choice{Accel: TCG, Reason: fmt.Sprintf("%s opens, but an ordinary kernel does not boot: %s", kvmDevice, why)}, nil
	}
	if err != nil {
		return Choice{}, fmt.Errorf("probe KVM: %w", err)
	}
	took := res.Timing.Gone.Round(time.Millisecond)
	return Choice{Accel: KVM, Reason: fmt.Sprintf("%s %s booted in %v", res.Hello.Machine, res.Hello.Kernel, took)}, nil
}

// ProbeWithoutKernel runs a guest of a few instructions of x86_64. It returns why that did
// not work, "" if it did, which does not prove that a kernel boots.
func ProbeWithoutKernel(ctx context.Context, accel Accel) (why string, err error) {
	return probeWithoutKernel(ctx, accel, bareguest.Record, probeSilence)
}

func probeWithoutKernel(ctx context.Context, accel Accel, say func(string) bareguest.Code, silence time.Duration) (string, error) {
	dir, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	text, err := bareguest.Records(
		wire.Record{Hello: &wire.Hello{Version: wire.Version, Kernel: "none"}},
		wire.Record{End: &wire.End{}},
	)
	if err != nil {
		return "", err
	}
	m := Machine{Arch: bareguest.Arch(), Accel: accel, Kernel: filepath.Join(dir, "guest.elf"), MemMiB: 32}
	if err := bareguest.Write(m.Kernel, say(text), bareguest.Reset); err != nil {
		return "", err
	}

	start := time.Now()
	_, err = Run(ctx, m, Options{Timeout: probeTimeout, Silence: silence})
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fmt.Sprintf("a guest of a few instructions does not run: %s: %s (%v)", fault.Kind, fault.Title, time.Since(start).Round(time.Millisecond)), nil
	}
	return "", err
}

// KVMModule returns the module that brings KVM, "" where it is built in.
func KVMModule(a arch.Arch, accel Accel) string {
	if len(a.KVMModules) == 0 {
		return ""
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil && accel == KVM {
		for _, m := range a.KVMModules[1:] {
			if strings.Contains(string(info), " "+m.CPUFlag+" ") {
				return m.Name
			}
		}
	}
	return a.KVMModules[0].Name
}

// QEMUVersion returns the first line of what QEMU prints as its version.
func QEMUVersion(ctx context.Context, a arch.Arch) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	version, err := program.Version(ctx, a.QEMU.Program, "--version")
	return version, explainMissing(a, err)
}

// explainMissing adds the package to the error of a QEMU that is not installed.
func explainMissing(a arch.Arch, err error) error {
	if missing, ok := errors.AsType[*program.MissingError](err); ok {
		return fmt.Errorf("start QEMU: %w: install Debian's package %s", missing, a.QEMU.Package)
	}
	return err
}
