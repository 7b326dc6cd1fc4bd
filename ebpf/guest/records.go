// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

// guest sends records to the host. Its methods may be called by several
// goroutines.
type guest struct{ enc *wire.Encoder }

// sample sends v, in JSON, as a sample of the named type.
func (g *guest) sample(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("sample %s: %w", name, err)
	}
	return g.enc.Send(wire.Record{Kind: wire.KindSample, Sample: &wire.Sample{Type: name, Data: data}})
}

// logf sends a line for people. An error is no reason to stop: the numbers of the
// records show it.
func (g *guest) logf(format string, args ...any) {
	_ = g.enc.Send(wire.Record{Kind: wire.KindLog, Log: &wire.Log{Text: fmt.Sprintf(format, args...)}})
}

// fail sends err as an Error record.
func (g *guest) fail(err error) {
	_ = g.enc.Send(wire.Record{Kind: wire.KindError, Error: &wire.Error{Code: wire.CodeOf(err), Message: err.Error()}})
}

// beat sends a heartbeat every millis until the function that it returns is
// called; 0 sends none.
func (g *guest) beat(millis int64) (stop func()) {
	if millis <= 0 {
		return func() {}
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		t := time.NewTicker(time.Duration(millis) * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				_ = g.enc.Send(wire.Record{Kind: wire.KindBeat})
			}
		}
	}()
	return func() { close(done); <-gone }
}

// hello describes the guest. What cannot be read is left empty: the host
// decides whether it can do without.
func hello(job wire.Job) wire.Record {
	h := &wire.Hello{
		Version:     wire.Version,
		Job:         job.Kind,
		Cmdline:     readLine("/proc/cmdline"),
		BootID:      readLine("/proc/sys/kernel/random/boot_id"),
		Clocksource: clockSource(),
		OnlineCPUs:  readLine("/sys/devices/system/cpu/online"),
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		h.Kernel = unix.ByteSliceToString(uts.Release[:])
		h.Build = unix.ByteSliceToString(uts.Version[:])
		h.Machine = unix.ByteSliceToString(uts.Machine[:])
	}
	if f := strings.Fields(readLine("/proc/meminfo")); len(f) > 1 {
		h.MemTotalKiB, _ = strconv.ParseInt(f[1], 10, 64)
	}
	return wire.Record{Kind: wire.KindHello, Hello: h}
}

// clockSource returns the name of the clock source that the kernel uses.
func clockSource() string {
	return readLine("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}
