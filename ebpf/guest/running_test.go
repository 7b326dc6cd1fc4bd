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
			if code := runAsProcess(strings.NewReader(job), &out); code != 1 || out.Len() > 0 {
				t.Errorf("expected status 1 and no record, found %d and %q", code, out.String())
			}
		})
	}
}

// TestRunningSends: a job that fails sends records from hello to end, and the code
// of its error.
func TestRunningSends(t *testing.T) {
	var out bytes.Buffer
	if code := runAsProcess(strings.NewReader(`{"kind":"measure","params":{"vms":null,"loop_ns":0,"repeat":0,"max_numbers":0}}`), &out); code != 0 {
		t.Fatalf("expected status 0, found %d", code)
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
		if r.Error != nil && r.Error.Code != wire.CodeInvalid {
			t.Errorf("expected the code %q, found %q", wire.CodeInvalid, r.Error.Code)
		}
		if r.End != nil && r.End.Status != wire.StatusFailed {
			t.Errorf("expected the job to fail, found %q", r.End.Status)
		}
	}
	if len(kinds) != 3 || kinds[0] != wire.KindHello || kinds[1] != wire.KindError {
		t.Errorf("expected hello, error and end, found %v", kinds)
	}
}
