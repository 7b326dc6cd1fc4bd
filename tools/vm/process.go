// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"vcpulab/tools/program"
)

// pipeSize is how much a guest can print before it waits for us, in bytes.
const pipeSize = 1 << 20

// process is a QEMU that runs. Its ends of the pipes are read until they are
// closed, which they are when QEMU has ended.
type process struct {
	*program.Process
	console *os.File // read end of QEMU's standard output
	stderr  *os.File // read end of its standard error
	records *os.File // read end of the record port
	qmp     *os.File // our end of the monitor's socket
}

// inherited are the channels of a machine that is started here: file
// descriptors in the order of startProcess, with no name in the file system.
func (m Machine) inherited() channels {
	ch := channels{records: "/dev/fd/3", qmp: "4"}
	if m.initramfs != nil {
		ch.initrd = "/dev/fd/5"
	}
	return ch
}

// startProcess starts QEMU. Call kill and close in the end: no context ends it.
func startProcess(m Machine) (_ *process, err error) {
	p := &process{}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			p.close()
		}
	}()
	for _, ours := range []**os.File{&p.console, &p.stderr, &p.records} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("start QEMU: %w", err)
		}
		// A smaller pipe works too, and unprivileged users have a limit.
		_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize)
		*ours, theirs = r, append(theirs, w)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	p.qmp = os.NewFile(uintptr(fds[0]), "qmp")
	theirs = append(theirs, os.NewFile(uintptr(fds[1]), "qmp of QEMU"))

	qemu := program.Program{
		Name: m.QEMU, InheritEnv: true, Stdout: theirs[0], Stderr: theirs[1],
		ExtraFiles: theirs[2:len(theirs):len(theirs)],
	}
	if m.initramfs != nil {
		qemu.ExtraFiles = append(qemu.ExtraFiles, m.initramfs)
	}
	p.Process, err = qemu.Start(context.Background(), m.args(m.inherited())...)
	if err != nil {
		return nil, explainMissing(m.Arch, err)
	}
	return p, nil
}

// close closes our ends of the pipes.
func (p *process) close() {
	for _, f := range []*os.File{p.console, p.stderr, p.records, p.qmp} {
		if f != nil {
			f.Close()
		}
	}
}

// ended describes how QEMU ended, and tells whether that was by itself and
// without an error.
func (p *process) ended() (how string, good bool) {
	err := p.Wait()
	if err == nil {
		return "QEMU ended by itself", true
	}
	if signal, ok := errors.AsType[*program.SignalError](err); ok {
		name := unix.SignalName(signal.Signal)
		if signal.Signal == unix.SIGKILL {
			name += ", perhaps because memory ran out"
		}
		return "QEMU was ended by " + name, false
	}
	if status, ok := errors.AsType[*program.StatusError](err); ok {
		return fmt.Sprintf("QEMU ended with status %d", status.Status), false
	}
	return err.Error(), false
}

// copyTo reads r until it is closed.
func copyTo(w io.Writer, r io.Reader) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(w, r)
	}()
	return done
}
