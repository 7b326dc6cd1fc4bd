// SPDX-License-Identifier: GPL-2.0-only

package program

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vcpulab/tools/exit"
)

// TestRun runs a shell.
func TestRun(t *testing.T) {
	t.Setenv("LANG", "de_DE.UTF-8")
	t.Setenv("SECRET", "x")
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		script, out, errs string
		says              string // the error, "" for none
		status            int
	}{
		"good":            {script: "echo out; echo err >&2", out: "out\n", errs: "err\n"},
		"its folder":      {script: "pwd; echo $HOME", out: dir + "\n" + dir + "\n"},
		"its settings":    {script: "echo $LC_ALL,$LANG,$SECRET,$MORE", out: "C.UTF-8,,,more\n"},
		"no input":        {script: "cat", out: ""},
		"a status":        {script: "echo out; echo no >&2; exit 3", out: "out\n", errs: "no\n", says: "sh -c echo out; echo no >&2; exit 3: exit status 3: no", status: 3},
		"says much":       {script: "seq 20 >&2; exit 1", errs: "1\n", says: "exit status 1: 13\n14", status: 1},
		"killed":          {script: "kill -9 $$", says: "run sh: signal: killed"},
		"prints too much": {script: "yes | head -c 70000000", says: "run sh: more than 67108864 bytes of output"},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, err := Program{Name: "sh", Dir: dir, Env: []string{"MORE=more"}}.Run(t.Context(), "-c", tt.script)
			if string(out) != tt.out || !strings.HasPrefix(string(errs), tt.errs) {
				t.Errorf("expected %q and %q, found %.100q and %.100q", tt.out, tt.errs, out, errs)
			}
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected %q, found %v", tt.says, err)
			}
			status, ok := errors.AsType[*StatusError](err)
			if ok != (tt.status != 0) || ok && status.Status != tt.status {
				t.Errorf("expected status %d, found %v", tt.status, err)
			}
			// What it ends with is nothing that this program ends with.
			if err != nil && exit.Code(err) != exit.CheckFailed {
				t.Errorf("expected exit code %d, found %d", exit.CheckFailed, exit.Code(err))
			}
		})
	}
}

func TestRunMissing(t *testing.T) {
	_, _, err := Program{Name: "no-such-program"}.Run(t.Context())
	if missing, ok := errors.AsType[*MissingError](err); !ok || missing.Program != "no-such-program" || exit.Code(err) != exit.MachineLacks {
		t.Errorf("expected a program to be missing, found %v", err)
	}
}

// TestRunCancelled ends a program, and what it has started.
func TestRunCancelled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, _, err := Program{Name: "sh", Dir: dir}.Run(ctx, "-c", "sleep 600 & echo $! >child.new; mv child.new child; wait")
		done <- err
	}()
	var child int
	for child == 0 {
		if data, err := os.ReadFile(dir + "/child"); err == nil {
			if child, err = strconv.Atoi(strings.TrimSpace(string(data))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
	// It was killed, but has to come to the processor once more to die, and may
	// be there as a zombie then until init has taken it.
	var stat []byte
	for range 10_000 {
		if err := syscall.Kill(child, 0); err != nil {
			return
		}
		var err error
		if stat, err = os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat"); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("the program's child lives on: %s", stat)
}

func TestRunReads(t *testing.T) {
	out, _, err := Program{Name: "cat", Dir: t.TempDir(), Stdin: []byte("in")}.Run(t.Context())
	if err != nil || string(out) != "in" {
		t.Errorf("expected what it was given, found %q, %v", out, err)
	}
}
