// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
)

// TestCycles: either they can be counted, and are, or why not is said.
func TestCycles(t *testing.T) {
	_, base := pinned(t)
	program, err := build(t, base)
	if err != nil {
		t.Fatal(err)
	}
	p := short
	p.Cycles = true
	got, err := Measure(t.Context(), program, p)
	if why := Cycles(); why != nil {
		t.Log(why)
		if !errors.Is(why, ErrCycles) || !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), "the event cannot be counted") {
			t.Errorf("expected the program not to count either, found %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range got.Loops {
		if len(l.OnceCycles) != 1 || l.OnceCycles[0] < l.Once[0]/10 {
			t.Errorf("expected cycles as well as time, found %+v", l)
		}
	}
}

// TestCount counts an event that any machine has: a nanosecond that the thread
// runs.
func TestCount(t *testing.T) {
	_, base := pinned(t)
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_TASK_CLOCK, Size: unix.PERF_ATTR_SIZE_VER0}
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		t.Skipf("NOT RUN: perf_event_open: %v", err)
	}
	unix.Close(fd)
	program, err := build(t, base)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	p := short
	p.LoopNanos = 200_000
	m := meter{in: in, out: bufio.NewReader(out), params: p}
	if err := m.count(int(attr.Type), int(attr.Config)); err != nil {
		t.Fatal(err)
	}
	// Time also passes while another thread runs, and the event while another
	// virtual machine does: each loop has to run undisturbed once.
	const tries = 500
	bad := map[measure.Shape]measure.Loop{{}: {}} // so far
	for try := 0; try < tries && len(bad) > 0; try++ {
		loops, err := m.vm(measure.VM{VCPUs: 65, IDs: measure.Dense})
		if err != nil {
			t.Fatal(err)
		}
		if try == 0 {
			clear(bad)
		}
		for _, l := range loops {
			if len(l.OnceCycles) != 1 || len(l.TwiceCycles) != 1 {
				t.Fatalf("expected a count of each run, found %+v", l)
			}
			ratio := float64(l.TwiceCycles[0]) / float64(l.Twice[0])
			_, pending := bad[l.Shape]
			switch {
			case ratio >= 0.8 && ratio <= 1.5:
				delete(bad, l.Shape)
			case pending || try == 0:
				bad[l.Shape] = l
			}
		}
	}
	for shape, l := range bad {
		t.Errorf("%v: expected about as many as nanoseconds in one of %d tries, found %d of %d", shape, tries, l.TwiceCycles[0], l.Twice[0])
	}
}

// TestCountRefuses speaks to programs that count otherwise than they should.
func TestCountRefuses(t *testing.T) {
	p := short
	p.Cycles = true
	for name, tt := range map[string]struct{ script, says string }{
		"cannot":      {"read a; echo '!the event cannot be counted'", "cannot be counted"},
		"does not":    {"read a; echo no", `expected ok, found "no"`},
		"no count":    {"read a; echo ok; read a; echo ok; read a; echo 100", `how often the event happened, found "100"`},
		"counts none": {"read a; echo ok; read a; echo ok; read a; echo 100 0", `found "100 0"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Measure(t.Context(), script(t, tt.script), p); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}

func TestWhyNoCycles(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		says string
	}{
		"no counter":  {unix.ENOENT, "knows no such counter"},
		"unsupported": {unix.EOPNOTSUPP, "knows no such counter"},
		"not allowed": {unix.EACCES, "kernel.perf_event_paranoid is 3, expected 2 or less"},
		"no perf":     {unix.ENOSYS, "has no perf events"},
		"other":       {unix.EMFILE, "too many open files"},
	} {
		t.Run(name, func(t *testing.T) {
			got := whyNoCycles(tt.err, "3")
			if !errors.Is(got, ErrCycles) || !errors.Is(got, tt.err) || !strings.Contains(got.Error(), tt.says) {
				t.Errorf("expected %q, found %v", tt.says, got)
			}
		})
	}
}

// script writes a program for the shell and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}
