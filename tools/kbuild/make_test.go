// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// project writes a makefile and other files, and returns a run of its target
// all.
func project(t *testing.T, content files) *makeRun {
	t.Helper()
	dir := t.TempDir()
	for name, data := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &makeRun{doing: "build the project", dir: dir, targets: []string{"all"}, jobs: 2, log: filepath.Join(dir, "log", "l")}
}

func TestMakeRun(t *testing.T) {
	m := project(t, files{"Makefile": "all:\n\t@echo '  CC      a.o'\n\t@echo '  CC [M]  b/c.o'\n\t@echo '  LD      y' >&2\n\t@printf '  AR      x.a'\n"})
	m.vars = []string{"V=it's one word"}
	clean, err := m.run(t.Context())
	if err != nil || !clean {
		t.Fatal(clean, err)
	}
	if m.steps != 4 {
		t.Errorf("%d steps, want 4", m.steps)
	}
	log, err := os.ReadFile(m.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# build the project\n", "  CC [M]  b/c.o\n", `'V=it'"'"'s one word'`} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// TestMakeEnvironment runs make from within make, with variables set that
// would change what a kernel is.
func TestMakeEnvironment(t *testing.T) {
	for _, name := range []string{"KCFLAGS", "MAKEFLAGS", "ARCH", "CROSS_COMPILE", "LANG", "LC_MESSAGES"} {
		t.Setenv(name, "-n")
	}
	m := project(t, files{"Makefile": "all:\n\t@env > env\n"})
	m.env = []string{"EXTRA=1"}
	if _, err := m.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(m.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(env)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "KCFLAGS", "ARCH", "CROSS_COMPILE", "LANG", "LC_MESSAGES":
			t.Errorf("make got %s", line)
		case "LC_ALL":
			if value != "C" {
				t.Errorf("make got %s", line)
			}
		}
	}
	if !strings.Contains(string(env), "EXTRA=1\n") {
		t.Error("make did not get EXTRA")
	}
}

// TestMakeFails builds something that does not compile, and repeats it with
// the command that the error gives.
func TestMakeFails(t *testing.T) {
	m := project(t, files{
		"Makefile": "all: a.o\n%.o: %.c\n\t@echo '  CC      $@'\n\t@$(CC) -c -o $@ $<\n",
		"a.h":      "#define VALUE undeclared\n",
		"a.c":      "#include \"a.h\"\nint f(void)\n{\n\treturn VALUE;\n}\n",
	})
	m.vars = []string{"CC=gcc"}
	clean, err := m.run(t.Context())
	var e *Error
	if !errors.As(err, &e) || !clean {
		t.Fatal(clean, err)
	}
	if e.Fault.Kind != Compile || e.Fault.File != "a.h" || e.Fault.Line != 1 || e.Fault.Target != "a.o" {
		t.Errorf("%+v", e.Fault)
	}
	if exit.Code(err) != exit.BuildFailed {
		t.Errorf("exit code %d", exit.Code(err))
	}
	if ended, ok := errors.AsType[*program.StatusError](err); !ok || ended.Status != 2 {
		t.Errorf("expected make's exit status, found %v", ended)
	}
	for _, want := range []string{"build the project: a.h:1:15: 'undeclared' undeclared", "while making: a.o", m.log, "again: env -i PATH="} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	out, err := exec.Command("sh", "-c", e.Command).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "'undeclared' undeclared") {
		t.Errorf("the command gave %v:\n%s", err, out)
	}
}

// TestMakeStopped cancels a running build: all its processes end, and the target
// that it was making is gone.
func TestMakeStopped(t *testing.T) {
	m := project(t, files{"Makefile": "all: half\nhalf:\n\t@echo begun > half; echo $$$$ > pid; echo '  CC      half'; sleep 1000 & wait\n"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := m.run(ctx)
		done <- err
	}()
	waitForLine(t, m.log, "  CC      half")
	cancel()
	err := <-done
	if !errors.Is(err, context.Canceled) || exit.Code(err) != exit.Interrupted {
		t.Fatalf("%v, exit code %d", err, exit.Code(err))
	}
	if _, err := os.Lstat(filepath.Join(m.dir, "half")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-made target is left: %v", err)
	}
	pid, err := os.ReadFile(filepath.Join(m.dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	// The shell's own process group is make's.
	if out, err := exec.Command("ps", "-o", "pid=,stat=,args=", "-p", strings.TrimSpace(string(pid))).Output(); err == nil && !strings.Contains(string(out), "<defunct>") {
		t.Errorf("still running: %s", out)
	}
	if out, _ := exec.Command("pgrep", "-f", "^sleep 1000$").Output(); len(out) > 0 {
		for _, p := range strings.Fields(string(out)) {
			cwd, _ := os.Readlink("/proc/" + p + "/cwd")
			if cwd == m.dir {
				t.Errorf("still sleeping: %s", p)
			}
		}
	}
}

// waitForLine waits until a file has a line; the test's own deadline ends it.
func waitForLine(t *testing.T, name, want string) {
	t.Helper()
	for t.Context().Err() == nil {
		if f, err := os.Open(name); err == nil {
			for scan := bufio.NewScanner(f); scan.Scan(); {
				if scan.Text() == want {
					f.Close()
					return
				}
			}
			f.Close()
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s never had the line %q", name, want)
}

func TestMakeDoesNotStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := project(t, files{"Makefile": "all:\n"})
	if clean, err := m.run(ctx); !clean || !errors.Is(err, context.Canceled) {
		t.Error(clean, err)
	}
	t.Setenv("PATH", "/nonexistent")
	m = project(t, files{"Makefile": "all:\n"})
	if _, err := m.run(t.Context()); err == nil || exit.Code(err) != exit.MachineLacks {
		t.Error(err)
	}
}

func TestMakeKilled(t *testing.T) {
	m := project(t, files{"Makefile": "all:\n\t@kill -KILL $$PPID\n"})
	clean, err := m.run(t.Context())
	if clean || err == nil {
		t.Errorf("make that was killed: clean %v, %v", clean, err)
	}
	if ended, ok := errors.AsType[*program.SignalError](err); !ok || ended.Signal != syscall.SIGKILL {
		t.Errorf("%v", err)
	}
}
