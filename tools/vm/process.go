// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is how much a guest can say while nobody listens, in bytes.
const pipeSize = 1 << 20

// process is a QEMU that runs. Its ends of the pipes are read until they are
// closed, which they are when QEMU is gone.
type process struct {
	console *os.File // read end of QEMU's standard output
	stderr  *os.File // read end of its standard error
	records *os.File // read end of the record port
	qmp     *os.File // our end of the monitor's socket

	pid  int
	done chan struct{} // closed when QEMU is gone
	err  error         // how it ended; valid after done
}

// Numbers of the files that QEMU inherits besides the standard three.
const (
	recordsFD   = "3"
	qmpFD       = "4"
	initramfsFD = "5" // when the machine has one
)

// inherited are the channels of a machine that is started here: no name in
// the file system, so nothing to collide with or to be left behind.
func (m Machine) inherited() channels {
	ch := channels{records: "/dev/fd/" + recordsFD, qmp: qmpFD}
	if m.initramfs != nil {
		ch.initrd = "/dev/fd/" + initramfsFD
	}
	return ch
}

// startProcess starts QEMU in a process group of its own. It is killed when
// this process dies, however it dies.
func startProcess(m Machine) (_ *process, err error) {
	args := m.command(m.inherited())
	p := &process{done: make(chan struct{})}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			p.close()
		}
	}()
	pipe := func(ours **os.File) error {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("start QEMU: %w", err)
		}
		// A smaller pipe works too, and unprivileged users have a limit.
		_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize)
		*ours, theirs = r, append(theirs, w)
		return nil
	}
	for _, ours := range []**os.File{&p.console, &p.stderr, &p.records} {
		if err := pipe(ours); err != nil {
			return nil, err
		}
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	p.qmp = os.NewFile(uintptr(fds[0]), "qmp")
	theirs = append(theirs, os.NewFile(uintptr(fds[1]), "qmp of QEMU"))

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = theirs[0], theirs[1]
	cmd.ExtraFiles = theirs[2:]
	if m.initramfs != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, m.initramfs)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the thread that started QEMU
		// ends, so that thread stays until QEMU is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// kill ends QEMU at once and waits until it is gone: it has nothing to save.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	<-p.done
}

// close closes our ends of the pipes.
func (p *process) close() {
	for _, f := range []*os.File{p.console, p.stderr, p.records, p.qmp} {
		if f != nil {
			f.Close()
		}
	}
}

// ended says in words how QEMU ended and whether that was by itself and
// without complaint.
func (p *process) ended() (how string, good bool) {
	if p.err == nil {
		return "QEMU ended by itself", true
	}
	exitErr, ok := errors.AsType[*exec.ExitError](p.err)
	if !ok {
		return p.err.Error(), false
	}
	ws := exitErr.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		name := unix.SignalName(ws.Signal())
		if ws.Signal() == unix.SIGKILL {
			name += ", perhaps because memory ran out"
		}
		return "QEMU was ended by " + name, false
	}
	return fmt.Sprintf("QEMU ended with status %d", ws.ExitStatus()), false
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
