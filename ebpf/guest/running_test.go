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
		"exec":    `{"kind":"exec","params":{"programs":[]}}`,
		"mounts":  `{"kind":"measure","mounts":["tmpfs"]}`,
		"modules": `{"kind":"measure","modules":[{"path":"/nope.ko"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := doRunning(strings.NewReader(job), &out); err == nil || out.Len() > 0 {
				t.Errorf("expected an error and no record, found %v and %q", err, out.String())
			}
		})
	}
}

// TestRunningSends: a job that fails sends records from hello to end, and the code
// of its error.
func TestRunningSends(t *testing.T) {
	var out bytes.Buffer
	if err := doRunning(strings.NewReader(`{"kind":"measure","params":{"vms":null,"loop_ns":0,"repeat":0,"max_numbers":0}}`), &out); err != nil {
		t.Fatal(err)
	}
	var kinds []wire.Kind
	dec := wire.NewDecoder(&out)
	for {
		r, err := dec.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, r.Kind)
		if r.Error != nil && r.Error.Code != wire.ErrInvalid {
			t.Errorf("expected the code %q, found %q", wire.ErrInvalid, r.Error.Code)
		}
		if r.End != nil && r.End.Status != wire.StatusFailed {
			t.Errorf("expected the job to fail, found %q", r.End.Status)
		}
	}
	if len(kinds) != 3 || kinds[0] != wire.KindHello || kinds[1] != wire.KindError {
		t.Errorf("expected hello, error and end, found %v", kinds)
	}
}
