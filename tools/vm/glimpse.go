// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vcpulab/ebpf/wire"
	guest "vcpulab/tools/vm/tiny"
)

// Glimpse runs a guest of a few instructions with an accelerator, for want of a
// kernel: it says a few records and resets the machine. It returns why that did not work,
// "" if it did, which does not prove that a kernel boots; see ChooseAccel. It is for
// x86_64. An error is none of the accelerator's.
func Glimpse(ctx context.Context, accel Accel) (why string, err error) {
	return glimpse(ctx, accel, guest.Record)
}

func glimpse(ctx context.Context, accel Accel, say func(string) guest.Code) (string, error) {
	dir, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	text, err := guest.Records(
		wire.Record{Kind: wire.KindHello, Hello: &wire.Hello{Version: wire.Version, Job: wire.JobBoot, Kernel: "none"}},
		wire.Record{Kind: wire.KindEnd, End: &wire.End{Status: wire.StatusOK}},
	)
	if err != nil {
		return "", err
	}
	m := Machine{Arch: X86_64().WithDebugPort(guest.PortRecords), Accel: accel, Kernel: filepath.Join(dir, "tiny.elf"), MemMiB: 32}
	if err := guest.Write(m.Kernel, say(text), guest.Reset); err != nil {
		return "", err
	}
	start := time.Now()
	_, err = Run(ctx, m, Options{Timeout: probeTimeout, Silence: probeSilence})
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fmt.Sprintf("a guest of a few instructions does not run: %s: %s (%v)", fault.Kind, fault.Title, time.Since(start).Round(time.Millisecond)), nil
	}
	return "", err
}
