// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"sync"

	"vcpulab/ebpf/wire"
)

const (
	// consoleLimit bounds what is kept of the console for one test, in
	// bytes.
	consoleLimit = 32 << 10
	// maxConsoleLine bounds a line in which a test's mark is looked for.
	maxConsoleLine = 4 << 10
)

// consoleLog cuts a guest's console into the stretches in which its tests
// ran, by the marks that the guest leaves in the kernel's log. It is safe for
// use by several goroutines.
type consoleLog struct {
	mu       sync.Mutex
	lines    int    // that are complete
	part     []byte // of the line that is not, bounded
	stretch  []stretch
	unmarked *wire.Excerpt // before the first mark
}

// stretch is the kernel's log while one test ran.
type stretch struct {
	name string
	line int // of the mark, counted from 1
	text *wire.Excerpt
}

func newConsoleLog() *consoleLog { return &consoleLog{unmarked: wire.NewExcerpt(consoleLimit)} }

// Write takes all of p and never fails.
func (c *consoleLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		c.part = append(c.part, line[:min(len(line), maxConsoleLine-len(c.part))]...)
		if ended {
			c.lines++
			c.addLine()
			c.part = c.part[:0]
		}
	}
	return len(p), nil
}

// addLine adds the line in part.
func (c *consoleLog) addLine() {
	line := bytes.TrimRight(c.part, "\r")
	if _, name, ok := bytes.Cut(line, []byte(wire.StartMark)); ok {
		c.stretch = append(c.stretch, stretch{string(name), c.lines, wire.NewExcerpt(consoleLimit)})
	}
	text := c.unmarked
	if n := len(c.stretch); n > 0 {
		text = c.stretch[n-1].text
	}
	_, _ = text.Write(append(line, '\n'))
}

// owner returns the test during which a line of the console came, counted
// from 1: "" for a line before the first test.
func (c *consoleLog) owner(line int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := ""
	for _, s := range c.stretch {
		if s.line > line {
			break
		}
		name = s.name
	}
	return name
}

// last returns the test that was started last, "" if none was.
func (c *consoleLog) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.stretch); n > 0 {
		return c.stretch[n-1].name
	}
	return ""
}

// during returns the kernel's log while a test ran, or with "" before the first
// test.
func (c *consoleLog) during(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "" {
		return c.unmarked.String()
	}
	for i, s := range c.stretch {
		if s.name != name {
			continue
		}
		text := s.text.String()
		if i == len(c.stretch)-1 {
			text += string(c.part) // a panic may be cut short
		}
		return text
	}
	return ""
}
