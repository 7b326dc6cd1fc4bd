// SPDX-License-Identifier: GPL-2.0-only

// Package shell lets the user talk to a guest: over a terminal, or with a
// program whose input and output are streams.
package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// Session is a program in a guest and who talks to it.
type Session struct {
	// Args are a program, of busybox or the guest's files, and its arguments; none is a shell.
	Args    []string
	Name    string // what the shell's prompt begins with
	Busybox string // path of a busybox for the guest, see CheckBusybox

	// Where Stdin and Stdout are terminals the program is on a terminal, too.
	Stdin          *os.File
	Stdout, Stderr io.Writer
	About          string // what the guest is, said on a terminal
	// Started, unless nil, is called with the guest's modules when the program starts.
	Started func([]wire.Loaded) error
}

// The guest says that it is alive each heartbeat, and counts as hung after silence.
const (
	heartbeat = time.Second
	silence   = 45 * time.Second
)

// Run boots a machine and runs the program to its end, which ends the guest. The
// error is an exit.Status if the program ended with another one than 0. Of the
// options, only KeepDir and Core count.
func (s Session) Run(ctx context.Context, c *cache.Cache, m vm.Machine, g vm.Guest, o vm.Options) (*vm.Result, error) {
	if len(s.Args) == 0 {
		s.Args = []string{"sh"}
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	hear, say := io.Pipe()
	defer hear.Close() // ends who waits to say something
	t := &talk{Session: s, say: json.NewEncoder(say)}

	job := &wire.Shell{Args: s.Args, Env: []string{"PS1=" + s.Name + `:\w# `, "TERM=" + os.Getenv("TERM")}}
	o.Timeout, o.Silence, o.AllowWarnings = math.MaxInt64, silence, true
	if m.GDB != nil {
		o.Silence = math.MaxInt64 // gdb stops it for as long as it likes
	}
	o.Input, o.OnRecord = hear, t.follow
	if s.onTerminal() {
		t.terminal = &terminal{in: s.Stdin, out: s.Stdout, leave: leave, open: make(chan struct{})}
		defer t.terminal.restore()
		defer t.watchSize()()
		o.Terminal, o.Console = t.terminal, messages{t.terminal}
		size, err := t.terminal.size()
		if err != nil {
			return nil, err
		}
		job.Terminal = size
	}
	g.Job = wire.Job{Shell: job, Mounts: g.Job.Mounts, HeartbeatMillis: heartbeat.Milliseconds()}
	g.Files = append(slices.Clip(g.Files), vm.File{Path: "bin/busybox", Mode: 0o755, Host: s.Busybox})

	res, err := vm.Boot(ctx, c, m, g, o)
	if err != nil {
		return res, err
	}
	return res, ended(t.test)
}

// Check refuses a shell whose input is a terminal and whose output is none.
func (s Session) Check() error {
	if len(s.Args) > 0 || s.onTerminal() || !isTerminal(s.Stdin) {
		return nil
	}
	return exit.With(exit.Usage, errors.New("a shell takes a terminal for its output, too: give a command, as in vcpulab shell base -- dmesg"))
}

func (s Session) onTerminal() bool { return isTerminal(s.Stdin) && isTerminal(s.Stdout) }

func isTerminal(file any) bool {
	f, ok := file.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

func ended(t wire.Test) error {
	switch {
	case t.Outcome == wire.OutcomeSignal:
		return exit.Status(128 + int(unix.SignalNum(t.Signal)))
	case t.Outcome != wire.OutcomeExit:
		return exit.With(exit.Usage, fmt.Errorf("run %s in the guest: %s", t.Name, t.Message))
	case t.Code != 0:
		return exit.Status(t.Code)
	}
	return nil
}

type talk struct {
	Session
	terminal *terminal // nil without one
	hello    wire.Hello
	loaded   []wire.Loaded
	test     wire.Test

	mu  sync.Mutex
	say *json.Encoder
}

func (t *talk) follow(rec wire.Record) error {
	switch {
	case rec.Hello != nil:
		t.hello = *rec.Hello
	case rec.Loaded != nil:
		t.loaded = append(t.loaded, *rec.Loaded)
	case rec.Start != "":
		if t.Started != nil {
			if err := t.Started(t.loaded); err != nil {
				return err
			}
		}
		if t.terminal == nil {
			go t.sendStdin()
			return nil
		}
		fmt.Fprintf(t.Stderr, "Linux %s, %s; Ctrl-] ends the guest\n", t.hello.Kernel, t.About)
		return t.terminal.attach()
	case rec.Output != nil:
		out := t.Stdout
		if rec.Output.Stderr {
			out = t.Stderr
		}
		_, err := out.Write(rec.Output.Data)
		return err
	case rec.Test != nil:
		t.test = *rec.Test
		t.terminal.restore()
		// Not here: the guest may not listen any more.
		go t.tell(wire.Input{Done: true})
	}
	return nil
}

// tell says something to the guest, which may have ended.
func (t *talk) tell(in wire.Input) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.say.Encode(in)
}

// Write has data written to the program's input.
func (t *talk) Write(data []byte) (int, error) {
	t.tell(wire.Input{Data: data})
	return len(data), nil
}

// sendStdin sends standard input. A terminal is left to others, as a pager of the output.
func (t *talk) sendStdin() {
	if !isTerminal(t.Stdin) {
		_, _ = io.Copy(t, t.Stdin) // 32 KiB at a time
	}
	t.tell(wire.Input{EOF: true})
}

// watchSize tells the guest the size of the terminal whenever it changes, until the
// function that it returns is called.
func (t *talk) watchSize() (stop func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		for range changed {
			if size, err := t.terminal.size(); err == nil {
				t.tell(wire.Input{Resize: size})
			}
		}
	}()
	return func() { signal.Stop(changed); close(changed) }
}
