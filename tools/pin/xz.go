// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
)

// command is exec.CommandContext for a process that is killed with all its
// children when ctx ends, and when this process dies.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

// xzReader is what the xz program makes of a stream: Go has no decompressor
// for it, and the program uses all processors.
type xzReader struct {
	io.Reader
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stderr *bytes.Buffer
	eof    bool
}

var errNoXZ = errors.New("the program xz is not installed: apt-get install xz-utils")

// unxz begins to decompress r, which xz reads in the background until Close
// returns.
func unxz(ctx context.Context, r io.Reader) (*xzReader, error) {
	ctx, cancel := context.WithCancel(ctx)
	x := &xzReader{cmd: command(ctx, "xz", "--decompress", "--stdout", "--threads=0"), cancel: cancel, stderr: &bytes.Buffer{}}
	x.cmd.Stdin = r
	x.cmd.Stderr = x.stderr
	out, err := x.cmd.StdoutPipe()
	if err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		cancel()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, exit.With(exit.MachineLacks, errNoXZ)
		}
		return nil, fmt.Errorf("start xz: %w", err)
	}
	x.Reader = out
	return x, nil
}

// Read reads decompressed bytes. A stream that xz finds damaged or cut off
// ends in an error, not in io.EOF.
func (x *xzReader) Read(p []byte) (int, error) {
	n, err := x.Reader.Read(p)
	if err == io.EOF && !x.eof {
		x.eof = true
		if werr := x.cmd.Wait(); werr != nil {
			if said := strings.TrimSpace(x.stderr.String()); said != "" {
				werr = errors.New(said)
			}
			return n, werr
		}
	}
	return n, err
}

// Close ends xz, also one that is in the middle of its work.
func (x *xzReader) Close() {
	x.cancel()
	if !x.eof {
		x.eof = true
		x.cmd.Wait()
	}
}
