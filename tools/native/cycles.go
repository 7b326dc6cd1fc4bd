// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrCycles means that the processor's cycles cannot be counted.
var ErrCycles = errors.New("cycles cannot be counted")

// event is one that perf_event_open counts.
type event struct {
	kind   uint32
	config uint64
}

// cycles are those of the processor while it runs user space.
var cycles = event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES}

// Cycles tries to count the processor's cycles. The error is ErrCycles, and says
// why they cannot be counted here.
func Cycles() error {
	attr := unix.PerfEventAttr{Type: cycles.kind, Config: cycles.config,
		Size: unix.PERF_ATTR_SIZE_VER0, Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err == nil {
		return unix.Close(fd)
	}
	paranoid, _ := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	return whyNoCycles(err, strings.TrimSpace(string(paranoid)))
}

// whyNoCycles says what an error of perf_event_open means.
func whyNoCycles(err error, paranoid string) error {
	why := "it failed"
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV):
		why = "the kernel knows no such counter of this processor, as in a virtual machine that is given none"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		why = fmt.Sprintf("it is not allowed: kernel.perf_event_paranoid is %s, expected 2 or less, or root", paranoid)
	case errors.Is(err, unix.ENOSYS):
		why = "the kernel has no perf events"
	}
	return fmt.Errorf("%w: perf_event_open: %w: %s", ErrCycles, err, why)
}
