// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	guest "vcpulab/tools/vm/tiny"
)

// envChild makes the test binary run a guest that does not end, whose kernel
// is the file that the variable names.
const envChild = "VCPULAB_VM_TEST_CHILD"

func TestMain(m *testing.M) {
	kernel := os.Getenv(envChild)
	if kernel == "" {
		os.Exit(m.Run())
	}
	p, err := startProcess(Machine{Arch: X86_64().WithDebugPort(guest.PortRecords), Kernel: kernel, MemMiB: 32}.withDefaults())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Once the guest has spoken, tell who it is and wait to be killed.
	_, _ = io.ReadFull(p.console, make([]byte, 1))
	fmt.Println(p.pid)
	<-p.done
}

// TestDiesWithUs kills a process that runs a guest, as nothing can be done
// about, and expects QEMU to be gone.
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
	gone(t, pid)
}

// gone waits until a process is no more, or only waits for its parent.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err := unix.Kill(pid, 0); err != nil {
			return
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
	_ = unix.Kill(pid, syscall.SIGKILL)
}

// TestOwnGroup: QEMU is in a process group of its own, so that Ctrl-C on the
// terminal reaches us alone and we end QEMU.
func TestOwnGroup(t *testing.T) {
	m := machine(t, spin)
	p, err := startProcess(m.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	group, err := unix.Getpgid(p.pid)
	p.kill()
	if err != nil || group != p.pid {
		t.Errorf("expected group %d, found %d and %v", p.pid, group, err)
	}
	gone(t, p.pid)
}

// TestNoFilesLeft: neither files nor descriptors stay behind.
func TestNoFilesLeft(t *testing.T) {
	m := machine(t, reset)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	// The first run opens what stays open, such as the poller.
	_, _ = Run(t.Context(), m, quick())
	before := descriptors(t)
	_, _ = Run(t.Context(), m, quick())
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
	s.broken()
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

func FuzzParseSchedstat(f *testing.F) {
	f.Add([]byte("123 456 7\n"))
	f.Add([]byte("1 -1 99999999999999999999"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d := parseSchedstat(data); d < 0 {
			t.Errorf("a negative time: %v", d)
		}
	})
}

// TestRunDelay reads the real thing.
func TestRunDelay(t *testing.T) {
	if got := parseSchedstat([]byte("10 20 30\n")); got != 20 {
		t.Errorf("expected 20 ns, found %v", got)
	}
	if got := runDelay("/proc/0/task"); got != 0 {
		t.Errorf("a process that is not there has waited %v", got)
	}
	if got := runDelay(fmt.Sprintf("/proc/%d/task", os.Getpid())); got < 0 {
		t.Errorf("found %v", got)
	}
}
