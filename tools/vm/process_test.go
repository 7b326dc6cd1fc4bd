// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/tools/vm/bareguest"
)

// envChild makes the test binary run a guest that does not end, whose kernel
// is the file that the variable names.
const envChild = "VCPULAB_VM_TEST_CHILD"

func TestMain(m *testing.M) {
	kernel := os.Getenv(envChild)
	if kernel == "" {
		os.Exit(m.Run())
	}
	running := &firstWrite{c: make(chan struct{})}
	p, err := startProcess(Machine{Arch: bareguest.Arch(), Kernel: kernel, MemMiB: 32}.withDefaults(), running, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Print QEMU's process ID once the guest runs, and wait to be killed.
	<-running.c
	fmt.Println(p.Pid)
	<-p.Done()
}

// TestDiesWithUs kills a process that runs a guest with SIGKILL, and expects QEMU
// to end.
func TestDiesWithUs(t *testing.T) {
	m := machine(t, console1("x"), spin)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), envChild+"="+m.Kernel)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	awaitEnd(t, pid)
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

// TestOwnGroup expects QEMU in a process group of its own: Ctrl-C on the terminal
// reaches us alone, and we end QEMU.
func TestOwnGroup(t *testing.T) {
	m := machine(t, spin)
	p, err := startProcess(m.withDefaults(), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	group, err := unix.Getpgid(p.Pid)
	p.Kill()
	if err != nil || group != p.Pid {
		t.Errorf("expected group %d, found %d and %v", p.Pid, group, err)
	}
	awaitEnd(t, p.Pid)
}

// TestNoFilesLeft looks for files and descriptors that a run leaves behind.
func TestNoFilesLeft(t *testing.T) {
	m := machine(t, reset)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	// The first run opens what stays open, such as the poller.
	_, _ = Run(t.Context(), m, patient())
	before := descriptors(t)
	_, _ = Run(t.Context(), m, patient())
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func TestSilence(t *testing.T) {
	var waited time.Duration
	s := &silence{limit: time.Minute, timer: time.NewTimer(time.Hour), delay: func() time.Duration { return waited }}
	defer s.timer.Stop()
	s.reset()
	if s.over() {
		t.Error("it was over at once")
	}
	for name, tt := range map[string]struct {
		passed, waited time.Duration
		over           bool
	}{
		"short":          {59 * time.Second, 0, false},
		"long":           {61 * time.Second, 0, true},
		"waited":         {61 * time.Second, 30 * time.Second, false},
		"waited, long":   {91 * time.Second, 30 * time.Second, true},
		"waited forever": {181 * time.Second, 181 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			s.last, waited = time.Now().Add(-tt.passed), tt.waited
			if s.over() != tt.over {
				t.Errorf("expected %v", tt.over)
			}
		})
	}
}

// TestRunDelay reads files like the kernel's, and the real thing.
func TestRunDelay(t *testing.T) {
	dir := t.TempDir()
	for thread, text := range map[string]string{"1": "10 20 30\n", "2": "10 7 30\n", "3": "", "4": "99 -1", "5": "1 x"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, thread), 0o755), os.WriteFile(filepath.Join(dir, thread, "schedstat"), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if got := runDelay(dir); got != 20 {
		t.Errorf("expected 20 ns, found %v", got)
	}
	if got := runDelay("/proc/0/task"); got != 0 {
		t.Errorf("a process that is not there has waited %v", got)
	}
	if got := runDelay(fmt.Sprintf("/proc/%d/task", os.Getpid())); got < 0 {
		t.Errorf("found %v", got)
	}
}
