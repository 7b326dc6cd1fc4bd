// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"slices"
	"strings"

	"vcpulab/ebpf/wire"
)

// Bounds of what is kept of the console, in bytes.
const (
	consoleLimit = 16 << 20 // of a guest
	stretchLimit = 32 << 10 // for one test
)

// stretch is the kernel's log while one test ran.
type stretch struct {
	name string // "" before the first test
	line int    // of the mark, counted from 1
	text string
}

// console is a guest's console in the stretches in which its tests ran. The first is
// before the first test.
type console []stretch

// cutConsole cuts a console by the marks that the guest leaves in the kernel's log.
func cutConsole(text string) console {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	c := console{{}}
	begin, end, n := 0, 0, 0
	for line := range strings.Lines(text) {
		n++
		if _, name, ok := strings.Cut(line, wire.StartMark); ok {
			c = append(c, stretch{name: strings.TrimSpace(name), line: n})
			begin = end
		}
		end += len(line)
		c[len(c)-1].text = text[begin:end]
	}
	return c
}

// owner returns the test during which a line came, counted from 1: "" for a line
// before the first test.
func (c console) owner(line int) string {
	for _, s := range slices.Backward(c) {
		if s.line <= line {
			return s.name
		}
	}
	return ""
}

// during returns the kernel's log while a test ran, or with "" before the first
// test.
func (c console) during(name string) string {
	part := wire.NewExcerpt(stretchLimit)
	if i := slices.IndexFunc(c, func(s stretch) bool { return s.name == name }); i >= 0 {
		_, _ = part.Write([]byte(c[i].text))
	}
	return part.String()
}
