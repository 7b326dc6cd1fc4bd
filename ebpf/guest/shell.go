// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// busybox is the program that is all others.
const busybox = "/bin/busybox"

// powerSignals are what busybox's reboot, halt and poweroff send to init.
var powerSignals = []os.Signal{unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2}

func runShell(out *wire.Encoder, job wire.Shell, modules []wire.Module) error {
	in, err := openPort(wire.InputPort, unix.O_RDONLY)
	if err != nil {
		return err
	}
	if said, err := exec.Command(busybox, "--install", "-s", "/bin").CombinedOutput(); err != nil {
		return fmt.Errorf("install the programs of busybox: %w: %s", err, said)
	}
	if err := os.Setenv("PATH", programPath); err != nil { // where the program is looked up
		return err
	}
	for _, m := range modules {
		at := wire.Loaded{Path: m.Path, Text: readLine(filepath.Join("/sys/module", moduleName(m.Path), "sections/.text"))}
		if err := out.Send(wire.Record{Loaded: &at}); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), powerSignals...)
	defer stop()

	// Its processes may fork as they like: they end with the guest.
	cmd := exec.CommandContext(ctx, job.Args[0], job.Args[1:]...)
	cmd.Env = append(programEnv(), job.Env...)
	cmd.WaitDelay = killGrace
	s := shell{cmd: cmd, done: make(chan struct{})}
	connect := s.connectPipes
	if job.Terminal != nil {
		connect = func(*wire.Encoder) error { return s.connectTerminal(*job.Terminal) }
	}
	if err := connect(out); err != nil {
		return err
	}
	if err := out.Send(wire.Record{Start: job.Args[0]}); err != nil {
		return err
	}

	go s.listen(in)
	t := wire.Test{Name: job.Args[0]}
	start := monotonic()
	err = cmd.Run()
	t.Nanos = monotonic() - start
	setOutcome(ctx, &t, err, wire.OutcomeExit)
	if s.terminal != nil {
		// What was written to it is on its way once it is closed.
		if err := s.terminal.Close(); err != nil {
			return err
		}
	}
	if err := out.Send(wire.Record{Test: &t}); err != nil {
		return err
	}
	// The reader of the output may be slow, and what QEMU still has goes with it.
	<-s.done
	return nil
}

type shell struct {
	cmd      *exec.Cmd
	terminal *os.File       // nil without one
	stdin    io.WriteCloser // nil with a terminal
	done     chan struct{}  // closed after Input.Done
}

func (s *shell) connectTerminal(size wire.Size) (err error) {
	if s.terminal, err = openDevice(wire.TerminalDevice, unix.O_RDWR|unix.O_NOCTTY); err != nil {
		return fmt.Errorf("open the terminal: %w", err)
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.terminal, s.terminal, s.terminal
	s.cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	return s.resize(size)
}

// resize tells the terminal its size, and with that the programs on it.
func (s *shell) resize(size wire.Size) error {
	return unix.IoctlSetWinsize(int(s.terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
}

func (s *shell) connectPipes(out *wire.Encoder) (err error) {
	s.cmd.Stdout, s.cmd.Stderr = printer{out, false}, printer{out, true}
	s.stdin, err = s.cmd.StdinPipe()
	return err
}

// printer sends what is written to it as Output.
type printer struct {
	out    *wire.Encoder
	stderr bool
}

func (p printer) Write(data []byte) (int, error) {
	if err := p.out.Send(wire.Record{Output: &wire.Output{Stderr: p.stderr, Data: data}}); err != nil {
		return 0, err
	}
	return len(data), nil
}

// listen does what the host says. A size that the terminal does not take, and input
// for a program that has ended, are lost.
func (s *shell) listen(in io.Reader) {
	defer close(s.done)
	lines := bufio.NewReader(patientReader{in})
	for {
		line, err := lines.ReadBytes('\n')
		var said wire.Input
		if err == nil {
			err = json.Unmarshal(line, &said)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "vcpulab-guest: what the host says: %v\n", err)
			return
		}
		if len(said.Data) > 0 {
			_, _ = s.stdin.Write(said.Data)
		}
		if said.EOF {
			_ = s.stdin.Close()
		}
		if said.Resize != nil {
			_ = s.resize(*said.Resize)
		}
		if said.Done {
			return
		}
	}
}

// patientReader reads from a port, which seems to end until the host is there.
type patientReader struct{ port io.Reader }

func (r patientReader) Read(p []byte) (int, error) {
	for {
		n, err := r.port.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		time.Sleep(portPoll)
	}
}
