// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// A mount is a file system and where it goes. Its source is its type.
type mount struct{ fstype, target, data string }

// basics are mounted in every guest, named if a job asks for them.
var (
	basics = []mount{{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}}
	named  = map[string]mount{
		"tmpfs":   {"tmpfs", "/tmp", "mode=1777"},
		"shm":     {"tmpfs", "/dev/shm", "mode=1777"},
		"debugfs": {"debugfs", "/sys/kernel/debug", ""},
		"tracefs": {"tracefs", "/sys/kernel/tracing", ""},
		"bpf":     {"bpf", "/sys/fs/bpf", ""},
		"cgroup2": {"cgroup2", "/sys/fs/cgroup", ""},
	}
)

// mountAll mounts file systems. One that is mounted there already, such as the
// devtmpfs that the kernel may mount by itself, is fine.
func mountAll(mounts ...mount) error {
	for _, m := range mounts {
		err := os.MkdirAll(m.target, 0o755)
		if err == nil {
			err = unix.Mount(m.fstype, m.target, m.fstype, 0, m.data)
		}
		if err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
		}
	}
	return nil
}

// portWait is how long the port may take to appear, as its driver may be a module
// that was just loaded, and portPoll how often to try.
const (
	portWait = 3 * time.Second
	portPoll = 10 * time.Millisecond
)

func openPort() (io.Writer, error) {
	// Blocking, i.e. unknown to Go's poller: writes are few.
	fd, err := unix.Open(wire.Port, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	for waited := time.Duration(0); errors.Is(err, unix.ENOENT) && waited < portWait; waited += portPoll {
		time.Sleep(portPoll)
		fd, err = unix.Open(wire.Port, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open virtio-serial port %s: %w: is CONFIG_VIRTIO_CONSOLE in the kernel?", wire.Port, err)
	}
	return os.NewFile(uintptr(fd), wire.Port), nil
}

// loadModule loads a module, unless it is loaded already.
func loadModule(m wire.Module) error {
	f, err := os.Open(m.Path)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), m.Args, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load module %s %s: %w", m.Path, m.Args, err)
	}
	return nil
}

// readLine returns the first line of a file, "" if it cannot be read.
func readLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// hello describes the guest. What cannot be read is left empty: the host
// decides whether it can do without.
func hello() *wire.Hello {
	h := &wire.Hello{
		Version:    wire.Version,
		Cmdline:    readLine("/proc/cmdline"),
		BootID:     readLine("/proc/sys/kernel/random/boot_id"),
		OnlineCPUs: readLine("/sys/devices/system/cpu/online"),
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		h.Kernel = unix.ByteSliceToString(uts.Release[:])
		h.Machine = unix.ByteSliceToString(uts.Machine[:])
	}
	return h
}
