// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

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

// logText is all that is known of a result.
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
	if r.Console != "" {
		fmt.Fprintf(&b, "\n--- console ---\n%s\n", strings.TrimRight(r.Console, "\n"))
	}
	return b.String()
}
