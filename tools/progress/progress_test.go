// SPDX-License-Identifier: GPL-2.0-only

package progress

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The clock of these tests is synctest's: time.Sleep returns at once and
// everything happens at the exact instant that it is due.

func TestPlain(t *testing.T) {
	tests := map[string]struct {
		do   func(l *Log)
		want []string
	}{
		"quick step: one line": {
			func(l *Log) {
				s := l.Step("unpack")
				time.Sleep(1500 * time.Millisecond)
				s.Done("96057 files")
			},
			[]string{"unpack: 96057 files (1.5s)"},
		},
		"nothing to say": {
			func(l *Log) { l.Step("unpack").Done("") },
			[]string{"unpack done (0.0s)"},
		},
		"start line and heartbeat": {
			func(l *Log) {
				s := l.Step("build base")
				s.Update("%d objects", 3)
				time.Sleep(30 * time.Second)
				s.Update("%d objects", 400)
				time.Sleep(45 * time.Second)
				s.Done("")
			},
			[]string{
				"build base ... 3 objects (2.0s)",
				"build base ... 3 objects (22s)",
				"build base ... 400 objects (42s)",
				"build base ... 400 objects (1m02s)",
				"build base done (1m15s)",
			},
		},
		"failure shows the first line": {
			func(l *Log) { l.Step("build base").Fail(errors.New("kvm_main.c:12: error\nmore")) },
			[]string{"build base failed: kvm_main.c:12: error (0.0s)"},
		},
		"only the first end counts": {
			func(l *Log) {
				s := l.Step("boot")
				s.Done("up")
				s.Fail(errors.New("late"))
				s.Done("again")
			},
			[]string{"boot: up (0.0s)"},
		},
		"two at a time": {
			func(l *Log) {
				a, b := l.Step("a"), l.Step("b")
				time.Sleep(3 * time.Second)
				b.Done("")
				a.Done("")
			},
			[]string{"a ... (2.0s)", "b ... (2.0s)", "b done (3.0s)", "a done (3.0s)"},
		},
		"escape sequences": {
			func(l *Log) {
				l.Printf("apply \x1b[2J\tone")
				s := l.Step("\x1b]0;title\a")
				s.Done("\x9b31m")
			},
			[]string{`apply \x1b[2J` + "\tone", `\x1b]0;title\a: ` + "\ufffd31m (0.0s)"},
		},
		"lines of their own": {
			func(l *Log) { l.Printf("tree: %s\n", "/x") },
			[]string{"tree: /x"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				l := New(&out)
				tc.do(l)
				got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("lines (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// screen plays the little of a terminal that the live display uses and
// returns what is on it at the end.
func screen(t *testing.T, out string) []string {
	t.Helper()
	lines := []string{}
	for out != "" {
		if rest, ok := strings.CutPrefix(out, "\x1b["); ok {
			n := 0
			for rest[0] >= '0' && rest[0] <= '9' {
				n, rest = n*10+int(rest[0]-'0'), rest[1:]
			}
			switch rest[0] {
			case 'A':
				if n > len(lines) {
					t.Fatalf("moves up %d lines of %d", n, len(lines))
				}
				lines = lines[:len(lines)-n]
			case 'J', 'm':
			default:
				t.Fatalf("unknown escape %q", rest)
			}
			out = rest[1:]
			continue
		}
		line, rest, ok := strings.Cut(out, "\n")
		if !ok {
			t.Fatalf("unfinished line %q", out)
		}
		lines = append(lines, strings.TrimSuffix(strings.ReplaceAll(line, "\x1b[0m", ""), "\x1b["))
		out = rest
	}
	return lines
}

func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := &Log{w: &out, width: func() int { return 24 }}
		a := l.Step("download")
		a.Update("a state that is longer than the terminal is wide")
		b := l.Step("build")
		time.Sleep(11 * time.Second)
		l.mu.Lock()
		got := screen(t, out.String())
		l.mu.Unlock()
		if diff := cmp.Diff([]string{"   11s  download: a st…", "   11s  build"}, got); diff != "" {
			t.Errorf("while it runs (-want +got):\n%s", diff)
		}
		l.Printf("note")
		b.Fail(errors.New("no"))
		a.Done("")
		want := []string{"note", "   11s  build failed: no", "   11s  download done"}
		if diff := cmp.Diff(want, screen(t, out.String())); diff != "" {
			t.Errorf("at the end (-want +got):\n%s", diff)
		}
		if strings.Contains(out.String(), "\x1b[32m") {
			t.Error("coloured without being asked")
		}
	})
}

func TestColour(t *testing.T) {
	var out bytes.Buffer
	l := &Log{w: &out, colour: true, width: func() int { return 80 }}
	l.Step("a").Done("")
	if !strings.Contains(out.String(), "\x1b[32ma\x1b[0m") {
		t.Errorf("no green in %q", out.String())
	}
}

func TestNilIsSilent(t *testing.T) {
	l := New(nil)
	l.Printf("x")
	s := l.Step("x")
	s.Update("x")
	s.Done("x")
	s.Fail(errors.New("x"))
	s.End(nil, "x")
}

func TestConcurrentUse(t *testing.T) {
	var out bytes.Buffer
	l := New(&out)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			s := l.Step("s")
			s.Update("u")
			s.Done("")
		})
	}
	wg.Wait()
	if n := strings.Count(out.String(), "s done"); n != 20 {
		t.Errorf("%d lines of 20", n)
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 builds": Count(0, "build"), "1 build": Count(1, "build"), "2 builds": Count(2, "build"),
		"1 patch": Count(1, "patch"), "2 patches": Count(2, "patch"), "2 processes": Count(2, "process"),
		"1 entry": Count(1, "entry"), "2 entries": Count(2, "entry"),
	} {
		if got != want {
			t.Errorf("expected %q, found %q", want, got)
		}
	}
}
