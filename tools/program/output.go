// SPDX-License-Identifier: GPL-2.0-only

package program

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// MissingError says that a program is not installed.
type MissingError struct {
	Program string
	Err     error
}

func (e *MissingError) Error() string { return e.Program + " is not installed" }
func (e *MissingError) Unwrap() error { return e.Err }

// ExitCode says that the machine lacks something.
func (e *MissingError) ExitCode() int { return exit.MachineLacks }

// StatusError says that a program ended with another status than 0, no exit code of ours.
type StatusError struct {
	Command string // the program and its first arguments
	Status  int
	Said    string // the end of what it printed to its standard error
}

func (e *StatusError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s: exit status %d: %s", e.Command, e.Status, e.Said), ": ")
}

// SignalError says that a signal ended a program.
type SignalError struct {
	Command string // the program and its first arguments
	Signal  syscall.Signal
	Said    string // the end of what it printed to its standard error
}

func (e *SignalError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s: ended by %s: %s", e.Command, unix.SignalName(e.Signal), e.Said), ": ")
}

// LastLines returns the end of what a program printed, where errors are.
func LastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// limited is a buffer that stops growing at MaxOutput. The buffer is not embedded: it
// would bring ReadFrom, which exec prefers to Write and which has no bound.
type limited struct {
	buffer bytes.Buffer
	full   bool
}

func (b *limited) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > MaxOutput {
		b.full = true
		return len(p), nil
	}
	return b.buffer.Write(p)
}

// maxLine bounds a line that is handed on, in bytes: a longer one is split.
const maxLine = 1 << 20

type lineWriter struct {
	mu   sync.Mutex
	emit func(line string)
	part []byte // a line that is not complete yet
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.part = append(w.part, p...)
	for {
		line, rest, complete := bytes.Cut(w.part, []byte("\n"))
		if !complete && len(w.part) < maxLine {
			return len(p), nil
		}
		w.emit(string(line))
		w.part = rest
	}
}

// flush hands on a last line without an end.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.part) > 0 {
		w.emit(string(w.part))
	}
}
