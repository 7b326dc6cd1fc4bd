// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
)

// patient are options for guests that end by themselves, on a machine that may
// be busy.
func patient() Options { return Options{Silence: 5 * time.Minute, Timeout: 15 * time.Minute} }

// expectHang are options for guests that hang.
func expectHang(_ *Machine, o *Options) { o.Silence = 5 * time.Second }

func TestRunGood(t *testing.T) {
	var records []wire.Record
	var live strings.Builder
	o := patient()
	o.KeepDir = filepath.Join(t.TempDir(), "kept")
	o.OnRecord = func(r wire.Record) error { records = append(records, r); return nil }
	o.Console = &live
	m := machine(t, console1("hello, console\r\n"), record1(speech(t, "")), reset)
	res, err := Run(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 3 || records[0].Hello == nil || records[1].Log != "42" || records[2].End == nil {
		t.Errorf("expected hello, a line and end, found %+v", records)
	}
	if res.Hello.Kernel != "tiny" {
		t.Errorf("the result differs: %+v", res)
	}
	kept, err := os.ReadFile(filepath.Join(o.KeepDir, "console.log"))
	if err != nil || string(kept) != "hello, console\n" || live.String() != "hello, console\r\n" || res.Console != string(kept) {
		t.Errorf("the console differs: kept %q (%v), live %q, result %q", kept, err, live.String(), res.Console)
	}
	if tm := res.Timing; tm.Hello <= 0 || tm.End < tm.Hello || tm.Gone < tm.End {
		t.Errorf("the times are out of order: %+v", tm)
	}
}

// TestRunFaults makes each fault happen that a guest without a kernel can.
func TestRunFaults(t *testing.T) {
	good := speech(t, "")
	for name, tt := range map[string]struct {
		guest []code
		edit  func(*Machine, *Options)
		kind  FaultKind
		title string // a part of it
		text  string // a part of the whole message
		code  int
	}{
		"silent reset": {guest: []code{reset}, kind: SilentReset, title: "guest-reset", text: "console is empty"},
		"reset after hello": {guest: []code{record1(strings.SplitAfter(good, "\n")[0]), reset},
			kind: SilentReset, title: "without an end record"},
		"cut in a line": {guest: []code{record1(good[:len(good)-9]), reset}, kind: CutOutput, title: "after record 2"},
		"line lost": {guest: []code{record1(strings.Join(without(strings.SplitAfter(good, "\n"), 1), "")), reset},
			kind: LostRecords, title: "expected record 2, found 3"},
		"garbage":            {guest: []code{record1("Illegal instruction\n"), halt}, kind: LostRecords, title: "Illegal instruction"},
		"more after the end": {guest: []code{record1(good + "{}\n"), reset}, kind: LostRecords, title: "follows the end"},
		"hang halted":        {guest: []code{console1("booting\r\n"), halt}, edit: expectHang, kind: Hang, title: "its processors are at 0x", text: "\n    booting"},
		"hang without timer": {guest: []code{halt}, edit: expectHang, kind: Hang, title: "; processor 0: Timer DCR=0x0 (divide by 2) initial_count = 0 current_count = 0, ISR (none), IRR (none)"},
		"hang spinning":      {guest: []code{spin}, edit: expectHang, kind: Hang, title: "QEMU's status is running"},
		"endless console": {guest: []code{babble}, edit: func(_ *Machine, o *Options) { o.Timeout = 1500 * time.Millisecond },
			kind: Deadline, title: "1.5s", code: exit.TimedOut},
		"panic": {guest: []code{console1("[    0.1] Kernel panic - not syncing: no reason\r\n"), reset},
			kind: KernelPanic, title: "no reason"},
		"panic that does not reset": {guest: []code{console1("Kernel panic - not syncing: stuck\r\n"), halt}, kind: KernelPanic, title: "stuck"},
		"panic after the end":       {guest: []code{record1(good), console1("Kernel panic - not syncing: late\r\n"), reset}, kind: KernelPanic},
		"hang after the end":        {guest: []code{record1(good), halt}, edit: expectHang, kind: Hang, title: "after the end record: the guest did not power off"},
		"oops": {guest: []code{console1("BUG: kernel NULL pointer dereference\r\nRIP: 0010:faulty+0x1/0x2\r\n"), halt},
			kind: KernelOops, title: " in faulty"},
		"warning": {guest: []code{console1("WARNING: a.c:1 at f+0x1/0x2, CPU#0: init/1\r\n"), record1(good), reset}, kind: KernelWarning},
		"no init": {guest: []code{console1("Kernel panic - not syncing: No working init found.\r\n"), reset}, kind: NoInit},
		"init died": {guest: []code{console1("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n"), reset},
			kind: InitDied, title: "exitcode=0x00000100"},
		"guest program gave up": {guest: []code{console1(wire.FatalPrefix + "no port\r\n"), reset}, kind: GuestFailed, title: "no port"},
		"job failed":            {guest: []code{record1(speech(t, "no such device")), reset}, kind: JobFailed, title: "no such device", code: exit.CheckFailed},
		"no such processor": {guest: []code{halt}, edit: func(m *Machine, _ *Options) { m.Arch.QEMU.TCG.CPU = "nonsense" },
			kind: QEMUFailed, title: "status 1", text: "unable to find CPU model 'nonsense'"},
		"no kernel": {guest: []code{halt}, edit: func(m *Machine, _ *Options) { m.Kernel += ".gone" }, kind: QEMUFailed, text: "could not open kernel file"},
		"no initramfs": {guest: []code{halt}, edit: func(m *Machine, _ *Options) { m.Initrd = "/nope" },
			kind: QEMUFailed, text: "error reading initrd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, o := machine(t, tt.guest...), patient()
			if tt.edit != nil {
				tt.edit(&m, &o)
			}
			res, err := Run(t.Context(), m, o)
			fault, ok := errors.AsType[*Fault](err)
			if !ok {
				t.Fatalf("expected a fault, found %v and %+v", err, res)
			}
			if fault.Kind != tt.kind || !strings.Contains(fault.Title, tt.title) {
				t.Errorf("expected %s with %q, found %s: %s", tt.kind, tt.title, fault.Kind, fault.Title)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("expected a message with %q, found:\n%s", tt.text, err)
			}
			want := tt.code
			if want == 0 {
				want = exit.BootFailed
			}
			if got := exit.Code(err); got != want {
				t.Errorf("expected exit code %d, found %d", want, got)
			}
			if fault.Infrastructure() != (tt.kind == QEMUFailed) {
				t.Errorf("infrastructure: found %v", fault.Infrastructure())
			}
			if !strings.Contains(fault.Command, m.Kernel) || !strings.Contains(err.Error(), fault.Command) {
				t.Errorf("the message does not show how to repeat the run:\n%s", err)
			}
		})
	}
}

func without[T any](s []T, i int) []T { return append(append([]T(nil), s[:i]...), s[i+1:]...) }

func TestAllowWarnings(t *testing.T) {
	o := patient()
	o.AllowWarnings = true
	m := machine(t, console1("WARNING: a.c:1 at f+0x1/0x2, CPU#0: init/1\r\n"), record1(speech(t, "")), reset)
	res, err := Run(t.Context(), m, o)
	if err != nil || len(res.Splats) != 1 {
		t.Errorf("expected one splat and no error, found %+v and %v", res.Splats, err)
	}
}

func TestOnRecordEndsRun(t *testing.T) {
	enough := errors.New("enough")
	o := patient()
	o.OnRecord = func(wire.Record) error { return enough }
	if _, err := Run(t.Context(), machine(t, record1(speech(t, "")), halt), o); !errors.Is(err, enough) {
		t.Errorf("expected %v, found %v", enough, err)
	}
}

// firstWrite closes a channel when something arrives.
type firstWrite struct {
	once sync.Once
	c    chan struct{}
}

func (f *firstWrite) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.c) })
	return len(p), nil
}

// TestCancel ends the context of a guest that runs.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := &firstWrite{c: make(chan struct{})}
	o := patient()
	o.Console = running
	go func() { <-running.c; cancel() }()
	_, err := Run(ctx, machine(t, console1("x"), spin), o)
	if !errors.Is(err, context.Canceled) || exit.Code(err) != exit.Interrupted {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
	if _, err := Run(ctx, machine(t, spin), o); !errors.Is(err, context.Canceled) {
		t.Errorf("a run with a dead context: %v", err)
	}
}

// TestParallel runs several guests of one Machine at once.
func TestParallel(t *testing.T) {
	m := machine(t, record1(speech(t, "")), reset)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if res, err := Run(t.Context(), m, patient()); err != nil || res.Hello.Kernel != "tiny" {
				t.Errorf("found %+v and %v", res, err)
			}
		})
	}
	wg.Wait()
}

// TestKilledFromOutside kills QEMU as when memory runs out.
func TestKilledFromOutside(t *testing.T) {
	running := &firstWrite{c: make(chan struct{})}
	m := machine(t, console1("x"), spin)
	p, err := startProcess(m.withDefaults(), running, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	<-running.c
	p.Kill()
	how, good := p.ended()
	if good || !strings.Contains(how, "SIGKILL") {
		t.Errorf("expected an end by SIGKILL, found %q (good: %v)", how, good)
	}
	kind, _, _ := evidence{stopped: stopNone, ended: how, good: good, streamErr: wire.ErrNoEnd, result: &Result{}}.classify()
	if kind != QEMUFailed {
		t.Errorf("expected %s, found %s", QEMUFailed, kind)
	}
}

func TestBadMachine(t *testing.T) {
	x86 := arch.X86_64()
	for name, m := range map[string]Machine{
		"no architecture":   {Kernel: "k"},
		"no kernel":         {Arch: x86},
		"no accelerator":    {Arch: x86, Kernel: "k", Accel: "xen"},
		"counting with KVM": {Arch: x86, Kernel: "k", Accel: KVM, ICount: true},
		"counting with two": {Arch: x86, Kernel: "k", CPUs: 2, ICount: true},
		"negative":          {Arch: x86, Kernel: "k", CPUs: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(t.Context(), m, Options{}); err == nil {
				t.Error("it was started")
			}
		})
	}
	lacking := x86
	lacking.QEMU.Program = "qemu-system-nope"
	_, err := Run(t.Context(), Machine{Arch: lacking, Kernel: "k"}, Options{})
	if exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), x86.QEMU.Package) {
		t.Errorf("expected the package that lacks, found %v", err)
	}
}
