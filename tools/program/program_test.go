// SPDX-License-Identifier: GPL-2.0-only

package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
		"its directory":   {script: "pwd; echo $HOME", out: dir + "\n" + dir + "\n"},
		"its settings":    {script: "echo $LC_ALL,$LANG,$SECRET,$MORE", out: "C.UTF-8,,,more\n"},
		"no input":        {script: "cat", out: ""},
		"a status":        {script: "echo out; echo no >&2; exit 3", out: "out\n", errs: "no\n", says: "sh -c echo out; echo no >&2; exit 3: exit status 3: no", status: 3},
		"says much":       {script: "seq 20 >&2; exit 1", errs: "1\n", says: "exit status 1: 13\n14", status: 1},
		"killed":          {script: "echo out; echo no >&2; kill -9 $$", out: "out\n", errs: "no\n", says: "ended by SIGKILL: no"},
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

// awaitEnd waits for a process to end. It may be a zombie until init has
// reaped it.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCancel ends programs, and what they have started.
func TestCancel(t *testing.T) {
	for name, tt := range map[string]struct {
		program Program
		script  string
		killed  bool
	}{
		"killed":         {script: "$CHILD & wait", killed: true},
		"stopped":        {Program{Stop: unix.SIGTERM, Grace: time.Hour}, "trap 'exit 3' TERM; $CHILD & wait", false},
		"does not stop":  {Program{Stop: unix.SIGTERM, Grace: time.Millisecond}, "trap '' TERM; $CHILD & wait", true},
		"leaves a child": {Program{Stop: unix.SIGTERM, Grace: time.Hour}, "trap 'exit 3' TERM; (trap '' TERM; $CHILD 2>/dev/null) & wait", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := tt.program
			p.Name, p.Dir, p.PipeStdout = "sh", t.TempDir(), true
			// The child is past its fork when it prints its number.
			child := `sh -c 'echo $$; exec sleep 600 >/dev/null'`
			process, err := p.Start(ctx, "-c", strings.ReplaceAll(tt.script, "$CHILD", child))
			if err != nil {
				t.Fatal(err)
			}
			var pid int
			if _, err := fmt.Fscan(process.Stdout, &pid); err != nil {
				t.Fatal(err)
			}
			cancel()
			err = process.Wait()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("expected %v, found %v", context.Canceled, err)
			}
			if signal, ok := errors.AsType[*SignalError](err); ok != tt.killed || ok && signal.Signal != unix.SIGKILL {
				t.Errorf("killed: expected %v, found %v", tt.killed, err)
			}
			awaitEnd(t, pid)
		})
	}
}

func TestKill(t *testing.T) {
	process, err := Program{Name: "sleep"}.Start(t.Context(), "600")
	if err != nil {
		t.Fatal(err)
	}
	process.Kill()
	process.Kill()
	if signal, ok := errors.AsType[*SignalError](process.Wait()); !ok || signal.Signal != unix.SIGKILL {
		t.Errorf("expected SIGKILL, found %v", process.Wait())
	}
}

func TestStdin(t *testing.T) {
	out, _, err := Program{Name: "cat", Dir: t.TempDir(), Stdin: strings.NewReader("in")}.Run(t.Context())
	if err != nil || string(out) != "in" {
		t.Errorf("expected what it was given, found %q, %v", out, err)
	}
}

func TestPipes(t *testing.T) {
	process, err := Program{Name: "cat", PipeStdin: true, PipeStdout: true}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(process.Stdout)
	for _, line := range []string{"one", "two"} {
		if _, err := fmt.Fprintln(process.Stdin, line); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() || answers.Text() != line {
			t.Errorf("expected %q, found %q, %v", line, answers.Text(), answers.Err())
		}
	}
	process.Stdin.Close()
	if err := process.Wait(); err != nil {
		t.Error(err)
	}
}

func TestLines(t *testing.T) {
	var lines []string
	p := Program{Name: "sh", Lines: func(line string) { lines = append(lines, line) }}
	if _, _, err := p.Run(t.Context(), "-c", "echo a; echo; printf b; printf c"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "", "bc"}; !slices.Equal(lines, want) {
		t.Errorf("expected %q, found %q", want, lines)
	}
	lines = nil
	if _, _, err := p.Run(t.Context(), "-c", "head -c 3000000 /dev/zero"); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if len(line) > 2*maxLine {
			t.Errorf("line of %d bytes", len(line))
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET", "x")
	t.Setenv("HOME", "/home")
	for want, p := range map[string]Program{
		"/home,,C.UTF-8": {},
		"/tmp,,C":        {Dir: "/tmp", Env: []string{"LC_ALL=C"}},
		"/home,x,C":      {Dir: "/tmp", InheritEnv: true, Env: []string{"LC_ALL=C"}},
	} {
		p.Name = "sh"
		out, _, err := p.Run(t.Context(), "-c", "printf %s $HOME,$SECRET,$LC_ALL")
		if err != nil || string(out) != want {
			t.Errorf("expected %s, found %s, %v", want, out, err)
		}
	}
}

// TestCPUs runs on one processor, and then on those of the test again.
func TestCPUs(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	last := -1
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			last = cpu
		}
	}
	for _, p := range []Program{{CPUs: []int{last}}, {}} {
		p.Name = "grep"
		out, _, err := p.Run(t.Context(), "Cpus_allowed_list", "/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		if alone := strings.HasSuffix(string(out), "\t"+strconv.Itoa(last)+"\n"); alone != (p.CPUs != nil || before.Count() == 1) {
			t.Errorf("processors %v of %v: found %s", p.CPUs, before, out)
		}
	}
	if _, _, err := (Program{Name: "true", CPUs: []int{}}).Run(t.Context()); err == nil {
		t.Error("expected an error without processors")
	}
}

// TestForeground lets a service keep the outputs.
func TestForeground(t *testing.T) {
	p := Program{Name: "sh", Foreground: true}
	var pid string
	p.Lines = func(line string) { pid = line }
	if _, _, err := p.Run(t.Context(), "-c", "sleep 600 & echo $!"); err != nil {
		t.Errorf("expected no error, found %v", err)
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(n, unix.SIGKILL); err != nil {
		t.Error(err)
	}
}
