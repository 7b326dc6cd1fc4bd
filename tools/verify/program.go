// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// program is a program that is run with nothing of the user's settings.
type program struct {
	name string
	dir  string   // working directory and home
	env  []string // in addition
}

// maxOutput is what a program may print, in bytes.
const maxOutput = 64 << 20

// statusError says that a program ended with another exit status than 0.
type statusError struct {
	command string
	status  int
	said    string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.command, e.status, e.said)
}

// run runs the program to its end and returns what it printed. Where it ends
// with another status than 0 the error is a *statusError.
func (p program) run(ctx context.Context, args ...string) (stdout, stderr []byte, err error) {
	path, err := exec.LookPath(p.name)
	if err != nil {
		return nil, nil, &LacksError{Program: p.name}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C.UTF-8"}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out, errs limited
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("run %s: %w", p.name, ctx.Err())
	}
	if out.full || errs.full {
		return nil, nil, fmt.Errorf("run %s: more than %d bytes of output", p.name, maxOutput)
	}
	if ee, ok := errors.AsType[*exec.ExitError](err); ok && ee.Exited() {
		said := strings.TrimSpace(errs.String())
		return out.Bytes(), errs.Bytes(), &statusError{p.name + " " + strings.Join(args[:min(2, len(args))], " "), ee.ExitCode(), said}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", p.name, err)
	}
	return out.Bytes(), errs.Bytes(), nil
}

// limited is a buffer that stops growing at maxOutput.
type limited struct {
	bytes.Buffer
	full bool
}

func (b *limited) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		b.full = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
