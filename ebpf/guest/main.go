// SPDX-License-Identifier: GPL-2.0-only

// Command guest is the program that runs as init in a guest: it mounts what its job
// needs, loads the job's modules, does the job, streams what it finds over a
// virtio-serial port and ends the guest. With the argument wire.RunningArg it does the
// job alone, on the running kernel.
//
// It is built static and is the only program of the initramfs. Under icount
// every instruction that it runs is time, so it starts no shell, no other
// process and, unless the job asks for heartbeats, no timer.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// heapLimit is where the garbage collector begins to work, in bytes: guests
// are short-lived and a collection in a measured stretch would be noise.
const heapLimit = 256 << 20

func main() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(heapLimit)

	running := len(os.Args) == 2 && os.Args[1] == wire.RunningArg
	var err error
	switch {
	case os.Getpid() == 1:
		err = protect(boot)
	case running:
		err = doRunning(os.Stdin, os.Stdout)
	default:
		fmt.Fprintln(os.Stderr, "guest: this program is the init of a guest that vcpulab starts; it does nothing elsewhere")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", wire.FatalPrefix, err)
	}
	if !running {
		powerOff()
	} else if err != nil {
		os.Exit(1)
	}
}

// boot does everything between the start of init and the end record. Its
// error is one that no record could carry.
func boot() error {
	if err := mountAll(basics...); err != nil {
		return err
	}
	in, err := os.Open(wire.JobPath)
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	defer in.Close()
	job, err := readJob(in)
	if err != nil {
		return err
	}
	for _, m := range job.Drivers {
		if err := loadModule(m); err != nil {
			return err
		}
	}
	port, err := openPort(wire.Port, unix.O_WRONLY)
	if err != nil {
		return err
	}
	return serve(port, job)
}

// readJob reads a job and refuses fields that it does not have: host and guest are
// built from the same source, so one of them is stale.
func readJob(in io.Reader) (job wire.Job, err error) {
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&job); err != nil {
		return job, fmt.Errorf("%w: %w", wire.ErrInvalid, err)
	}
	return job, nil
}

// doRunning does the job that it reads, on the running kernel: file systems are
// mounted and modules loaded already, and the machine stays up. It refuses a job
// that would change the machine. An error of the job itself is in the records.
func doRunning(in io.Reader, out io.Writer) error {
	job, err := readJob(in)
	if err != nil {
		return err
	}
	if job.Measure == nil || job.Exec != nil || job.Shell != nil || len(job.Mounts)+len(job.Drivers)+len(job.Modules) > 0 {
		return fmt.Errorf("%w: expected one that measures and neither mounts nor loads anything", wire.ErrInvalid)
	}
	return serve(out, job)
}

// serve does the job and sends all records, from hello to end. An error ends the
// program, with which goes all that it has: what fails leaves the clean-up to that.
func serve(port io.Writer, job wire.Job) error {
	out := wire.NewEncoder(port, monotonic)
	if err := out.Send(wire.Record{Hello: hello()}); err != nil {
		return err
	}
	stop := beat(out, job.HeartbeatMillis)
	err := protect(func() error { return do(out, job) })
	stop()
	return out.Send(wire.Record{End: wire.NewEnd(err)})
}

// protect calls f. A panic in it becomes an error; the console has the stack.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "vcpulab-guest: panic: %v\n%s\n", p, debug.Stack())
			err = fmt.Errorf("%w: %v", wire.ErrPanic, p)
		}
	}()
	return f()
}

// do does the job. It streams what it finds; its error becomes that of End.
func do(out *wire.Encoder, job wire.Job) error {
	for _, name := range job.Mounts {
		if name == wire.HostMount {
			if err := mountHost(job.Emptied, job.Layered); err != nil {
				return err
			}
			continue
		}
		m, ok := named[name]
		if !ok {
			return fmt.Errorf("%w: mount %q: unknown to this guest program", wire.ErrInvalid, name)
		}
		if err := mountAll(m); err != nil {
			return err
		}
	}
	for _, m := range job.Modules {
		if err := loadModule(m); err != nil {
			return err
		}
		if err := out.Send(wire.Record{Log: fmt.Sprintf("loaded %s %s", m.Path, m.Args)}); err != nil {
			return err
		}
	}

	switch {
	case job.Exec != nil:
		return execPrograms(out, *job.Exec)
	case job.Shell != nil:
		return runShell(out, *job.Shell, job.Modules)
	case job.Measure != nil:
		return measureVMs(out, *job.Measure)
	}
	return nil
}

// sender sends samples. Its first error, which ends the stream, is that of the job.
type sender struct {
	out *wire.Encoder
	err error
}

func (s *sender) send(sample measure.Sample) {
	s.err = cmp.Or(s.err, s.out.Send(wire.Record{Sample: &sample}))
}

// beat sends a heartbeat every millis, if that is not 0, until stop is called.
func beat(out *wire.Encoder, millis int64) (stop func()) {
	if millis <= 0 {
		return func() {}
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		t := time.NewTicker(time.Duration(millis) * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				_ = out.Send(wire.Record{}) // the numbers of the records show that one is missing
			}
		}
	}()
	return func() { close(done); <-gone }
}

// monotonic is the guest's CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// powerOff ends the guest. The host starts QEMU so that a restart is its end.
func powerOff() {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Fprintf(os.Stderr, "%sreboot: %v\n", wire.FatalPrefix, err)
	}
	select {}
}

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

const by9p = "trans=virtio,version=9p2000.L,cache=loose,msize=512000" // for the host's files

// hostMounts are what a program sees that takes the host's root for its own.
var hostMounts = []mount{
	{wire.HostTag, "/lower", by9p},
	{"tmpfs", "/upper", ""},
	{"overlay", wire.HostRoot, ""},
	{"proc", wire.HostRoot + "/proc", ""},
	{"sysfs", wire.HostRoot + "/sys", ""},
	{"devtmpfs", wire.HostRoot + "/dev", ""},
	{"tmpfs", wire.HostRoot + "/dev/shm", "mode=1777"},
	{"debugfs", wire.HostRoot + "/sys/kernel/debug", ""},
	{"tracefs", wire.HostRoot + "/sys/kernel/tracing", ""},
	{"bpf", wire.HostRoot + "/sys/fs/bpf", ""},
}

// mountHost mounts the host's root, in which some directories are empty and over which files
// of a layer may be laid, and links what programs expect in /dev and no kernel makes.
func mountHost(emptied []string, layered bool) error {
	const written, work, layer = "/upper/written", "/upper/work", "/layer"
	lower := "/lower"
	if layered {
		lower = layer + ":" + lower
		if err := os.Mkdir(layer, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(wire.LayerTag, layer, "9p", 0, by9p); err != nil {
			return fmt.Errorf("mount %s on %s: %w", wire.LayerTag, layer, err)
		}
	}
	for _, m := range hostMounts {
		if m.fstype == "overlay" {
			m.data = "lowerdir=" + lower + ",upperdir=" + written + ",workdir=" + work
			if err := errors.Join(os.Mkdir(written, 0o755), os.Mkdir(work, 0o755)); err != nil {
				return err
			}
			for _, dir := range emptied {
				err := os.MkdirAll(written+dir, 0o755)
				if err == nil {
					err = os.NewSyscallError("hide "+dir, unix.Setxattr(written+dir, "trusted.overlay.opaque", []byte("y"), 0))
				}
				if err != nil {
					return err
				}
			}
		}
		if err := mountAll(m); err != nil {
			return err
		}
	}
	if err := os.Symlink("/proc/self/fd", wire.HostRoot+"/dev/fd"); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

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

func openPort(name string, flags int) (port *os.File, err error) {
	port, err = openDevice(name, flags)
	// There is a moment in which it has a name and is not yet in the driver's list.
	absent := func() bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENXIO) }
	for waited := time.Duration(0); absent() && waited < portWait; waited += portPoll {
		time.Sleep(portPoll)
		port, err = openDevice(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("open virtio-serial port: %w: is CONFIG_VIRTIO_CONSOLE in the kernel?", err)
	}
	return port, nil
}

// openDevice opens a device so that its calls block, unknown to Go's poller.
func openDevice(name string, flags int) (*os.File, error) {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func readLine(path string) string {
	data, _ := os.ReadFile(path)
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
