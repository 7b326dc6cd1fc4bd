// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
)

// maxScriptOutput is what is kept of a script's output, in bytes.
const maxScriptOutput = 16 << 20

// script runs one of the kernel's own Perl scripts in the tree in treeDir. It
// returns its output and exit status; err is for a script that could not be
// run to its end. The user's own configuration of the script is left out.
func script(ctx context.Context, treeDir, name string, stdin []byte, args ...string) (stdout []byte, status int, err error) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		return nil, 0, exit.With(exit.MachineLacks, fmt.Errorf("run %s: perl is not installed; install the package perl", name))
	}
	path := filepath.Join(treeDir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return nil, 0, fmt.Errorf("run %s: %s is no kernel tree: %w", name, treeDir, err)
	}
	cmd := exec.CommandContext(ctx, perl, append([]string{path}, args...)...)
	cmd.Dir = treeDir
	cmd.Stdin = bytes.NewReader(stdin)
	// Without a home there is no .checkpatch.conf; without git above the tree
	// no commit is looked up in a repository that is not the kernel's.
	cmd.Env = append(os.Environ(), "HOME=/nonexistent", "LC_ALL=C.UTF-8", "GIT_CEILING_DIRECTORIES="+filepath.Dir(treeDir))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out, errs limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, 0, fmt.Errorf("run %s: %w", name, ctx.Err())
	}
	var ee *exec.ExitError
	if err != nil && (!errors.As(err, &ee) || !ee.Exited()) {
		return nil, 0, fmt.Errorf("run %s: %w", name, err)
	}
	if out.full || errs.full {
		return nil, 0, fmt.Errorf("run %s: more than %d bytes of output", name, maxScriptOutput)
	}
	status = cmd.ProcessState.ExitCode()
	// Perl's own faults; 1 is a verdict.
	if status > 1 || status == 1 && out.Len() == 0 {
		return nil, status, fmt.Errorf("run %s: exit status %d: %s", name, status, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), status, nil
}

// limitedBuffer is a buffer that stops growing at maxScriptOutput.
type limitedBuffer struct {
	bytes.Buffer
	full bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxScriptOutput {
		b.full = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
