// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

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
	return fits(want, has, s.available())
}

// available is how much memory can be had, in bytes; 0 if that is not known.
func (s System) available() int64 {
	text, _, _ := strings.Cut(s.field("proc/meminfo", "MemAvailable"), " ")
	kib, _ := strconv.ParseInt(text, 10, 64)
	return kib << 10
}

// fits refuses VMs that are too large. has.ID is one more than the largest ID.
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
