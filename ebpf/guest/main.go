// SPDX-License-Identifier: GPL-2.0-only

// Command guest is the program that runs as init in a guest: it mounts what
// its job needs, loads the job's modules, does the job, streams what it
// finds over a virtio-serial port and ends the guest.
//
// With the argument wire.RunningArg it does the job alone, on the running kernel.
//
// It is built static and is the only program of the initramfs. Under icount
// every instruction that it runs is time, so it starts no shell, no other
// process and, unless the job asks for heartbeats, no timer.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// heapLimit is where the garbage collector begins to work, in bytes: guests
// are short-lived and a collection in a measured stretch would be noise.
const heapLimit = 256 << 20

func main() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(heapLimit)

	switch {
	case os.Getpid() == 1:
		if err := boot(); err != nil {
			fmt.Fprintf(os.Stderr, "%s%v\n", wire.FatalPrefix, err)
		}
		powerOff()
	case len(os.Args) == 2 && os.Args[1] == wire.RunningArg:
		if err := doRunning(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "%s%v\n", wire.FatalPrefix, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "guest: this program is the init of a guest that vcpulab starts; it does nothing elsewhere")
		os.Exit(2)
	}
}

// boot does everything between the start of init and the end record. Its
// error is one that no record could carry.
func boot() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := mountAll(basics...); err != nil {
		return err
	}
	port, err := openPort(wire.PortName)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(wire.JobPath)
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	job, err := wire.ParseJob(data)
	if err != nil {
		return fmt.Errorf("%s: %w", wire.JobPath, err)
	}
	return serve(port, job)
}

// maxJob bounds a job that is read from a pipe, in bytes.
const maxJob = 1 << 20

// doRunning does the job that it reads, on the running kernel: file systems are
// mounted and modules loaded already, and the machine stays up. It refuses a job
// that would change the machine. An error of the job itself is in the records.
func doRunning(in io.Reader, out io.Writer) error {
	data, err := io.ReadAll(io.LimitReader(in, maxJob))
	if err != nil {
		return err
	}
	job, err := wire.ParseJob(data)
	if err != nil {
		return err
	}
	if job.Kind != wire.JobMeasure || len(job.Mounts) > 0 || len(job.Modules) > 0 {
		return fmt.Errorf("job %q: expected one that measures and neither mounts nor loads anything", job.Kind)
	}
	return serve(out, job)
}

// serve does the job and sends all records, from hello to end.
func serve(port io.Writer, job wire.Job) error {
	g := &guest{enc: wire.NewEncoder(port, monotonic)}
	if err := g.enc.Send(hello(job)); err != nil {
		return err
	}
	stop := g.beat(job.HeartbeatMillis)
	status := wire.StatusOK
	if err := g.run(job); err != nil {
		status = wire.StatusFailed
		g.fail(err)
	}
	stop()
	return g.enc.Send(wire.Record{Kind: wire.KindEnd, End: &wire.End{Status: status}})
}

// jobs are what the guest can do, by Job.Kind. A job streams what it finds; its
// error becomes the last Error record and a failed status.
var jobs = map[string]func(ctx context.Context, g *guest, job wire.Job) error{
	wire.JobBoot:    func(context.Context, *guest, wire.Job) error { return nil },
	wire.JobExec:    execPrograms,
	wire.JobMeasure: measureVMs,
}

// run does the job. A panic in it becomes an error; the console has the stack.
func (g *guest) run(job wire.Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "vcpulab-guest: panic: %v\n%s\n", p, debug.Stack())
			err = fmt.Errorf("%w: %v", wire.ErrPanic, p)
		}
	}()
	do := jobs[job.Kind]
	if do == nil {
		return fmt.Errorf("job of kind %q: %w", job.Kind, wire.ErrUnimplemented)
	}

	for _, name := range job.Mounts {
		m, ok := named[name]
		if !ok {
			return fmt.Errorf("mount %q: %w", name, wire.ErrUnimplemented)
		}
		if err := mountAll(m); err != nil {
			return err
		}
	}
	for _, m := range job.Modules {
		if err := loadModule(m); err != nil {
			return err
		}
		g.logf("loaded %s %s", m.Path, m.Args)
	}
	return do(context.Background(), g, job)
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
