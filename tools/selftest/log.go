// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
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

// console is a guest's console by the tests that ran. The first part is before them.
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

// owner returns the test during which a line came, counted from 1; "" is before all tests.
func (c console) owner(line int) string {
	for _, s := range slices.Backward(c) {
		if s.line <= line {
			return s.name
		}
	}
	return ""
}

// during returns the kernel's log while a test ran, with "" before all tests.
func (c console) during(name string) string {
	part := wire.NewExcerpt(stretchLimit)
	if i := slices.IndexFunc(c, func(s stretch) bool { return s.name == name }); i >= 0 {
		_, _ = part.Write([]byte(c[i].text))
	}
	return part.String()
}

// DiskFull makes an error that came from a full disk stand for
// exit.MachineLacks, and returns others as they are.
func DiskFull(err error) error {
	if !cache.IsFull(err) {
		return err
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("%w; free some space, or keep the logs elsewhere with --out DIR", err))
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

func (r Result) logText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %.2f s\n", r.Name, r.Outcome, r.Seconds)
	if r.Reason != "" {
		fmt.Fprintf(&b, "%s\n", r.Reason)
	}
	if r.Command != "" {
		fmt.Fprintf(&b, "to start the guest again: %s\n", r.Command)
	}
	section := func(head, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n--- %s ---\n%s\n", head, strings.TrimRight(text, "\n"))
		}
	}
	section("output", r.Output)
	section("console, from the first splat on, with source lines", r.Decoded)
	section("console", r.Console)
	return b.String()
}

// maxDecoded bounds how many results of one guest are decoded, which takes
// some seconds each: those after the first fault are of little use.
const maxDecoded = 3

// decode finds the source lines of the kernel's complaints.
func (g *guest) decode(ctx context.Context) {
	if g.r.subject.Decode == nil {
		return
	}
	n := 0
	for i := range g.results {
		r := &g.results[i]
		text := r.fromSplat()
		if text == "" || n == maxDecoded {
			continue
		}
		n++
		var err error
		if r.Decoded, err = g.r.subject.Decode(ctx, text); err != nil {
			r.Decoded = fmt.Sprintf("no source lines: %v\n%s", err, text) // the splat itself is worth more
		}
	}
}

// fromSplat returns the console from its first splat on, "" if there is none
// or it is not known where it is.
func (r *Result) fromSplat() string {
	if len(r.Splats) == 0 {
		return ""
	}
	// The function's name was put behind the title that the line has.
	title, _, _ := strings.Cut(r.Splats[0].Title, " in ")
	i := strings.Index(r.Console, title)
	if i < 0 {
		return ""
	}
	return r.Console[strings.LastIndexByte(r.Console[:i], '\n')+1:]
}

// sourceLine returns the line of a place in a kernel's sources, virt/kvm/kvm_main.c:12,
// which has the condition of a warning. It is "" if it cannot be read.
func sourceLine(tree, where string) string {
	file, line, _ := strings.Cut(where, ":")
	n, err := strconv.Atoi(line)
	if tree == "" || err != nil || !filepath.IsLocal(file) {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(tree, file))
	lines := strings.Split(string(text), "\n")
	if err != nil || n < 1 || n > len(lines) {
		return ""
	}
	return clip(strings.TrimSpace(lines[n-1]), maxReason)
}
