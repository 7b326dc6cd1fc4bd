// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// isFull tells whether an error came from a full disk or quota.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// DiskFull makes an error that came from a full disk stand for
// exit.MachineLacks, and returns others as they are.
func DiskFull(err error) error {
	if !isFull(err) {
		return err
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("%w; free some space, or keep the logs elsewhere with --out DIR", err))
}

// sweep removes what guests of an earlier run left in the directory for logs: it
// would pass for a result of this run.
func (r *runner) sweep() error {
	if r.opts.KeepDir == "" {
		return nil
	}
	entries, err := os.ReadDir(r.opts.KeepDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old logs: %w", err)
	}
	for _, e := range entries {
		if n, ok := strings.CutPrefix(e.Name(), r.subject.Name+"-guest"); !ok || n == "" || strings.Trim(n, "0123456789") != "" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.opts.KeepDir, e.Name())); err != nil {
			return fmt.Errorf("remove old logs: %w", err)
		}
	}
	return nil
}

// writeLogs keeps a file for every test of the guest.
func (g *guest) writeLogs() error {
	if g.keepDir() == "" {
		return nil
	}
	for i := range g.results {
		r := &g.results[i]
		r.Log = filepath.Join(g.keepDir(), strings.ReplaceAll(r.Name, "/", "_")+".log")
		if err := os.WriteFile(r.Log, []byte(r.logText()), 0o644); err != nil {
			return fmt.Errorf("keep the log of %s: %w", r.Name, err)
		}
	}
	return nil
}

// logText is the log of a result.
func (r Result) logText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %.2f s\n", r.Name, r.Outcome, r.Seconds)
	if r.Reason != "" {
		fmt.Fprintf(&b, "%s\n", r.Reason)
	}
	if r.Command != "" {
		fmt.Fprintf(&b, "to start the guest again: %s\n", r.Command)
	}
	if r.Output != "" {
		fmt.Fprintf(&b, "\n--- output ---\n%s\n", strings.TrimRight(r.Output, "\n"))
	}
	if r.Decoded != "" {
		fmt.Fprintf(&b, "\n--- console, from the first splat on, with source lines ---\n%s\n", strings.TrimRight(r.Decoded, "\n"))
	}
	if r.Undecoded != "" {
		fmt.Fprintf(&b, "\n--- no source lines: %s ---\n", r.Undecoded)
	}
	if r.Console != "" {
		fmt.Fprintf(&b, "\n--- console ---\n%s\n", strings.TrimRight(r.Console, "\n"))
	}
	return b.String()
}
