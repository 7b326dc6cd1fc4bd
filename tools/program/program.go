// SPDX-License-Identifier: GPL-2.0-only

// Package program runs the programs of the machine. It is the only place that
// starts processes: none outlives the call, its context or this process, and
// what they print is bounded.
package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"al.essio.dev/pkg/shellescape"
	"golang.org/x/sys/unix"
)

// Program is a program to run. Only Name is needed.
type Program struct {
	Name string // looked up in PATH unless it has a slash
	Dir  string // the working directory, "" for the caller's
	// Env is the environment, in addition to PATH, TMPDIR, LC_ALL=C.UTF-8 and
	// HOME, which is Dir where that is set: what a program does depends on its
	// arguments and Dir, not on the user's settings.
	Env []string
	// InheritEnv passes the caller's environment on instead. Env comes last.
	InheritEnv bool

	Stdin io.Reader // what it reads, nil for nothing
	// Stdout and Stderr get what it prints; nil keeps MaxOutput bytes of it for Run.
	Stdout, Stderr io.Writer
	// Lines gets each line of both outputs as it arrives, and nothing is kept.
	Lines func(line string)
	// PipeStdin and PipeStdout have Start connect Process.Stdin and .Stdout.
	PipeStdin, PipeStdout bool
	ExtraFiles            []*os.File // inherited as file descriptors 3 and up

	CPUs []int // the processors that it may use, nil for the caller's
	// Stop is sent to it and to all that it started when the context ends.
	// What is left Grace later is killed. Without Stop it is killed at once.
	Stop  syscall.Signal
	Grace time.Duration
	// Foreground leaves it in the terminal's process group, where Ctrl-C
	// reaches it through sudo. What it started is then not killed with it.
	Foreground bool
}

// MaxOutput is what is kept of each output, in bytes. More is an error.
const MaxOutput = 64 << 20

// waitDelay is how long outputs may stay open after the program ended.
const waitDelay = 5 * time.Second

// Process is a program that was started. Wait must be called.
type Process struct {
	Pid int
	// Stdin and Stdout are the ends of the pipes that were asked for. Read
	// Stdout to its end before Wait, which closes both.
	Stdin  io.WriteCloser
	Stdout *os.File

	program  Program
	command  string
	cmd      *exec.Cmd
	ctx      context.Context
	out, err limited
	done     chan struct{}
	ended    error // how it ended; valid after done
}

// Run runs the program to its end and returns what it printed. The error is a
// *MissingError if it is not installed, a *StatusError if it ended with another
// status than 0 and a *SignalError if a signal ended it; what it printed is
// returned with those two. If ctx ends, the error wraps ctx.Err().
func (p Program) Run(ctx context.Context, args ...string) (stdout, stderr []byte, err error) {
	process, err := p.Start(ctx, args...)
	if err != nil {
		return nil, nil, err
	}
	err = process.Wait()

	_, hasStatus := errors.AsType[*StatusError](err)
	_, hasSignal := errors.AsType[*SignalError](err)
	if err != nil && !hasStatus && !hasSignal {
		return nil, nil, err
	}
	return process.out.buffer.Bytes(), process.err.buffer.Bytes(), err
}

// Version returns the first line of what a program prints about its version.
func Version(ctx context.Context, name, option string) (string, error) {
	stdout, _, err := Program{Name: name, Env: []string{"LC_ALL=C"}}.Run(ctx, option)
	line, _, _ := strings.Cut(strings.TrimSpace(string(stdout)), "\n")
	return line, err
}

// Start starts the program. Its errors are those of Run.
func (p Program) Start(ctx context.Context, args ...string) (*Process, error) {
	path, err := exec.LookPath(p.Name)
	if err != nil {
		return nil, &MissingError{p.Name, err}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("run %s: %w", p.Name, err)
	}

	r := &Process{
		program: p,
		command: strings.Join(append([]string{p.Name}, args[:min(2, len(args))]...), " "),
		cmd:     exec.CommandContext(ctx, path, args...),
		ctx:     ctx,
		done:    make(chan struct{}),
	}
	r.cmd.Dir, r.cmd.Env = p.Dir, p.environment()
	r.cmd.ExtraFiles = p.ExtraFiles
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !p.Foreground, Pdeathsig: syscall.SIGKILL}
	r.cmd.Cancel = r.stop
	r.cmd.WaitDelay = p.Grace + waitDelay

	theirs, err := r.connect()
	if err == nil {
		err = r.start()
	}
	theirs.Close()
	if err != nil {
		r.Stdout.Close()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return r, nil
}

// Command returns what to type into a shell to run the program with these arguments.
func (p Program) Command(args ...string) string {
	env, words := p.Env, append([]string{p.Name}, args...)
	if !p.InheritEnv {
		env = append([]string{"-i"}, p.environment()...)
	}
	if len(env) > 0 {
		words = slices.Concat([]string{"env"}, env, words)
	}
	line := shellescape.QuoteCommand(words)
	if p.Dir != "" {
		line = "cd " + shellescape.Quote(p.Dir) + " && " + line
	}
	return line
}

func (p Program) environment() []string {
	if p.InheritEnv {
		return append(os.Environ(), p.Env...)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	if tmp := os.Getenv("TMPDIR"); tmp != "" {
		env = append(env, "TMPDIR="+tmp)
	}
	return append(append(env, "HOME="+cmp.Or(p.Dir, os.Getenv("HOME"))), p.Env...)
}

// connect connects the standard files. It returns the end of the pipe for the
// output that only the program needs, nil without such a pipe.
func (r *Process) connect() (theirs *os.File, err error) {
	p, cmd := r.program, r.cmd
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, p.Stdout, p.Stderr
	if cmd.Stdout == nil {
		cmd.Stdout = &r.out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &r.err
	}
	if p.Lines != nil {
		w := &lineWriter{emit: p.Lines}
		cmd.Stdout, cmd.Stderr = w, w
	}
	if p.PipeStdin {
		if r.Stdin, err = cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if p.PipeStdout {
		// exec's own pipe would be closed as soon as the process ends.
		r.Stdout, theirs, err = os.Pipe()
		cmd.Stdout = theirs
	}
	return theirs, err
}

// start starts the process from a thread that stays until it has ended: the
// kernel kills the process when that thread ends. The thread's processors are
// inherited, so that it cannot be used for anything else afterwards.
func (r *Process) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := setCPUs(r.program.CPUs)
		if err == nil {
			err = r.cmd.Start()
		}
		if err == nil {
			r.Pid = r.cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		r.ended = r.cmd.Wait()
		if w, ok := r.cmd.Stdout.(*lineWriter); ok {
			w.flush()
		}
		if r.ctx.Err() != nil && !r.program.Foreground {
			_ = r.signal(unix.SIGKILL) // what it left behind
		}
		close(r.done)
	}()
	return <-started
}

func setCPUs(cpus []int) error {
	if cpus == nil {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("use processors %v: %w", cpus, err)
	}
	return nil
}

// signal is for the process and, unless it is in the foreground, all that it started.
func (r *Process) signal(signal syscall.Signal) error {
	if r.program.Foreground {
		return unix.Kill(r.cmd.Process.Pid, signal)
	}
	return unix.Kill(-r.cmd.Process.Pid, signal)
}

// stop ends the process because the context has ended.
func (r *Process) stop() error {
	if r.program.Stop == 0 {
		return r.signal(unix.SIGKILL)
	}
	go func() {
		select {
		case <-r.done:
		case <-time.After(r.program.Grace):
			r.Kill()
		}
	}()
	return r.signal(r.program.Stop)
}

// Kill kills the process, with all that it started, and waits for its end.
func (r *Process) Kill() {
	select {
	case <-r.done:
		return
	default:
	}
	_ = r.signal(unix.SIGKILL)
	<-r.done
}

// Done is closed when the process has ended.
func (r *Process) Done() <-chan struct{} { return r.done }

// Wait waits for the end of the process and returns how it ended, see Run.
func (r *Process) Wait() error {
	<-r.done
	r.Stdout.Close()

	said := LastLines(r.err.buffer.Bytes())
	exited, isExit := errors.AsType[*exec.ExitError](r.ended)
	var signal *SignalError
	if isExit && !exited.Exited() {
		signal = &SignalError{r.command, exited.Sys().(syscall.WaitStatus).Signal(), said}
	}
	switch {
	case r.ctx.Err() != nil && signal != nil:
		return fmt.Errorf("run %s: %w (%w)", r.program.Name, r.ctx.Err(), signal)
	case r.ctx.Err() != nil:
		return fmt.Errorf("run %s: %w", r.program.Name, r.ctx.Err())
	case r.out.full || r.err.full:
		return fmt.Errorf("run %s: more than %d bytes of output", r.program.Name, MaxOutput)
	case signal != nil:
		return signal
	case isExit:
		return &StatusError{r.command, exited.ExitCode(), said}
	case errors.Is(r.ended, exec.ErrWaitDelay) && r.program.Foreground:
		return nil // a service that it started has its output
	case r.ended != nil:
		return fmt.Errorf("run %s: %w", r.program.Name, r.ended)
	}
	return nil
}
