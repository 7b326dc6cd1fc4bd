// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/progress"
)

// Limits in bytes.
const (
	maxConsole     = 1 << 20 // of the console that is kept
	maxConsoleLine = 4 << 10 // of a line that is searched for splats
)

// console keeps a bounded part of what a serial port sends and looks for splats, so that
// a fault is seen as it arises. It is safe for use by several goroutines.
type console struct {
	live io.Writer // gets everything as it comes; may be nil

	mu    sync.Mutex
	kept  *wire.Excerpt
	part  []byte // of the line that is not yet complete
	seen  splatFinder
	guest string // why the guest program gave up, "" if it did not say; for after close
}

func newConsole(limit int, live io.Writer) *console {
	return &console{kept: wire.NewExcerpt(limit), live: live}
}

// Write never fails: a full disk behind live must not hide what the kernel printed.
func (c *console) Write(p []byte) (int, error) {
	if c.live != nil {
		_, _ = c.live.Write(p)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.kept.Write(p)
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		if room := maxConsoleLine - len(c.part); room < len(line) {
			line = line[:room]
		}
		c.part = append(c.part, line...)
		if ended {
			c.endLine()
		}
	}
	return len(p), nil
}

func (c *console) endLine() {
	c.seen.addLine(c.part)
	if c.guest == "" && bytes.HasPrefix(c.part, []byte(wire.FatalPrefix)) {
		c.guest = strings.TrimSpace(string(c.part[len(wire.FatalPrefix):]))
	}
	c.part = c.part[:0]
}

// close ends the last line if nothing else did: a panic may be cut short.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.part) > 0 {
		c.endLine()
	}
}

func (c *console) splats() []Splat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen.found)
}

// fatal tells whether the kernel has printed that it will not go on.
func (c *console) fatal() bool {
	return slices.ContainsFunc(c.splats(), func(s Splat) bool { return s.Kind.endsKernel() })
}

func (c *console) text() string {
	return strings.ReplaceAll(c.kept.String(), "\r\n", "\n")
}

// Lines of the console that a Fault carries.
const (
	tailLines   = 24
	splatLines  = 48
	splatBefore = 3
)

// excerpt returns the lines of text that tell most: from a little before the
// first splat of a kind if it is about one, else the last ones.
func excerpt(text string, about FaultKind, isSplat bool) []string {
	text = progress.Printable(strings.ReplaceAll(strings.TrimRight(text, "\r\n\x00"), "\r", ""))
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		if len(lines[i]) > 512 {
			lines[i] = lines[i][:512] + "..."
		}
	}
	// By their text: what was left out of the middle has moved the numbers.
	first := slices.IndexFunc(lines, func(l string) bool {
		return slices.ContainsFunc(messages([]byte(l)), func(m message) bool { kind, _ := findSplat(m.text); return kind == about })
	})
	if isSplat && first >= 0 {
		lines = lines[max(0, first-splatBefore):]
		return lines[:min(len(lines), splatLines)]
	}
	return lines[max(0, len(lines)-tailLines):]
}
