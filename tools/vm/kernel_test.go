// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
)

// envKernel names a kernel for x86_64 that these tests boot, envFaulty a module for it
// that breaks it, made of testdata/faulty.
const (
	envKernel = "VCPULAB_TEST_KERNEL"
	envFaulty = "VCPULAB_TEST_FAULTY"
)

// realMachine returns a machine with the kernel that the environment names.
func realMachine(t testing.TB) Machine {
	t.Helper()
	needQEMU(t, arch.X86_64())
	kernel := os.Getenv(envKernel)
	if kernel == "" {
		t.Skipf("SKIPPED FOR LACK OF A KERNEL: set %s to a vmlinux or bzImage, or run \"make test\", which does", envKernel)
	}
	return Machine{Arch: arch.X86_64(), Kernel: kernel}
}

// testCache is a cache that lasts for one run of the tests' package, so that
// the guest program is built once.
func testCache(t testing.TB) *cache.Cache {
	t.Helper()
	dir := os.Getenv(cache.EnvDir)
	if dir == "" {
		dir = t.TempDir()
	}
	c, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// keeping are patient options that keep what repeats the run.
func keeping(t testing.TB) Options {
	o := patient()
	o.KeepDir = filepath.Join(t.TempDir(), "kept")
	return o
}

func TestKernelBoots(t *testing.T) {
	m, c := realMachine(t), testCache(t)
	for name, edit := range map[string]func(*Machine){
		"one CPU":               func(*Machine) {},
		"two CPUs":              func(m *Machine) { m.CPUs = 2 },
		"counting instructions": func(m *Machine) { m.ICount = true },
	} {
		t.Run(name, func(t *testing.T) {
			m := m
			edit(&m)
			res, err := Boot(t.Context(), c, m, Guest{}, keeping(t))
			if err != nil {
				t.Fatal(err)
			}
			online := "0"
			if m.CPUs == 2 {
				online = "0-1"
			}
			if h := res.Hello; h.Machine != "x86_64" || h.OnlineCPUs != online || h.Kernel == "" || len(h.BootID) != 36 {
				t.Errorf("incomplete hello: %+v", h)
			}
			t.Logf("hello %v, end %v, gone %v", res.Timing.Hello, res.Timing.End, res.Timing.Gone)
		})
	}
}

func TestKernelRunsPrograms(t *testing.T) {
	m, c := realMachine(t), testCache(t)
	job := wire.Job{HeartbeatMillis: 50, Exec: &wire.Exec{Programs: []wire.Program{
		{Name: "good", Path: "/tests/exit0"},
		{Name: "bad", Path: "/tests/exit7"},
		{Name: "stuck", Path: "/tests/pause", Timeout: 200 * time.Millisecond},
		{Name: "crash", Path: "/tests/crash"},
	}}}
	g := Guest{Job: job, Files: []File{
		{Path: "tests/exit0", Mode: 0o755, Data: elfProgram(exitWith(0))},
		{Path: "tests/exit7", Mode: 0o755, Data: elfProgram(exitWith(7))},
		{Path: "tests/pause", Mode: 0o755, Data: elfProgram(pause)},
		{Path: "tests/crash", Mode: 0o755, Data: elfProgram([]byte{0x0f, 0x0b})},
	}}
	g.Job.Mounts = []string{"tmpfs", "debugfs", "tracefs", "bpf", "cgroup2"}
	var got []string
	o := keeping(t)
	o.OnRecord = func(rec wire.Record) error {
		if r := rec.Test; r != nil {
			got = append(got, fmt.Sprintf("%s %s %d%s", r.Name, r.Outcome, r.Code, r.Signal))
		}
		return nil
	}
	if _, err := Boot(t.Context(), c, m, g, o); err != nil {
		t.Fatal(err)
	}
	const want = "good exit 0, bad exit 7, stuck timeout 0, crash signal 0SIGILL"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("expected %s, found %s", want, s)
	}
}

// TestKernelFaults breaks a real guest in each way that needs no module.
func TestKernelFaults(t *testing.T) {
	m, c := realMachine(t), testCache(t)
	own := func(code []byte) func(t *testing.T) (*Result, error) {
		return func(t *testing.T) (*Result, error) {
			m := m
			var err error
			var initramfs bytes.Buffer
			if err := WriteInitramfs(&initramfs, []File{{Path: "init", Mode: 0o755, Data: elfProgram(code)}}); err != nil {
				t.Fatal(err)
			}
			m.initramfs, err = memoryFile(initramfsName, initramfs.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			defer m.initramfs.Close()
			o := keeping(t)
			if strings.Contains(t.Name(), "init_s") { // it sleeps or spins
				o.Silence = 5 * time.Second
			}
			return Run(t.Context(), m, o)
		}
	}
	with := func(g Guest, edit func(*Machine)) func(t *testing.T) (*Result, error) {
		return func(t *testing.T) (*Result, error) {
			m := m
			if edit != nil {
				edit(&m)
			}
			return Boot(t.Context(), c, m, g, keeping(t))
		}
	}
	for name, tt := range map[string]struct {
		run   func(t *testing.T) (*Result, error)
		kind  FaultKind
		title string
	}{
		"missing init": {with(Guest{}, func(m *Machine) { m.Append = []string{"rdinit=/nope"} }), NoInit, "No working init found"},
		"no initramfs": {func(t *testing.T) (*Result, error) { return Run(t.Context(), m, keeping(t)) }, NoInit, "No working init found"},
		"init exits":   {own(exitWith(3)), InitDied, "exitcode=0x00000300"},
		"init crashes": {own([]byte{0x0f, 0x0b}), InitDied, "exitcode=0x00000004"},
		"init sleeps":  {own(pause), Hang, "its processors are at 0x"},
		"init spins":   {own([]byte{0xeb, 0xfe}), Hang, "its processors are at 0x"},
		"wrong job":    {with(Guest{Job: wire.Job{Mounts: []string{"ext9"}}}, nil), JobFailed, "ext9"},
	} {
		t.Run(name, func(t *testing.T) {
			checkFault(t, tt.run, tt.kind, tt.title)
		})
	}
}

func checkFault(t *testing.T, run func(t *testing.T) (*Result, error), kind FaultKind, title string) {
	t.Helper()
	start := time.Now()
	_, err := run(t)
	fault, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("expected a fault, found %v", err)
	}
	if fault.Kind != kind || !strings.Contains(fault.Title, title) {
		t.Errorf("expected %s with %q, found:\n%v", kind, title, err)
	}
	t.Logf("after %v: %s: %s", time.Since(start).Round(time.Millisecond), fault.Kind, fault.Title)
}

// TestModuleFaults has a module break the kernel from the inside.
func TestModuleFaults(t *testing.T) {
	m, c := realMachine(t), testCache(t)
	module := os.Getenv(envFaulty)
	if module == "" {
		t.Skipf("SKIPPED FOR LACK OF A MODULE: set %s to what testdata/faulty becomes with the kernel of %s, or run \"make test\", which does", envFaulty, envKernel)
	}
	for fault, want := range map[string]struct {
		kind  FaultKind
		title string
	}{
		"null":   {KernelOops, "NULL pointer dereference, address: 0000000000000000 in faulty_null"},
		"bug":    {KernelOops, "kernel BUG at "},
		"gp":     {KernelOops, "general protection fault"},
		"warn":   {KernelWarning, "faulty_warn"},
		"atomic": {KernelWarning, "scheduling while atomic"},
		"panic":  {KernelPanic, "a panic that was asked for"},
		"hang":   {Hang, "its processors are at 0x"},
		"reset":  {SilentReset, "guest-reset"},
	} {
		t.Run(fault, func(t *testing.T) {
			g := Guest{}
			g.Modules = []Module{{Host: module, Args: "fault=" + fault}}
			o := keeping(t)
			if fault == "hang" {
				o.Silence = 5 * time.Second
			}
			checkFault(t, func(t *testing.T) (*Result, error) { return Boot(t.Context(), c, m, g, o) }, want.kind, want.title)
			if *update && fault != "hang" && fault != "reset" {
				keepConsole(t, filepath.Join(o.KeepDir, "console.log"), "oops-"+fault)
			}
		})
	}
}

// keepConsole makes a console the input of a golden test.
func keepConsole(t *testing.T, from, name string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", "console", name+".log"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestKVMIsProved compares the choice with what happens: when KVM was chosen, a
// guest boots with it.
func TestKVMIsProved(t *testing.T) {
	m, c := realMachine(t), testCache(t)
	p := Probe{Arch: m.Arch, Kernel: m.Kernel, KernelID: cache.Key("test", m.Kernel, time.Now().String())}
	start := time.Now()
	v, err := ChooseAccel(t.Context(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s after %v: %s", v.Accel, time.Since(start).Round(time.Millisecond), v.Reason)
	if v.Reason == "" || v.Cached {
		t.Errorf("expected a reason found now, found %+v", v)
	}
	again, err := ChooseAccel(t.Context(), c, p)
	if err != nil || again.Accel != v.Accel || again.Reason != v.Reason {
		t.Errorf("expected %+v again, found %+v and %v", v, again, err)
	}
	if tried := strings.Contains(v.Reason, "boot"); again.Cached != tried {
		t.Errorf("expected the choice to be cached when KVM was tried, found %+v", again)
	}
	if v.Accel == KVM {
		m.Accel = KVM
		if _, err := Boot(t.Context(), c, m, Guest{}, keeping(t)); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkBoot is from QEMU's start to the result read back and QEMU gone.
func BenchmarkBoot(b *testing.B) {
	m, c := realMachine(b), testCache(b)
	for name, icount := range map[string]bool{"tcg": false, "icount": true} {
		b.Run(name, func(b *testing.B) {
			m := m
			m.ICount = icount
			for b.Loop() {
				if _, err := Boot(b.Context(), c, m, Guest{}, keeping(b)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A program of a few instructions, as a static ELF file for x86_64.

// exitWith is exit(status).
func exitWith(status byte) []byte {
	return []byte{0xb8, 60, 0, 0, 0, 0xbf, status, 0, 0, 0, 0x0f, 0x05}
}

// pause sleeps until a signal comes, again and again.
var pause = []byte{0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}

func elfProgram(code []byte) []byte {
	const base, header = 0x400000, 64 + 56
	size := uint64(header + len(code))
	out := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	out = binary.LittleEndian.AppendUint16(out, 2)
	out = binary.LittleEndian.AppendUint16(out, 62)
	out = binary.LittleEndian.AppendUint32(out, 1)
	for _, v := range []uint64{base + header, 64, 0} {
		out = binary.LittleEndian.AppendUint64(out, v)
	}
	out = binary.LittleEndian.AppendUint32(out, 0)
	for _, v := range []uint16{64, 56, 1, 64, 0, 0} {
		out = binary.LittleEndian.AppendUint16(out, v)
	}
	out = binary.LittleEndian.AppendUint32(out, 1) // PT_LOAD
	out = binary.LittleEndian.AppendUint32(out, 5) // readable, executable
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		out = binary.LittleEndian.AppendUint64(out, v)
	}
	return append(out, code...)
}
