// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// talk are the connections with a guest that a user talks to, see Options.
type talk struct {
	ours, theirs []*os.File
	heard        sync.WaitGroup // until all that the guest said has been written
}

// connect makes the connections that the options ask for, and gives the machine its ends.
func (r *run) connect() (t *talk, err error) {
	t = &talk{}
	if r.options.Terminal != nil {
		r.m.terminal, err = t.add("terminal", r.options.Terminal, r.options.Terminal)
	}
	if err == nil && r.options.Input != nil {
		r.m.input, err = t.add("input", r.options.Input, io.Discard)
	}
	if err != nil {
		t.close()
	}
	return t, err
}

// add makes a connection with whoever writes in and reads out. What the guest says is
// taken in every case: it would wait.
func (t *talk) add(name string, in io.Reader, out io.Writer) (theirs *os.File, err error) {
	ours, theirs, err := socketPair(name)
	if err != nil {
		return nil, err
	}
	t.ours, t.theirs = append(t.ours, ours), append(t.theirs, theirs)
	go func() { _, _ = io.Copy(ours, in) }()
	t.heard.Go(func() {
		_, _ = io.Copy(out, ours)
		_, _ = io.Copy(io.Discard, ours)
	})
	return theirs, nil
}

// started closes the ends that QEMU has inherited.
func (t *talk) started() {
	for _, f := range t.theirs {
		f.Close()
	}
	t.theirs = nil
}

func (t *talk) close() {
	t.started()
	t.heard.Wait()
	for _, f := range t.ours {
		f.Close()
	}
}

func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name+" of QEMU"), nil
}
