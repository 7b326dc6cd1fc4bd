// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// A mount is one file system and where it goes.
type mount struct{ source, target, fstype, data string }

// basics are mounted in every guest.
var basics = [...]mount{
	{"proc", "/proc", "proc", ""},
	{"sysfs", "/sys", "sysfs", ""},
	{"devtmpfs", "/dev", "devtmpfs", ""},
}

// named returns the file systems that a job asks for by name.
func named(name string) (mount, bool) {
	m, ok := map[string]mount{
		"tmpfs":   {"tmpfs", "/tmp", "tmpfs", "mode=1777"},
		"shm":     {"tmpfs", "/dev/shm", "tmpfs", "mode=1777"},
		"debugfs": {"debugfs", "/sys/kernel/debug", "debugfs", ""},
		"tracefs": {"tracefs", "/sys/kernel/tracing", "tracefs", ""},
		"bpf":     {"bpf", "/sys/fs/bpf", "bpf", ""},
		"cgroup2": {"cgroup2", "/sys/fs/cgroup", "cgroup2", ""},
	}[name]
	return m, ok
}

func mountBasics() error {
	for _, m := range basics {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

func mountNamed(name string) error {
	m, ok := named(name)
	if !ok {
		return fmt.Errorf("mount %q: %w", name, wire.ErrUnimplemented)
	}
	return m.do()
}

// do mounts m. What is mounted there already, such as a devtmpfs that the
// kernel put on /dev by itself, is good.
func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
	}
	err := unix.Mount(m.source, m.target, m.fstype, 0, m.data)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
	}
	return nil
}

// portWait is how long the port may take to appear, and portPoll how often
// it is looked for: the driver may be a module that was just loaded.
const (
	portWait = 3 * time.Second
	portPoll = 10 * time.Millisecond
)

// openPort opens the virtio-serial port of that name.
func openPort(name string) (io.Writer, error) {
	for waited := time.Duration(0); ; waited += portPoll {
		dev, err := findPort("/sys/class/virtio-ports", name)
		if err == nil {
			fd, err := unix.Open(filepath.Join("/dev", dev), unix.O_WRONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("open virtio-serial port %q: /dev/%s: %w", name, dev, err)
			}
			return portWriter(fd), nil
		}
		if waited >= portWait {
			return nil, err
		}
		time.Sleep(portPoll)
	}
}

// findPort returns the device of the port with that name.
func findPort(class, name string) (string, error) {
	ports, err := os.ReadDir(class)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find virtio-serial port %q: %w", name, err)
	}
	found := make([]string, 0, len(ports))
	for _, p := range ports {
		n := readLine(filepath.Join(class, p.Name(), "name"))
		if n == name {
			return p.Name(), nil
		}
		found = append(found, fmt.Sprintf("%q", n))
	}
	sort.Strings(found)
	return "", fmt.Errorf("find virtio-serial port %q: found [%s]: is CONFIG_VIRTIO_CONSOLE in the kernel?",
		name, strings.Join(found, " "))
}

// portWriter writes to a virtio-serial port. The file is not handed to Go's
// poller: writes are few and blocking is what is wanted.
type portWriter int

// Write writes all of p; the driver takes at most 32 KiB at a time.
func (fd portWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k, err := unix.Write(int(fd), p[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// loadModule loads a module. One that is there already is good.
func loadModule(m wire.Module) error {
	fd, err := unix.Open(m.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("load module %s: %w", m.Path, err)
	}
	defer unix.Close(fd)
	err = unix.FinitModule(fd, m.Args, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load module %s %s: %w", m.Path, m.Args, err)
	}
	return nil
}

// marshal is json.Marshal, but leaves what is JSON already as it is.
func marshal(v any) (json.RawMessage, error) {
	if raw, ok := v.(json.RawMessage); ok {
		return raw, nil
	}
	return json.Marshal(v)
}
