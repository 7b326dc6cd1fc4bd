// SPDX-License-Identifier: GPL-2.0-only

package shell

import (
	"bytes"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"vcpulab/ebpf/wire"
)

// escape is Ctrl-], as telnet and virsh have it: all other keys are the guest's.
const escape = ']' & 0x1f

// terminal is that of the user. Its other side is one in the guest.
type terminal struct {
	in    *os.File
	out   io.Writer
	leave func()        // ends the guest
	open  chan struct{} // closed when the guest has it

	mu     sync.Mutex
	before *term.State // nil unless the guest has it
}

// attach gives the terminal to the guest: keys go there as they are.
func (t *terminal) attach() (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before, err = term.MakeRaw(int(t.in.Fd())); err == nil {
		close(t.open)
	}
	return err
}

// restore makes the terminal what it was before. A nil terminal is fine.
func (t *terminal) restore() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before != nil {
		_ = term.Restore(int(t.in.Fd()), t.before) // it may be gone
		t.before = nil
	}
}

// Read reads keys once the guest has the terminal, up to the one that ends it.
func (t *terminal) Read(p []byte) (int, error) {
	<-t.open
	n, err := t.in.Read(p)
	if i := bytes.IndexByte(p[:n], escape); i >= 0 {
		t.leave()
		return i, io.EOF
	}
	return n, err
}

// Write shows what the guest's terminal shows.
func (t *terminal) Write(p []byte) (int, error) { return t.out.Write(p) }

func (t *terminal) size() (*wire.Size, error) {
	cols, rows, err := term.GetSize(int(t.in.Fd()))
	return &wire.Size{Rows: uint16(rows), Cols: uint16(cols)}, err
}

// messages shows what the kernel says while the guest has the terminal. How it boots
// is kept, and of no interest if it does.
type messages struct{ *terminal }

func (m messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.before == nil {
		return len(p), nil
	}
	return m.out.Write(p)
}
