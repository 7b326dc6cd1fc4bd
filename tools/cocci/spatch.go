// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// ErrNoSpatch says that Coccinelle is not installed.
var ErrNoSpatch = errors.New("spatch, the program of Coccinelle, is not installed")

// Version returns what spatch says of its version. Where it is not installed
// the error wraps ErrNoSpatch and has the exit code for a machine that lacks
// something.
func Version(ctx context.Context) (string, error) {
	out, _, err := spatch(ctx, program.Program{Dir: os.TempDir()}, "--version")
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " compiled ")
	return strings.TrimSpace(line), nil
}

// spatch runs it. It is asked for its messages in English.
func spatch(ctx context.Context, p program.Program, args ...string) (stdout, stderr []byte, err error) {
	p.Name, p.Env = "spatch", append([]string{"LC_ALL=C"}, p.Env...)
	stdout, stderr, err = p.Run(ctx, args...)
	if _, ok := errors.AsType[*program.MissingError](err); ok {
		err = exit.With(exit.MachineLacks, fmt.Errorf("%w: install it with vcpulab install generate (Debian's package coccinelle)", ErrNoSpatch))
	}
	return stdout, stderr, err
}
