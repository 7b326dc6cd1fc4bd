// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"vcpulab/tools/exit"
)

// checker is sparse, as a command for kbuild's CHECK=.
type checker struct {
	Command string
	Version string
}

// checkerProbe is what kernels since 7.0 ask of sparse
// (scripts/checker-valid.sh). Where it is not understood they leave sparse
// out, with no more than a line about it.
const checkerProbe = "static inline int u(const int *q)\n{\n\t__typeof_unqual__(*q) v = *q;\n\treturn v;\n}\n"

// olderSparse makes sparse 0.6.4 understand the kernel's headers: a qualifier
// that stays costs at most a warning, which is the same in all kernels.
const olderSparse = "-D__typeof_unqual__=__typeof__"

// checker returns sparse for the specification, the zero value if it is to do
// without.
func (s ObjectSpec) checker(ctx context.Context) (checker, error) {
	if s.WithoutSparse != "" {
		return checker{}, nil
	}
	return findChecker(ctx)
}

// findChecker finds sparse and how it has to be called.
func findChecker(ctx context.Context) (checker, error) {
	var c checker
	if missing := lacking("sparse"); len(missing) > 0 {
		return c, &MissingError{Doing: "check with sparse", Programs: missing}
	}
	out, err := exec.CommandContext(ctx, "sparse", "--version").CombinedOutput()
	if err != nil {
		return c, exit.With(exit.MachineLacks, fmt.Errorf("ask sparse for its version: %v", err))
	}
	c.Version = "sparse " + strings.TrimSpace(string(out))
	for _, words := range [][]string{{"sparse"}, {"sparse", olderSparse}} {
		cmd := exec.CommandContext(ctx, words[0], append(words[1:], "-")...)
		cmd.Env = environment(nil)
		cmd.Stdin = strings.NewReader(checkerProbe)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if out, err = cmd.CombinedOutput(); err == nil && !bytes.Contains(out, []byte("error")) {
			c.Command = strings.Join(words, " ")
			return c, nil
		}
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
	}
	return c, exit.With(exit.MachineLacks, fmt.Errorf("%s does not understand __typeof_unqual__(), which the kernel has in its headers: %s",
		c.Version, strings.TrimSpace(string(out))))
}
