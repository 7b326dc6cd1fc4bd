// SPDX-License-Identifier: GPL-2.0-only

package cocci

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

	"vcpulab/tools/exit"
)

// ErrNoSpatch says that Coccinelle is not installed.
var ErrNoSpatch = errors.New("spatch, the program of Coccinelle, is not installed")

// missing is the error for a program that is not there.
func missing(program string, err error) error {
	if program == "spatch" {
		return exit.With(exit.MachineLacks, fmt.Errorf("%w: install it with vcpulab install generate (Debian's package coccinelle)", ErrNoSpatch))
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("run %s: %w", program, err))
}

// Version returns what spatch says of its version. Where it is not installed
// the error wraps ErrNoSpatch and has the exit code for a machine that lacks
// something.
func Version(ctx context.Context) (string, error) {
	out, _, err := program{name: "spatch", dir: os.TempDir()}.run(ctx, "--version")
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " compiled ")
	return strings.TrimSpace(line), nil
}

// program is a program that is run with nothing of the user's settings.
type program struct {
	name string
	dir  string   // working directory and home
	env  []string // in addition
}

// maxOutput is what is kept of a program's output, in bytes.
const maxOutput = 64 << 20

// run runs the program to its end. An exit status other than 0 is an error
// that has what it said.
func (p program) run(ctx context.Context, args ...string) (stdout, stderr []byte, err error) {
	path, err := exec.LookPath(p.name)
	if err != nil {
		return nil, nil, missing(p.name, err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C"}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out, errs limited
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("run %s: %w", p.name, ctx.Err())
	case err != nil:
		// Not wrapped: its exit status is not this program's.
		return nil, nil, fmt.Errorf("run %s %s: %v: %s", p.name, strings.Join(args, " "), err, lastLines(errs.Bytes()))
	case out.full || errs.full:
		return nil, nil, fmt.Errorf("run %s: more than %d bytes of output", p.name, maxOutput)
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

// lastLines returns the end of what a program said.
func lastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
