// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"math"
	"slices"
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
	mu      sync.Mutex
	lines   int       // that are complete
	part    []byte    // of the line that is not, bounded
	stretch []stretch // the first is before the first mark
}

// stretch is the kernel's log while one test ran.
type stretch struct {
	name string // "" before the first test
	line int    // of the mark, counted from 1
	text *wire.Excerpt
}

func newConsoleLog() *consoleLog {
	return &consoleLog{stretch: []stretch{{text: wire.NewExcerpt(consoleLimit)}}}
}

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
			c.addLine(bytes.TrimRight(c.part, "\r"))
			c.part = c.part[:0]
		}
	}
	return len(p), nil
}

func (c *consoleLog) addLine(line []byte) {
	if _, name, ok := bytes.Cut(line, []byte(wire.StartMark)); ok {
		c.stretch = append(c.stretch, stretch{string(name), c.lines, wire.NewExcerpt(consoleLimit)})
	}
	_, _ = c.stretch[len(c.stretch)-1].text.Write(append(line, '\n'))
}

// owner returns the test during which a line of the console came, counted
// from 1: "" for a line before the first test.
func (c *consoleLog) owner(line int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := ""
	for _, s := range c.stretch {
		if s.line <= line {
			name = s.name
		}
	}
	return name
}

// last returns the test that was started last, "" if none was.
func (c *consoleLog) last() string { return c.owner(math.MaxInt) }

// during returns the kernel's log while a test ran, or with "" before the first
// test.
func (c *consoleLog) during(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.stretch, func(s stretch) bool { return s.name == name })
	if i < 0 {
		return ""
	}
	text := c.stretch[i].text.String()
	if i == len(c.stretch)-1 {
		text += string(c.part) // a panic may be cut short
	}
	return text
}
