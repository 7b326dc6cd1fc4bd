// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// TestRunningRefuses: a machine that stays up runs only jobs that measure.
func TestRunningRefuses(t *testing.T) {
	for name, job := range map[string]string{
		"empty":   "",
		"no job":  "{}",
		"exec":    `{"exec":{"programs":[]}}`,
		"mounts":  `{"measure":{},"mounts":["tmpfs"]}`,
		"modules": `{"measure":{},"modules":[{"path":"/nope.ko"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := doRunning(strings.NewReader(job), &out); err == nil || out.Len() > 0 {
				t.Errorf("expected an error and no record, found %v and %q", err, out.String())
			}
		})
	}
}

// TestRunningSends: a job that fails, as there is no module here, sends records from
// hello to end.
func TestRunningSends(t *testing.T) {
	var out bytes.Buffer
	if err := doRunning(strings.NewReader(`{"measure":{}}`), &out); err != nil {
		t.Fatal(err)
	}
	n := 0
	dec := wire.NewDecoder(&out)
	for {
		r, err := dec.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		if r.End != nil && r.End.Message == "" {
			t.Error("expected the job to fail")
		}
	}
	if n != 2 {
		t.Errorf("expected hello and end, found %d records", n)
	}
}
