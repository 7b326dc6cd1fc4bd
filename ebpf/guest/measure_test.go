// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBlockPreemption: a thread that measures is not interrupted by Go's runtime. What
// is sent to it stays pending.
func TestBlockPreemption(t *testing.T) {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with its mask.
		runtime.LockOSThread()
		err := blockPreemption()
		if err == nil {
			err = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGURG)
		}
		status, readErr := os.ReadFile("/proc/thread-self/status")
		if err == nil {
			err = readErr
		}
		if !bytes.Contains(status, []byte("SigPnd:\t0000000000400000\n")) {
			t.Errorf("expected SIGURG to be pending, found\n%s", status)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
