// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/selftest"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
	"vcpulab/tools/vm/bareguest"
)

// brokenLimit is how long one broken kernel may keep the command: none may
// hang it. They need a second or two each on an idle machine.
const brokenLimit = 2 * time.Minute

// script is what a guest does that is started for the tests a, b and c.
type script struct {
	records []wire.Record
	then    []bareguest.Code
}

func starts(name string) wire.Record {
	return wire.Record{Start: name}
}

func passes(name string) wire.Record {
	return wire.Record{Test: &wire.Test{Name: name, Outcome: wire.OutcomeExit, Nanos: 1e6}}
}

var (
	hello = wire.Record{Hello: &wire.Hello{Version: wire.Version, Kernel: "tiny"}}
	end   = wire.Record{End: &wire.End{}}
)

// passing is a guest in which these tests pass, up to its end record.
func passing(names ...string) []wire.Record {
	all := []wire.Record{hello}
	for _, n := range names {
		all = append(all, starts(n), passes(n))
	}
	return all
}

// goodGuest runs tests to its end.
func goodGuest(names ...string) script {
	return script{append(passing(names...), end), []bareguest.Code{bareguest.Reset}}
}

// dies says something on the console and resets, as panic=-1 has it.
func dies(console string) []bareguest.Code {
	return []bareguest.Code{bareguest.Say(bareguest.Serial, console), bareguest.Reset}
}

const (
	started  = "[    1.0] vcpulab: start b\r\n"
	initDied = "[    1.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n"
	oopsed   = "[    1.1] BUG: kernel NULL pointer dereference, address: 0000000000000010\r\n" +
		"[    1.1] RIP: 0010:kvm_get_vcpu+0x1c/0x40 [kvm]\r\n[    1.2] Kernel panic - not syncing: Fatal exception\r\n"
)

// TestBrokenKernels runs the command on kernels that are broken in each way
// that its harness has to survive: the base kernel is good, the patched one is
// not. No test that was not seen to pass may be said to have passed, nothing
// may hang, and the exit code is the documented one.
func TestBrokenKernels(t *testing.T) {
	shared := brokenCache(t)
	midB := []wire.Record{hello, starts("a"), passes("a"), starts("b")}
	for name, tt := range map[string]struct {
		// The guests that are started one after the other on the patched
		// kernel.
		guests []script
		// lines are what the table has to say of a, b and c.
		lines [3]string
		code  int
		says  []string // in what is printed, the error included
		kill  bool     // QEMU is killed from outside
	}{
		"panics at boot": {
			guests: []script{{nil, dies("[    0.1] Kernel panic - not syncing: no reason\r\n")}},
			lines:  [3]string{"FAILED: not run", "FAILED: not run", "FAILED: not run"},
			code:   exit.BootFailed, says: []string{"kernel panic: Kernel panic - not syncing: no reason", "to repeat it: qemu-system-x86_64 "},
		},
		"hangs at boot": {
			guests: []script{{nil, []bareguest.Code{bareguest.Say(bareguest.Serial, "booting\r\n"), bareguest.Halt}}},
			lines:  [3]string{"FAILED: not run", "FAILED: not run", "FAILED: not run"},
			code:   exit.BootFailed, says: []string{"hang: neither console nor records went on for 5s", "to repeat it: "},
		},
		"oopses in the middle of a test": {
			guests: []script{{midB, dies(started + oopsed)}, goodGuest("c")},
			lines:  [3]string{"pass", "FAILED: regressed", "pass"},
			code:   exit.CheckFailed, says: []string{"crash: kernel oops: BUG: kernel NULL pointer dereference, address: 0000000000000010 in kvm_get_vcpu",
				"to run it again: bin/vcpulab selftest --only b", "to start the guest again: qemu-system-x86_64 "},
		},
		"resets silently": {
			guests: []script{{midB, []bareguest.Code{bareguest.Reset}}, goodGuest("c")},
			lines:  [3]string{"pass", "FAILED: regressed", "pass"},
			code:   exit.CheckFailed, says: []string{"crash: silent reset: "},
		},
		"its init dies": {
			guests: []script{{midB, dies(started + initDied)}, goodGuest("c")},
			lines:  [3]string{"pass", "FAILED: regressed", "pass"},
			code:   exit.CheckFailed, says: []string{"crash: init died: ", "exitcode=0x00000100"},
		},
		"its init dies at boot": {
			guests: []script{{nil, dies(initDied)}},
			lines:  [3]string{"FAILED: not run", "FAILED: not run", "FAILED: not run"},
			code:   exit.BootFailed, says: []string{"init died: ", "exitcode=0x00000100"},
		},
		"output cut in the middle of a line": {
			guests: []script{{midB, []bareguest.Code{bareguest.Record(`{"seq":5,"kind":"test","test":{"name":"b","outco`), bareguest.Reset}}, goodGuest("c")},
			lines:  [3]string{"pass", "FAILED: regressed", "pass"},
			code:   exit.CheckFailed, says: []string{"crash: output cut: "},
		},
		"resets after the last test, before its closing line": {
			guests: []script{{passing("a", "b", "c"), []bareguest.Code{bareguest.Reset}}},
			lines:  [3]string{"pass", "pass", "FAILED: regressed"},
			code:   exit.CheckFailed, says: []string{"crash: silent reset: ", "after the test had ended (pass)"},
		},
		"stops after the last test, before its closing line": {
			guests: []script{{passing("a", "b", "c"), []bareguest.Code{bareguest.Halt}}},
			lines:  [3]string{"pass", "pass", "FAILED: regressed"},
			code:   exit.CheckFailed, says: []string{"crash: hang: ", "after the test had ended (pass)"},
		},
		"ends well without a test": {
			guests: []script{goodGuest("a", "b")},
			lines:  [3]string{"pass", "pass", "FAILED: not run"},
			code:   exit.CheckFailed, says: []string{"the guest ended well and gave no result of c"},
		},
		"has an unexpected result": {
			guests: []script{goodGuest("a", "b", "c", "d")},
			lines:  [3]string{"pass", "pass", "pass"},
			code:   exit.CheckFailed, says: []string{`the guest starts "d", which it was not to do now`, "THE RUN DID NOT COME TO ITS END"},
		},
		"has a result of a test that did not run": {
			guests: []script{{[]wire.Record{hello, passes("a"), end}, []bareguest.Code{bareguest.Reset}}},
			lines:  [3]string{"FAILED: not run", "FAILED: not run", "FAILED: not run"},
			code:   exit.CheckFailed, says: []string{`the guest has a result of "a" while "" runs`},
		},
		"QEMU killed": {
			guests: []script{{midB, []bareguest.Code{bareguest.Spin}}},
			kill:   true,
			// What had ended until then depends on when the signal comes.
			lines: [3]string{"", "FAILED: not run", "FAILED: not run"},
			code:  exit.BootFailed, says: []string{"QEMU was ended by SIGKILL", "to repeat it: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newBrokenHarness(t, shared)
			if tt.kill {
				h.killed(t)
			}
			h.play(t, tt.guests)
			text, err := h.run(t)
			if code := exit.Code(err); code != tt.code {
				t.Errorf("expected exit code %d, found %d: %v", tt.code, code, err)
			}
			all := fmt.Sprintf("%s%v", text, err)
			for _, want := range tt.says {
				if !strings.Contains(all, want) {
					t.Errorf("expected %q, found\n%s", want, all)
				}
			}
			for i, want := range tt.lines {
				line := tableLine(text, string(rune('a'+i)))
				if !strings.Contains(line, want) || want == "pass" && strings.Contains(line, "FAILED") || want == "" && line == "" {
					t.Errorf("expected %q of %c, found %q", want, 'a'+i, line)
				}
			}
			if strings.Contains(text, "3 passed, 0 failed") && !strings.Contains(text, "DID NOT COME TO ITS END") {
				t.Errorf("it passed:\n%s", text)
			}
			h.checkResults(t)
		})
	}
}

// TestBrokenBase: without a base kernel that runs there is nothing to compare.
func TestBrokenBase(t *testing.T) {
	h := newBrokenHarness(t, brokenCache(t))
	h.guests = []script{goodGuest("a", "b", "c")}
	h.write(t, h.base, script{nil, dies("[    0.1] Kernel panic - not syncing: no reason\r\n")})
	text, err := h.run(t)
	if exit.Code(err) != exit.BootFailed || text != "" || !strings.Contains(err.Error(), "selftests on base: boot x86_64: kernel panic") {
		t.Errorf("expected exit code %d and nothing printed, found %v and\n%s", exit.BootFailed, err, text)
	}
}

// TestGoodKernels holds the harness of TestBrokenKernels to what is true of
// kernels that are not broken.
func TestGoodKernels(t *testing.T) {
	h := newBrokenHarness(t, brokenCache(t))
	h.play(t, []script{goodGuest("a", "b", "c")})
	text, err := h.run(t)
	if err != nil || !strings.HasSuffix(text, "\n3 passed, 0 failed\n") {
		t.Errorf("expected three tests to pass, found %v and\n%s", err, text)
	}
	// The times are remembered for the next run.
	if h := selftest.LoadHistory(h.lab.cache, "x86_64-tcg-default"); len(h) != 3 || !h["c"].Ended {
		t.Errorf("expected the times of three tests, found %v", h)
	}
}

// envFull makes the test binary the one that TestFullDisk runs.
const envFull = "VCPULAB_TEST_FULL_DISK"

// TestFullDisk: the directory for logs and results is on a disk that is full. The
// disk is a tmpfs of some pages in a mount namespace of a process's own: it is
// gone with the process, however that ends.
func TestFullDisk(t *testing.T) {
	needTiny(t)
	// How much fits in: a page a file, nothing for a directory.
	for name, options := range map[string]string{
		"at the first directory": "nr_inodes=1",
		"at a test's log":        "size=4k",
		"at the results":         "size=24k",
		"at the other results":   "size=28k",
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskChild$", "-test.v")
			cmd.Env = append(os.Environ(), envFull+"="+options, "VCPULAB_TEST_FULL_DIR="+t.TempDir())
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
			if os.Getuid() != 0 {
				cmd.SysProcAttr.Unshareflags |= unix.CLONE_NEWUSER
				cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
				cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
			}
			out, err := cmd.CombinedOutput()
			if cmd.Process == nil {
				t.Skipf("NOT TESTED: this user may make no mount namespace: %v", err)
			}
			if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFullDiskChild")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestFullDiskChild is TestFullDisk in a mount namespace of its own.
func TestFullDiskChild(t *testing.T) {
	options := os.Getenv(envFull)
	if options == "" {
		t.Skip("a part of TestFullDisk, which starts it in a process of its own")
	}
	h := newBrokenHarness(t, brokenCache(t))
	h.out = os.Getenv("VCPULAB_TEST_FULL_DIR")
	if err := unix.Mount("full", h.out, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	h.play(t, []script{goodGuest("a", "b", "c")})
	text, err := h.run(t)
	if exit.Code(err) != exit.MachineLacks || !strings.Contains(fmt.Sprint(err), "no space left on device; free some space, or ") {
		t.Errorf("expected exit code %d and what to do, found %v and\n%s", exit.MachineLacks, err, text)
	}
	for _, name := range selftest.Files {
		if data, err := os.ReadFile(filepath.Join(h.out, name)); err == nil && !bytes.HasSuffix(data, []byte("}\n")) && !bytes.HasSuffix(data, []byte(">\n")) {
			t.Errorf("%s is there in part", name)
		}
	}
}

// brokenHarness is the command with kernels made of some bytes.
type brokenHarness struct {
	lab           *lab
	stdout        bytes.Buffer
	base, patched string // the kernels' files
	out           string
	qemu          string
	guests        []script
}

// needTiny skips a test where there is no QEMU for tiny kernels.
func needTiny(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(arch.X86_64().QEMU.Program); err != nil {
		t.Skipf(`NOT TESTED: no QEMU: "vcpulab install boot" installs it`)
	}
}

// brokenCache is a cache of these tests' own: the times that they leave in it
// belong to no other test. Several share it, so that the guest program, which such
// kernels do not run, is built once.
func brokenCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newBrokenHarness(t *testing.T, c *cache.Cache) *brokenHarness {
	t.Helper()
	needTiny(t)
	dir := t.TempDir()
	h := &brokenHarness{base: filepath.Join(dir, "base"), patched: filepath.Join(dir, "patched"), out: filepath.Join(dir, "out"), qemu: arch.X86_64().QEMU.Program}
	h.lab = &lab{globals: globals{Quiet: true}, cache: c, stdout: &h.stdout, stderr: os.Stderr}
	h.write(t, h.base, goodGuest("a", "b", "c"))
	return h
}

// write makes a kernel of a script.
func (h *brokenHarness) write(t *testing.T, file string, s script) {
	t.Helper()
	text, err := bareguest.Records(s.records...)
	if err != nil {
		t.Fatal(err)
	}
	if err := bareguest.Write(file, append([]bareguest.Code{bareguest.Record(text)}, s.then...)...); err != nil {
		t.Fatal(err)
	}
}

// play has the patched kernel be the guests, one after the other.
func (h *brokenHarness) play(t *testing.T, guests []script) {
	t.Helper()
	h.guests = guests
	h.write(t, h.patched, guests[0])
}

// killed puts a program in QEMU's place that tells its number and becomes
// QEMU; that process is then killed.
func (h *brokenHarness) killed(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	fifo, wrapper := filepath.Join(dir, "fifo"), filepath.Join(dir, "qemu-system-x86_64")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *%s*) echo $$ >%s;; esac\nexec %s \"$@\"\n", h.patched, fifo, h.qemu)
	if err := os.WriteFile(wrapper, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	h.qemu = wrapper
	done := make(chan struct{})
	go func() {
		defer close(done)
		data, err := os.ReadFile(fifo)
		var pid int
		if _, scanErr := fmt.Sscan(string(data), &pid); err != nil || scanErr != nil {
			t.Errorf("QEMU's number: %q, %v", data, err)
			return
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Errorf("kill QEMU: %v", err)
		}
	}()
	t.Cleanup(func() { <-done })
}

// run does what the command does once kernels and tests are built. It returns
// what is printed.
func (h *brokenHarness) run(t *testing.T) (string, error) {
	t.Helper()
	guestArch := bareguest.Arch()
	guestArch.QEMU.Program = h.qemu
	var tests []selftest.Test
	for _, name := range []string{"a", "b", "c"} {
		// Any file will do: these kernels run no programs.
		tests = append(tests, selftest.Test{Name: name, Path: h.base})
	}
	subjects := []selftest.Kernel{
		{Name: variant.Base, Arch: guestArch, Image: h.base, Tests: tests},
		{Name: variant.Patched, Arch: guestArch, Image: h.patched, Tests: tests},
	}
	next := 1
	opts := selftest.Options{Accel: vm.TCG, Parallel: 1, MemMiB: 32, Silence: 5 * time.Second, OnResult: func(r selftest.Result) {
		// A guest has ended: the next one is another.
		if r.Outcome == selftest.Crash && next < len(h.guests) {
			h.write(t, h.patched, h.guests[next])
			next++
		}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), brokenLimit)
	defer cancel()
	c := selftestCmd{kernelFlags: kernelFlags{Config: "default"}}
	_, err := c.compare(ctx, h.lab, selftestPlan{arch: guestArch}, subjects, opts, h.out)
	if ctx.Err() != nil {
		t.Fatalf("it hung: %v", err)
	}
	return h.stdout.String(), err
}

// tableLine is the line of the table with a test.
func tableLine(text, name string) string {
	lines := strings.Split(text, "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+" ") })
	if i < 0 {
		return ""
	}
	return lines[i]
}

// checkResults looks at the files for programs: they are there and do not say
// that all is good.
func (h *brokenHarness) checkResults(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.out, "selftests.xml"))
	if err != nil || strings.Contains(string(data), `failures="0" errors="0"`) {
		t.Errorf("JUnit: %v\n%s", err, data)
	}
	if _, err := os.Stat(filepath.Join(h.out, "selftests.json")); err != nil {
		t.Error(err)
	}
}
