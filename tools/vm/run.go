// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vcpulab/ebpf/wire"
)

const (
	// How long QEMU may take to end after it has no more to do.
	settleEnd   = 2 * time.Second // after records that cannot be trusted
	settleFatal = 3 * time.Second // after the kernel printed that it will not go on

	stderrLimit = 16 << 10 // bytes that are kept of what QEMU itself prints
)

// Options say how a machine is run.
type Options struct {
	// Timeout bounds the whole run; 0 is two minutes.
	Timeout time.Duration
	// Silence is how long neither console nor records may go on before the guest counts
	// as hung; 0 is 45 s. Waiting of QEMU's for a busy host does not count, within limits.
	// A job without heartbeats needs as long as its longest step.
	Silence       time.Duration
	AllowWarnings bool // for kernels that may warn and go on
	// OnRecord, unless nil, is called with every record as it arrives. An error ends the run.
	OnRecord func(wire.Record) error
	// Console gets the console as it comes, unless it is nil.
	Console io.Writer
	// Terminal is the other side of the guest's wire.TerminalDevice, and Input has
	// what is told to it, a wire.Input a line. nil is neither. They are read until
	// they end, which may be after the guest.
	Terminal io.ReadWriter
	Input    io.Reader
	// Core is a file that the guest's memory is written to, as an ELF file for gdb and
	// crash, if its kernel panics; "" is none.
	Core string
	// KeepDir is a directory of this run's own for console.log and, by Boot after a fault,
	// the initramfs, so that the run can be repeated by hand; "" keeps nothing.
	KeepDir string
}

// Result is a run that came to its end record.
type Result struct {
	Hello   wire.Hello
	End     wire.End
	Splats  []Splat // warnings only, unless Run returned a Fault as well
	Console string  // the kept part of it
	Command string  // repeats the run, quoted for a shell; "" of a guest that was talked to
	Timing  Timing
}

// Timing is when something happened, since QEMU was started.
type Timing struct {
	Hello time.Duration `json:"hello_ns"` // the first record arrived
	End   time.Duration `json:"end_ns"`   // the last record arrived
	Gone  time.Duration `json:"gone_ns"`  // QEMU was gone
}

// Run starts the machine, collects its records and returns when QEMU is gone, with
// nothing left behind. The error is a *Fault for everything that went wrong in QEMU, the
// kernel or the guest; then the Result, never nil once QEMU ran, holds what arrived but
// proves nothing. It wraps ctx.Err() when ctx ended, OnRecord's error when that failed.
func Run(ctx context.Context, m Machine, o Options) (res *Result, err error) {
	defer func() {
		if _, explained := errors.AsType[*Fault](err); err != nil && !explained {
			err = fmt.Errorf("boot %s: %w", m.Arch.Name, err)
		}
	}()
	m = m.withDefaults()
	if err := cmp.Or(m.check(), ctx.Err()); err != nil {
		return nil, err
	}
	o.Timeout, o.Silence = cmp.Or(o.Timeout, 2*time.Minute), cmp.Or(o.Silence, 45*time.Second)
	if o.KeepDir != "" {
		if err := os.MkdirAll(o.KeepDir, 0o755); err != nil {
			return nil, err
		}
	}
	if o.Core != "" {
		m.Append = append(slices.Clip(m.Append), "panic=0") // it does not reset
	}
	r := &run{
		m:         m,
		evidence:  evidence{options: o, result: &Result{}},
		console:   newConsole(maxConsole, o.Console),
		said:      wire.NewExcerpt(stderrLimit),
		progress:  make(chan struct{}, 1),
		collected: make(chan struct{}),
		drained:   make(chan struct{}),
	}
	if o.Terminal == nil && o.Input == nil {
		r.result.Command = m.Command(filepath.Join(o.KeepDir, "records.jsonl"))
	}
	return r.start(ctx)
}

type run struct {
	m        Machine
	evidence // once it is over; streamErr once drained is closed
	console  *console
	said     *wire.Excerpt // by QEMU itself
	started  time.Time
	progress chan struct{} // holds a token after a sign of life of the guest

	collected chan struct{} // closed after the end record or an error
	drained   chan struct{} // closed when nothing more can come
	recordErr error         // of OnRecord, once collected is closed
	whole     bool          // the end record came, once collected is closed
}

// Write lets the run see the console go by.
func (r *run) Write(p []byte) (int, error) {
	n, err := r.console.Write(p)
	r.alive()
	return n, err
}

func (r *run) alive() {
	select {
	case r.progress <- struct{}{}:
	default:
	}
}

func (r *run) start(ctx context.Context) (*Result, error) {
	r.started = time.Now()
	t, err := r.connect()
	if err != nil {
		return nil, err
	}
	defer t.close()
	p, err := startProcess(r.m, r, r.said)
	if err != nil {
		return nil, err
	}
	t.started()
	defer p.close()
	defer p.Kill()

	go r.read(p.records)
	mon := startMonitor(p.qmp)
	if r.stopped = r.watch(ctx, p); r.stopped == stopHang {
		r.where = mon.describe(r.m.Arch, r.m.Kernel)
	}
	core := ""
	if r.options.Core != "" && r.console.fatal() {
		stop := context.AfterFunc(ctx, p.Kill)
		if err = mon.dump(r.options.Core); err == nil {
			core = r.options.Core
		}
		stop()
	}
	p.Kill()
	<-r.drained
	mon.read("") // QEMU has closed its end

	r.result.Timing.Gone = time.Since(r.started)
	r.console.close()
	r.result.Console, r.result.Splats = r.console.text(), r.console.splats()
	kept := ""
	if r.options.KeepDir != "" {
		kept = filepath.Join(r.options.KeepDir, "console.log")
		if err := os.WriteFile(kept, []byte(r.result.Console), 0o644); err != nil {
			return r.result, err
		}
	}

	if r.stopped == stopContext {
		return r.result, ctx.Err()
	}
	if r.recordErr != nil {
		return r.result, r.recordErr
	}
	r.ended, r.good = p.ended()
	r.shutdown, r.guest, r.stderr = mon.shutdown, r.console.guest, r.said.String()
	fault := r.fault()
	if fault == nil {
		return r.result, nil
	}
	fault.Arch, fault.Console, fault.Core = r.m.Arch.Name, kept, core
	if err != nil {
		return r.result, errors.Join(fault, err)
	}
	return r.result, fault
}

// stopReason is why a run was ended from outside.
type stopReason int

const (
	stopNone    stopReason = iota // QEMU ended by itself
	stopSettled                   // QEMU had no more to do and did not end
	stopHang                      // silence
	stopTimeout                   // the whole run took too long
	stopContext                   // the caller's context ended
)

func (r *run) watch(ctx context.Context, p *process) stopReason {
	timeout := time.NewTimer(r.options.Timeout)
	defer timeout.Stop()
	quiet := newSilence(p.Pid, r.options.Silence)
	defer quiet.timer.Stop()
	var settled <-chan time.Time // set once there is nothing more to wait for
	collected := r.collected
	for {
		select {
		case <-p.Done():
			return stopNone
		case <-ctx.Done():
			return stopContext
		case <-settled:
			return stopSettled
		case <-timeout.C:
			return stopTimeout
		case <-quiet.timer.C:
			if settled == nil && quiet.over() {
				return stopHang
			}
		case <-collected:
			// The end record, after which the guest has to end by itself, a
			// stream that cannot be trusted any more, or an error of OnRecord.
			collected = nil
			if r.recordErr != nil {
				return stopSettled
			}
			if settled == nil && !r.whole {
				settled = time.After(settleEnd)
			}
		case <-r.progress:
			quiet.reset()
			if settled == nil && r.console.fatal() {
				settled = time.After(settleFatal)
			}
		}
	}
}

// read collects records until the end record or the first error, then what
// should not follow, so that QEMU is not kept from ending.
func (r *run) read(f io.Reader) {
	defer close(r.drained)
	dec := wire.NewDecoder(f)
	for ended := false; !ended && r.streamErr == nil && r.recordErr == nil; {
		var rec wire.Record
		if rec, r.streamErr = dec.Next(); r.streamErr == nil {
			r.alive()
			r.recordErr = r.add(rec)
			ended = rec.End != nil
		}
	}
	r.whole = r.streamErr == nil && r.recordErr == nil
	close(r.collected)
	if r.whole {
		if _, err := dec.Next(); !errors.Is(err, io.EOF) {
			r.streamErr = err
		}
	}
	_, _ = io.Copy(io.Discard, f)
}

func (r *run) add(rec wire.Record) error {
	switch {
	case rec.Hello != nil:
		r.result.Timing.Hello = time.Since(r.started)
		r.result.Hello = *rec.Hello
	case rec.End != nil:
		r.result.Timing.End = time.Since(r.started)
		r.result.End = *rec.End
	}
	if r.options.OnRecord == nil {
		return nil
	}
	if err := r.options.OnRecord(rec); err != nil {
		return fmt.Errorf("record %d: %w", rec.Seq, err)
	}
	return nil
}
