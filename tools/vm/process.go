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

// pipeSize is how many bytes of records a guest can write before it waits for
// us.
const pipeSize = 1 << 20

// process is a QEMU that runs.
type process struct {
	*program.Process
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

// startProcess starts QEMU, whose console goes to stdout. Call Kill and close in
// the end: no context ends it.
func startProcess(m Machine, stdout, stderr io.Writer) (*process, error) {
	records, recordsEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer recordsEnd.Close()
	// A smaller pipe works too, and unprivileged users have a limit.
	_, _ = unix.FcntlInt(recordsEnd.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		records.Close()
		return nil, err
	}
	qmpEnd := os.NewFile(uintptr(fds[1]), "qmp of QEMU")
	defer qmpEnd.Close()

	p := &process{records: records, qmp: os.NewFile(uintptr(fds[0]), "qmp")}
	qemu := program.Program{
		Name: m.Arch.QEMU.Program, InheritEnv: true, Stdout: stdout, Stderr: stderr,
		ExtraFiles: []*os.File{recordsEnd, qmpEnd},
	}
	if m.initramfs != nil {
		qemu.ExtraFiles = append(qemu.ExtraFiles, m.initramfs)
	}
	p.Process, err = qemu.Start(context.Background(), m.args(m.inherited())...)
	if err != nil {
		p.close()
		return nil, explainMissing(m.Arch, err)
	}
	return p, nil
}

// close closes our ends of the channels.
func (p *process) close() {
	p.records.Close()
	p.qmp.Close()
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
