// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// TestShellTerminal talks to a guest over a terminal, as a user does.
func TestShellTerminal(t *testing.T) {
	needShell(t)
	const prompt = "base:/# "
	for name, tt := range map[string]struct {
		talk func(u *user)
		code int
	}{
		"until exit": {func(u *user) {
			u.types("stty size\n")
			u.sees("\n30 100\r")
			// What ends is the program, not the shell, nor vcpulab.
			u.types("sh -c 'trap \"stty size\" WINCH; echo waiting; while :; do sleep 0.1; done'\n")
			u.sees("\nwaiting\r")
			u.resizes(40, 120)
			u.sees("\n40 120\r")
			u.types("\x03")
			u.sees(prompt)
			u.types("echo $((6 * 7))\n")
			u.sees("\n42\r")
			u.types("exit 3\n")
		}, 3},
		"until Ctrl-]": {func(u *user) { u.types("\x1d") }, exit.Interrupted},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, 30, 100)
			before := u.settings()
			code := u.runs(func() {
				u.sees("Ctrl-] ends the guest")
				u.sees(prompt)
				if u.settings() == before {
					t.Error("the terminal is not the guest's: its settings are the same")
				}
				tt.talk(u)
			}, "shell", "base", "--accel", "tcg", "--out", t.TempDir())
			if code != tt.code {
				t.Errorf("expected exit code %d, found %d:\n%s", tt.code, code, &u.screen)
			}
			if after := u.settings(); after != before {
				t.Errorf("expected the terminal to be as before, %+v, found %+v", before, after)
			}
			if text := u.screen.String(); strings.Contains(text, "Restarting system") {
				t.Errorf("the guest's end is of no interest:\n%s", text)
			}
		})
	}
}

// needShell skips a test that needs a guest with a shell.
func needShell(t *testing.T) {
	t.Helper()
	for _, name := range []string{"qemu-system-x86_64", "busybox"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED FOR LACK OF %s: run \"vcpulab install boot shell\"", name)
		}
	}
	if os.Getenv(envKernel) == "" {
		t.Skipf("NOT RUN: %s is not set: no kernel was built; make test sets it", envKernel)
	}
}

// vcpulab is the program with the cache that has the unpatched kernel.
func vcpulab(args ...string) *exec.Cmd {
	cmd := exec.Command("vcpulab", append([]string{"-q", "--root", "../../.."}, args...)...)
	cmd.Env = append(os.Environ(), "VCPULAB_CACHE="+realCache())
	return cmd
}

// TestShellGDB attaches to a guest by the line that is printed, and speaks gdb's
// protocol: the guest has not begun, and begins when it is let go.
func TestShellGDB(t *testing.T) {
	needShell(t)
	cmd := vcpulab("shell", "base", "--accel", "tcg", "--gdb", "--out", t.TempDir(), "--", "echo", "hello")
	stdout := &bytes.Buffer{}
	cmd.Stdout = stdout
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	stderr := bufio.NewReader(pipe)
	line, _ := stderr.ReadString('\n')
	m := regexp.MustCompile(`^the guest waits for: gdb -d (\S+) -ex 'target remote (\S+)' (\S+)\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("expected a line with gdb, found %q", line)
	}
	for _, name := range []string{m[1] + "/virt/kvm/kvm_main.c", m[3]} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}

	gdb, err := net.Dial("unix", m[2])
	if err != nil {
		t.Fatal(err)
	}
	defer gdb.Close()
	answers := bufio.NewReader(gdb)
	for _, ask := range []struct{ packet, answer string }{{"$?#3f", "T05"}, {"$D#44", "OK"}} {
		if _, err := io.WriteString(gdb, ask.packet); err != nil {
			t.Fatal(err)
		}
		if answer, err := answers.ReadString('#'); err != nil || !strings.Contains(answer, "$"+ask.answer) {
			t.Fatalf("%s: expected %s, found %q and %v", ask.packet, ask.answer, answer, err)
		}
		if _, err := io.WriteString(gdb, "+"); err != nil {
			t.Fatal(err)
		}
	}
	rest, _ := io.ReadAll(stderr)
	if err := cmd.Wait(); err != nil || stdout.String() != "hello\n" {
		t.Errorf("expected hello, found %q and %v\n%s", stdout, err, rest)
	}
	if !strings.HasPrefix(string(rest), "for KVM's modules, in gdb: source "+filepath.Dir(m[2])) {
		t.Errorf("expected where the modules are, found %q", rest)
	}
	if _, err := os.Stat(filepath.Dir(m[2])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// user sits at a terminal.
type user struct {
	t              *testing.T
	keyboard, side *os.File // the user's side, and that of programs

	mu     sync.Mutex
	screen bytes.Buffer
	seen   int           // how much of the screen was looked at
	more   chan struct{} // holds a token after something came
}

func newUser(t *testing.T, rows, cols uint16) *user {
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { side.Close() })
	u := &user{t: t, keyboard: keyboard, side: side, more: make(chan struct{}, 1)}
	u.resizes(rows, cols)
	go func() { _, _ = io.Copy(u, keyboard) }()
	return u
}

// Write shows something on the screen.
func (u *user) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case u.more <- struct{}{}:
	default:
	}
	return u.screen.Write(p)
}

// runs runs vcpulab on the terminal and returns its exit code.
func (u *user) runs(talk func(), args ...string) int {
	cmd := vcpulab(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = u.side, u.side, u.side
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	talk()

	err := <-ended
	if status, ok := errors.AsType[*exec.ExitError](err); ok {
		return status.ExitCode()
	} else if err != nil {
		u.t.Fatal(err)
	}
	return 0
}

// shown is how long something may take to be shown on a machine that is busy.
const shown = 5 * time.Minute

// sees waits until a text is on the screen that was not seen before.
func (u *user) sees(text string) {
	u.t.Helper()
	for late := time.After(shown); ; {
		u.mu.Lock()
		rest := u.screen.String()[u.seen:]
		at := strings.Index(rest, text)
		if at >= 0 {
			u.seen += at + len(text)
		}
		u.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-u.more:
		case <-late:
			u.t.Fatalf("expected %q, found\n%q", text, rest)
		}
	}
}

func (u *user) types(keys string) {
	if _, err := u.keyboard.WriteString(keys); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) resizes(rows, cols uint16) {
	if err := unix.IoctlSetWinsize(int(u.keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		u.t.Fatal(err)
	}
}

// settings are those of the terminal.
func (u *user) settings() unix.Termios {
	settings, err := unix.IoctlGetTermios(int(u.side.Fd()), unix.TCGETS)
	if err != nil {
		u.t.Fatal(err)
	}
	return *settings
}
