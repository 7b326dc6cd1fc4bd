// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"vcpulab/ebpf/wire"
)

const (
	kmemleakFile = "/sys/kernel/debug/kmemleak"
	// leakAge is how old memory has to be at least to count as leaked, and a
	// bit (MSECS_MIN_AGE in mm/kmemleak.c).
	leakAge = 5*time.Second + 200*time.Millisecond
	// maxLeaks bounds how many leaks are told of.
	maxLeaks = 16
)

// findLeaks returns what kmemleak says of memory that nothing points to any
// more, "" if there is none, and has it forget that memory. The second scan
// is for what changed during the first one.
func findLeaks(ctx context.Context) (string, error) {
	select {
	case <-time.After(leakAge):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	for range 2 {
		if err := tellKmemleak("scan"); err != nil {
			return "", err
		}
	}
	report, err := os.ReadFile(kmemleakFile)
	if err != nil {
		return "", fmt.Errorf("read the leaks: %w", err)
	}
	return string(bytes.TrimSpace(report)), tellKmemleak("clear")
}

func tellKmemleak(command string) error {
	if err := os.WriteFile(kmemleakFile, []byte(command), 0); err != nil {
		return fmt.Errorf("ask for leaks (CONFIG_DEBUG_KMEMLEAK): %w", err)
	}
	return nil
}

// logLeaks puts what kmemleak says into the kernel's log, where the host looks
// for complaints, as lines that begin as the kernel's own do.
func logLeaks(report, after string) error {
	for _, line := range leakLines(report, after) {
		// Each write has its own allowance: the kernel limits the rate.
		if err := os.WriteFile("/dev/kmsg", []byte("<4>"+line+"\n"), 0); err != nil {
			return fmt.Errorf("log the leaks: %w", err)
		}
	}
	return nil
}

// leakLines makes lines for the kernel's log of what kmemleak says.
func leakLines(report, after string) []string {
	const object = "unreferenced object "
	if report == "" {
		return nil
	}
	var lines []string
	n := 0
	for line := range strings.Lines(report) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, object) {
			if n++; n > maxLeaks {
				continue
			}
			line = "kmemleak: " + strings.TrimSuffix(line, ":") + " after " + after
		}
		if n <= maxLeaks {
			lines = append(lines, line)
		}
	}
	if n == 0 {
		// Not in the form that is known: all the more something is wrong.
		lines = append([]string{"kmemleak: report after " + after}, lines...)
	} else if n > maxLeaks {
		lines = append(lines, fmt.Sprintf("kmemleak: and %d more after %s", n-maxLeaks, after))
	}
	return lines
}

// leaks says what one program has leaked.
func (g *guest) leaks(ctx context.Context, params wire.Exec, after string) error {
	if !params.Leaks {
		return nil
	}
	report, err := findLeaks(ctx)
	if err != nil {
		return err
	}
	return logLeaks(report, after)
}
