// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcpulab/ebpf/wire"
)

func TestRunProgram(t *testing.T) {
	sh := func(script string) wire.Program {
		return wire.Program{Name: "test", Path: "/bin/sh", Args: []string{"-c", script}, MaxOutput: 1 << 10}
	}
	limited := sh("echo begin; sleep 60 & sleep 60")
	limited.Timeout = 200 * time.Millisecond
	killed := limited
	killed.Timeout, killed.Kill = time.Minute, 200*time.Millisecond
	early := killed
	early.Timeout, early.Kill = 200*time.Millisecond, time.Minute
	long := sh("printf first; head -c 100000 /dev/zero; printf last")
	long.MaxOutput = 10
	env := sh("echo $A")
	env.Env = []string{"A=from the job"}
	for name, tt := range map[string]struct {
		program wire.Program
		want    wire.Test
		message string
	}{
		"good":     {program: sh("echo out; echo err >&2"), want: wire.Test{Outcome: wire.OutcomeExit, Output: "out\nerr\n"}},
		"status":   {program: sh("exit 4"), want: wire.Test{Outcome: wire.OutcomeExit, Code: 4}},
		"signal":   {program: sh("kill -SEGV $$"), want: wire.Test{Outcome: wire.OutcomeSignal, Signal: "SIGSEGV"}},
		"timeout":  {program: limited, want: wire.Test{Outcome: wire.OutcomeTimeout, Output: "begin\n"}},
		"killed":   {program: killed, want: wire.Test{Outcome: wire.OutcomeKilled, Output: "begin\n"}},
		"not late": {program: early, want: wire.Test{Outcome: wire.OutcomeTimeout, Output: "begin\n"}},
		"variable": {program: env, want: wire.Test{Outcome: wire.OutcomeExit, Output: "from the job\n"}},
		"long": {program: long, want: wire.Test{
			Outcome: wire.OutcomeExit, Output: "first\n[... 99999 bytes left out ...]\n\x00last", Dropped: 99999}},
		"missing": {program: wire.Program{Name: "test", Path: "/nope"},
			want: wire.Test{Outcome: wire.OutcomeError}, message: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := runProgram(tt.program, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Nanos <= 0 && got.Outcome != wire.OutcomeError {
				t.Errorf("it took %d ns", got.Nanos)
			}
			if !strings.Contains(got.Message, tt.message) {
				t.Errorf("expected a message with %q, found %q", tt.message, got.Message)
			}
			tt.want.Name, got.Nanos, got.Message = "test", 0, ""
			if got != tt.want {
				t.Errorf("expected %+v, found %+v", tt.want, got)
			}
		})
	}
}

// TestProgramLeavesNothing: a process that a program left behind is ended
// before the next program starts.
func TestProgramLeavesNothing(t *testing.T) {
	out, err := runProgram(wire.Program{
		Path: "/bin/sh", Args: []string{"-c", "sleep 60 >/dev/null 2>&1 & echo $!"}, MaxOutput: 1 << 10,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(out.Output)
	for deadline := time.Now().Add(10 * time.Second); ; {
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is still there: %s", pid, stat)
		}
	}
}

// TestJobs does jobs outside a guest, as far as they go there.
func TestJobs(t *testing.T) {
	for name, tt := range map[string]struct{ job, error string }{
		"boot":           {job: "{}"},
		"empty":          {job: "", error: "invalid job: EOF"},
		"unknown field":  {job: `{"dance":1}`, error: "dance"},
		"no object":      {job: "[]", error: "cannot unmarshal"},
		"unknown mount":  {job: `{"mounts":["ext9"]}`, error: `"ext9"`},
		"missing module": {job: `{"modules":[{"path":"/nope.ko"}]}`, error: "/nope.ko"},
		"no module yet":  {job: `{"measure":{}}`, error: "open the loops"},
	} {
		t.Run(name, func(t *testing.T) {
			job, err := readJob(strings.NewReader(tt.job))
			if err == nil {
				err = do(wire.NewEncoder(io.Discard, nil), job)
			}
			if tt.error == "" && err != nil || tt.error != "" && (err == nil || !strings.Contains(err.Error(), tt.error)) {
				t.Errorf("expected an error with %q, found %v", tt.error, err)
			}
		})
	}
}

// TestExecStreams sends a whole run and reads it back.
func TestExecStreams(t *testing.T) {
	var buf bytes.Buffer
	err := serve(&buf, wire.Job{HeartbeatMillis: 1, Exec: &wire.Exec{Programs: []wire.Program{
		{Name: "one", Path: "/bin/true"}, {Name: "two", Path: "/bin/false"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var codes []int
	dec := wire.NewDecoder(&buf)
	for {
		r, err := dec.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Test != nil {
			codes = append(codes, r.Test.Code)
		}
		if r.Hello != nil && (r.Hello.Kernel == "" || r.Hello.Machine == "" || r.Hello.BootID == "") {
			t.Errorf("hello says little: %+v", r.Hello)
		}
		if r.End != nil && r.End.Message != "" {
			t.Error(r.End)
		}
	}
	if len(codes) != 2 || codes[0] != 0 || codes[1] != 1 {
		t.Errorf("expected statuses 0 and 1, found %v", codes)
	}
}

// TestPanicIsAnError: a panic in a job is reported.
func TestPanicIsAnError(t *testing.T) {
	err := protect(func() error { panic("index out of range") })
	if !errors.Is(err, wire.ErrPanic) || err.Error() != "the guest program panicked: index out of range" {
		t.Errorf("expected an ErrPanic, found %v", err)
	}
}
