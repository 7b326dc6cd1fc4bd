// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"vcpulab/tools/progress"
)

// stopGrace is how long make has to clean up after it was told to stop,
// before it is killed. It deletes the targets that are half done.
const stopGrace = 10 * time.Second

// makeRun is one run of make.
type makeRun struct {
	doing   string   // for errors: "build linux 7.3.4 for x86_64"
	dir     string   // -C
	vars    []string // O=..., CC=...
	targets []string
	jobs    int
	env     []string // in addition to environment()
	log     string   // file that gets all output; appended to
	checked bool     // sparse has its say, too, which is no fault of the build
	rest    bool     // a target that fails does not keep the others from being made

	step     *progress.Step
	expected int // number of steps, 0 if it is not known
	steps    int // number of steps that kbuild has printed
}

func (m *makeRun) args() []string {
	args := []string{"-C", m.dir, fmt.Sprintf("-j%d", m.jobs)}
	if m.rest {
		args = append(args, "-k")
	}
	args = append(args, m.vars...)
	return append(args, m.targets...)
}

// command returns what to type to do the same by hand.
func (m *makeRun) command() string {
	words := append([]string{"env", "-i"}, environment(m.env)...)
	words = append(append(words, "make"), m.args()...)
	return ShellQuote(words...)
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// ShellQuote joins words to a line that a shell splits into the same words.
func ShellQuote(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if !plainWord.MatchString(w) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}

// run runs make and returns nil, the context's error, or an *Error with the
// first error of the output. clean says whether make ended by itself, so that
// it left no half-made target even where it failed.
func (m *makeRun) run(ctx context.Context) (clean bool, err error) {
	if err := ctx.Err(); err != nil {
		return true, fmt.Errorf("%s: %w", m.doing, err)
	}
	if err := os.MkdirAll(filepath.Dir(m.log), 0o755); err != nil {
		return true, fmt.Errorf("%s: %w", m.doing, err)
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return true, fmt.Errorf("%s: %w", m.doing, err)
	}
	defer log.Close()
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return true, fmt.Errorf("%s: %w", m.doing, err)
	}
	fmt.Fprintf(log, "# %s\n# %s\n", m.doing, m.command())

	clean, err = m.start(ctx, log)
	if err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return clean, fmt.Errorf("%s: %w", m.doing, ctx.Err())
	}
	var exitErr *exec.ExitError
	if !errors.As(err, &exitErr) {
		return clean, fmt.Errorf("%s: run make: %w", m.doing, err)
	}
	fault, readErr := faultInFile(m.log, start, m.checked)
	if readErr != nil {
		return clean, fmt.Errorf("%s: %w (and reading its log failed: %v)", m.doing, err, readErr)
	}
	fault.File = strings.TrimPrefix(strings.TrimPrefix(fault.File, m.dir+"/"), "../")
	return clean, &Error{Doing: m.doing, Fault: fault, Log: m.log, Command: m.command(), Err: err}
}

// start starts make in a process group of its own and waits for its end. When
// ctx ends the group is asked to stop, then killed.
func (m *makeRun) start(ctx context.Context, log io.Writer) (clean bool, err error) {
	// The signal that the kernel sends to make if this process dies is bound
	// to the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	out := &stepWriter{run: m, log: log}
	cmd := exec.Command("make", m.args()...)
	cmd.Env = environment(m.env)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return true, err
	}
	ended := make(chan struct{})
	var killed bool
	var wg sync.WaitGroup
	wg.Go(func() {
		group := -cmd.Process.Pid
		select {
		case <-ended:
			return
		case <-ctx.Done():
			syscall.Kill(group, syscall.SIGTERM)
		}
		select {
		case <-ended:
		case <-time.After(stopGrace):
			killed = true
			syscall.Kill(group, syscall.SIGKILL)
		}
	})
	err = cmd.Wait()
	close(ended)
	wg.Wait()
	out.flush()
	if ctx.Err() != nil {
		// Nothing of the group outlives the call.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var exitErr *exec.ExitError
	signaled := errors.As(err, &exitErr) && exitErr.Sys().(syscall.WaitStatus).Signaled() &&
		exitErr.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	return !killed && !signaled, err
}

// stepLine is what kbuild prints for each command that it runs: "  CC      kernel/fork.o".
var stepLine = regexp.MustCompile(`^  ([A-Z][A-Z0-9_]*)(?: \[[MU]\])? +(\S+)`)

// stepWriter writes the output of make to the log and counts its steps.
type stepWriter struct {
	run  *makeRun
	log  io.Writer
	part []byte // a line that is not complete yet
}

func (w *stepWriter) Write(p []byte) (int, error) {
	n, err := w.log.Write(p)
	if err != nil {
		return n, err
	}
	data := append(w.part, p...)
	for {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			break
		}
		w.line(line)
		data = rest
	}
	w.part = append([]byte(nil), data...)
	return len(p), nil
}

func (w *stepWriter) flush() {
	if len(w.part) > 0 {
		w.line(w.part)
		w.part = nil
	}
}

func (w *stepWriter) line(line []byte) {
	m := stepLine.FindSubmatch(line)
	if m == nil {
		return
	}
	r := w.run
	r.steps++
	what := string(m[1]) + " " + shortPath(string(m[2]))
	if r.expected > 0 {
		// The estimate may be too low; it never says that more was done than
		// there is to do.
		r.step.Update("%d of about %d, %s", r.steps, max(r.expected, r.steps), what)
		return
	}
	r.step.Update("%d, %s", r.steps, what)
}

// shortPath takes the absolute part off the paths that the programs below
// tools/ are built with.
func shortPath(p string) string {
	if i := strings.LastIndex(p, "/tools/"); filepath.IsAbs(p) && i >= 0 {
		return p[i+1:]
	}
	return p
}

// faultInFile finds the first error in a log from an offset on. Where sparse
// was run, what it says is passed over.
func faultInFile(name string, offset int64, checked bool) (Fault, error) {
	f, err := os.Open(name)
	if err != nil {
		return Fault{}, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return Fault{}, err
	}
	var r io.Reader = bufio.NewReader(f)
	if checked {
		if r, err = withoutChecks(r); err != nil {
			return Fault{}, err
		}
	}
	return FirstFault(r)
}
