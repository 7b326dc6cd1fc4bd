// SPDX-License-Identifier: GPL-2.0-only

// Package progress shows what a long command is doing: on a terminal as lines
// that are redrawn, elsewhere as plain lines with a heartbeat.
//
// A nil *Log and a nil *Step are silent, so that callers need not ask whether
// progress is shown.
package progress

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"
)

// How often and when something is written. Off a terminal a step that takes less
// than silence gets one line only.
const (
	redraw    = 200 * time.Millisecond
	silence   = 2 * time.Second
	heartbeat = 20 * time.Second
)

// Log writes the progress of steps, several of which may be under way at a
// time. Its methods may be called by several goroutines.
type Log struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // of the terminal whose lines are redrawn, in columns; nil elsewhere
	colour bool       // lines may be coloured

	active []*Step       // in the order of their start
	drawn  int           // lines of the live display that are on the terminal
	stop   chan struct{} // ends the goroutine that ticks; nil when none does
}

// New returns a log that writes to w, a silent one if that is nil. On a terminal that can
// be redrawn the active steps are shown live, in colour unless NO_COLOR is set.
func New(w io.Writer) *Log {
	if w == nil {
		return nil
	}
	l := &Log{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		l.colour = os.Getenv("NO_COLOR") == ""
		l.width = func() int {
			if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
				return columns
			}
			return 80
		}
	}
	return l
}

// Printf writes a line that stays, above the live display.
func (l *Log) Printf(format string, args ...any) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(Printable(fmt.Sprintf(format, args...)))
}

// Step begins a step and shows it until Done or Fail. name says what is being
// done, in a few words ("build base").
func (l *Log) Step(name string) *Step {
	if l == nil {
		return nil
	}
	now := time.Now()
	s := &Step{log: l, name: Printable(name), start: now, next: now.Add(silence)}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.active = append(l.active, s)
	if l.stop == nil {
		l.stop = make(chan struct{})
		go l.tick(l.stop)
	}
	return s
}

// tick redraws, or writes the lines that are due, until stop is closed.
func (l *Log) tick(stop chan struct{}) {
	t := time.NewTicker(redraw)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-t.C:
			l.mu.Lock()
			if l.stop == stop {
				l.show(now)
			}
			l.mu.Unlock()
		}
	}
}

// show redraws the live display, or writes the lines that are due. Called
// with mu held, as all methods below.
func (l *Log) show(now time.Time) {
	if l.width != nil {
		l.erase()
		l.draw(now)
		return
	}

	for _, s := range l.active {
		if now.Before(s.next) {
			continue
		}
		s.next = now.Add(heartbeat)
		fmt.Fprintf(l.w, "%s ...%s (%s)\n", s.name, before(" ", s.state), elapsed(now.Sub(s.start)))
	}
}

func (l *Log) line(text string) {
	l.erase()
	fmt.Fprintf(l.w, "%s\n", strings.TrimRight(text, "\n"))
	if l.width != nil {
		l.draw(time.Now())
	}
}

func (l *Log) erase() {
	if l.drawn > 0 {
		fmt.Fprintf(l.w, "\x1b[%dA\x1b[J", l.drawn)
		l.drawn = 0
	}
}

// draw puts a line for each active step on the terminal. Lines are cut to its
// width: one that wraps could not be erased.
func (l *Log) draw(now time.Time) {
	for _, s := range l.active {
		text := fmt.Sprintf("%6s  %s%s", elapsed(now.Sub(s.start)), s.name, before(": ", s.state))
		fmt.Fprintf(l.w, "%s\n", l.paint("2", cut(text, l.width()-1)))
	}
	l.drawn = len(l.active)
}

// end takes a step out of the display and writes its last line.
func (l *Log) end(s *Step, colour, mark, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.active, s)
	if i < 0 {
		return // has ended already
	}

	l.active = slices.Delete(l.active, i, i+1)
	if len(l.active) == 0 {
		close(l.stop)
		l.stop = nil
	}

	took, text := elapsed(time.Since(s.start)), l.paint(colour, s.name)+before(" ", mark)+before(": ", text)
	if l.width != nil {
		l.line(fmt.Sprintf("%6s  %s", took, text))
		return
	}
	l.line(fmt.Sprintf("%s (%s)", text, took))
}

func (l *Log) paint(sgr, text string) string {
	if !l.colour {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// Step is one thing that takes a while.
type Step struct {
	log   *Log
	name  string
	start time.Time
	state string    // how far it is
	next  time.Time // when its next line is due, off a terminal
}

// Update says how far the step is ("12 of 96 files"). It is cheap enough to
// be called often: what is written is decided by time.
func (s *Step) Update(format string, args ...any) {
	if s == nil {
		return
	}
	state := oneLine(fmt.Sprintf(format, args...))
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.state = state
}

// Done ends the step; the text, which may be empty, is its result.
func (s *Step) Done(format string, args ...any) { s.End(nil, format, args...) }

// Fail ends the step with an error, unless it has ended: it can be deferred.
func (s *Step) Fail(err error) { s.End(fmt.Errorf("%v", err), "") }

// End ends the step with an error, of which the first line is shown, or as Done does.
func (s *Step) End(err error, format string, args ...any) {
	if s == nil {
		return
	}
	text, colour, mark := fmt.Sprintf(format, args...), "32", ""
	if err != nil {
		text, colour, mark = err.Error(), "31", "failed"
	} else if text == "" {
		mark = "done"
	}
	s.log.end(s, colour, mark, oneLine(text))
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return Printable(strings.TrimSpace(s))
}

// Printable quotes control characters other than tabs and line ends: names of files and
// subjects of patches may have escape sequences, which must not reach the terminal.
func Printable(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func before(sep, text string) string {
	if text == "" {
		return ""
	}
	return sep + text
}

func cut(text string, n int) string {
	r := []rune(text)
	if len(r) <= n || n < 1 {
		return text
	}
	return string(r[:n-1]) + "…"
}

// elapsed formats a duration for people: 0.4s, 12s, 3m05s, 1h02m.
func elapsed(d time.Duration) string {
	switch s := int(d.Round(time.Second) / time.Second); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
}

// Count returns how many things there are, in words: "1 patch", "2 processes", "3 entries".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	switch stem, ry := strings.CutSuffix(what, "ry"); {
	case ry:
		what = stem + "rie"
	case strings.HasSuffix(what, "ch"), strings.HasSuffix(what, "s"):
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}
