// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// stopGrace is how long make has to clean up after it was told to stop,
// before it is killed. It deletes half-made targets.
const stopGrace = 10 * time.Second

// makeRun is one run of make.
type makeRun struct {
	doing   string   // for errors: "build linux 7.3.4 for x86_64"
	dir     string   // -C
	vars    []string // O=..., CC=...
	targets []string
	jobs    int
	env     []string // in addition to what package program gives
	log     string   // file that gets all output; appended to
	goOn    bool     // a target that fails does not keep the others from being made

	step     *progress.Step
	said     *targetWarnings // gets the output, unless it is nil
	expected int             // number of steps, 0 if unknown
	steps    int             // number of steps that kbuild has printed
}

func (m *makeRun) args() []string {
	args := []string{"-C", m.dir, fmt.Sprintf("-j%d", m.jobs)}
	if m.goOn {
		args = append(args, "-k")
	}
	return slices.Concat(args, m.vars, m.targets)
}

// program returns the program to run.
func (m *makeRun) program() program.Program {
	return program.Program{Name: "make", Env: append([]string{locale}, m.env...), Stop: syscall.SIGTERM, Grace: stopGrace}
}

// run runs make and returns nil, the context's error, or an *Error with the
// first error of the output. clean says whether make ended by itself, so that
// it left no half-made target even where it failed.
func (m *makeRun) run(ctx context.Context) (clean bool, err error) {
	defer func() {
		if _, explained := errors.AsType[*Error](err); err != nil && !explained {
			err = fmt.Errorf("%s: %w", m.doing, err)
		}
	}()
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if err := os.MkdirAll(filepath.Dir(m.log), 0o755); err != nil {
		return true, err
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return true, err
	}
	defer log.Close()
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return true, err
	}

	var logErr error
	write := func(line string) {
		if _, err := fmt.Fprintln(log, line); err != nil && logErr == nil {
			logErr = err
		}
	}
	gnuMake := m.program()
	write("# " + m.doing + "\n# " + gnuMake.Command(m.args()...))
	gnuMake.Lines = func(line string) {
		write(line)
		m.countStep(line)
		if m.said != nil {
			m.said.add(line)
		}
	}
	_, _, err = gnuMake.Run(ctx, m.args()...)

	signaled, ok := errors.AsType[*program.SignalError](err)
	clean = !ok || signaled.Signal != syscall.SIGKILL
	switch {
	case ctx.Err() != nil:
		return clean, ctx.Err()
	case logErr != nil:
		return clean, logErr
	case m.said != nil && m.said.err != nil:
		return clean, m.said.err
	case err == nil:
		return true, nil
	}
	if _, failed := errors.AsType[*program.StatusError](err); !failed && !ok {
		return clean, err // it did not start
	}
	return clean, m.explain(log, start, err)
}

// explain returns the *Error of a run that failed, whose output begins at start
// in its log.
func (m *makeRun) explain(log io.ReadSeeker, start int64, err error) error {
	var fault Fault
	_, readErr := log.Seek(start, io.SeekStart)
	if readErr == nil {
		fault, readErr = FirstFault(log)
	}
	if readErr != nil {
		return fmt.Errorf("%w (and reading its log failed: %v)", err, readErr)
	}
	fault.File = strings.TrimPrefix(strings.TrimPrefix(fault.File, m.dir+"/"), "../")
	return &Error{Doing: m.doing, Fault: fault, Log: m.log, Command: m.program().Command(m.args()...), Err: err}
}

// stepLine is what kbuild prints for each command that it runs: "  CC      kernel/fork.o".
var stepLine = regexp.MustCompile(`^  ([A-Z][A-Z0-9_]*)(?: \[[MU]\])? +(\S+)`)

// stepCheck is the step that runs sparse.
const stepCheck = "CHECK"

// countStep counts and shows the step that a line of output announces, if it does.
func (m *makeRun) countStep(line string) {
	found := stepLine.FindStringSubmatch(line)
	if found == nil {
		return
	}
	m.steps++
	what := found[1] + " " + shortPath(found[2])
	if m.expected > 0 {
		// The estimate may be too low; it never says that more was done than
		// there is to do.
		m.step.Update("%d of about %d, %s", m.steps, max(m.expected, m.steps), what)
		return
	}
	m.step.Update("%d, %s", m.steps, what)
}

// shortPath takes the absolute part off the paths that the programs below
// tools/ are built with.
func shortPath(p string) string {
	if i := strings.LastIndex(p, "/tools/"); filepath.IsAbs(p) && i >= 0 {
		return p[i+1:]
	}
	return p
}
