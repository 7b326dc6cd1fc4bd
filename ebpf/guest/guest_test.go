// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"context"
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
		return wire.Program{Name: "test", Path: "/bin/sh", Args: []string{"-c", script}}
	}
	limited := sh("echo begin; sleep 60 & sleep 60")
	limited.TimeoutMillis = 200
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
		"variable": {program: env, want: wire.Test{Outcome: wire.OutcomeExit, Output: "from the job\n"}},
		"long": {program: long, want: wire.Test{
			Outcome: wire.OutcomeExit, Output: "first\n[... 99999 bytes left out ...]\n\x00last", Dropped: 99999}},
		"missing": {program: wire.Program{Name: "test", Path: "/nope"},
			want: wire.Test{Outcome: wire.OutcomeError}, message: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runProgram(t.Context(), tt.program)
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
	out := runProgram(t.Context(), wire.Program{
		Path: "/bin/sh", Args: []string{"-c", "sleep 60 >/dev/null 2>&1 & echo $!"},
	})
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

func TestFindPort(t *testing.T) {
	class := t.TempDir()
	for dev, name := range map[string]string{"vport0p1": "other", "vport0p2": wire.PortName} {
		if err := os.MkdirAll(filepath.Join(class, dev), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(class, dev, "name"), []byte(name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if dev, err := findPort(class, wire.PortName); err != nil || dev != "vport0p2" {
		t.Errorf("expected vport0p2, found %q and %v", dev, err)
	}
	_, err := findPort(class, "none")
	if err == nil || !strings.Contains(err.Error(), `found ["other" "vcpulab.records"]`) {
		t.Errorf("expected an error that names the ports, found %v", err)
	}
	if _, err := findPort(filepath.Join(class, "nope"), "none"); err == nil {
		t.Error("a missing directory was taken for a port")
	}
}

// TestRunJob runs jobs outside a guest, as far as they go there.
func TestRunJob(t *testing.T) {
	for name, tt := range map[string]struct {
		job   wire.Job
		error string
	}{
		"boot":           {job: wire.Job{Kind: wire.JobBoot}},
		"unknown kind":   {job: wire.Job{Kind: "dance"}, error: `"dance": unknown to this guest program`},
		"unknown mount":  {job: wire.Job{Kind: wire.JobBoot, Mounts: []string{"ext9"}}, error: `"ext9"`},
		"missing module": {job: wire.Job{Kind: wire.JobBoot, Modules: []wire.Module{{Path: "/nope.ko"}}}, error: "/nope.ko"},
		"no parameters":  {job: wire.Job{Kind: wire.JobExec}, error: "parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{enc: wire.NewEncoder(io.Discard, nil)}
			err := g.run(tt.job)
			if tt.error == "" && err != nil || tt.error != "" && (err == nil || !strings.Contains(err.Error(), tt.error)) {
				t.Errorf("expected an error with %q, found %v", tt.error, err)
			}
		})
	}
}

// TestExecStreams sends a whole run and reads it back.
func TestExecStreams(t *testing.T) {
	job, err := wire.NewJob(wire.JobExec, wire.Exec{Programs: []wire.Program{
		{Name: "one", Path: "/bin/true"}, {Name: "two", Path: "/bin/false"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	g := &guest{enc: wire.NewEncoder(&buf, monotonic)}
	if err := g.enc.Send(hello(job)); err != nil {
		t.Fatal(err)
	}
	stop := g.beat(1)
	if err := execPrograms(context.Background(), g, job); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := g.enc.Send(wire.Record{Kind: wire.KindEnd, End: &wire.End{Status: wire.StatusOK}}); err != nil {
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
		if r.Kind == wire.KindTest {
			codes = append(codes, r.Test.Code)
		}
		if r.Kind == wire.KindHello && (r.Hello.Kernel == "" || r.Hello.MemTotalKiB == 0 || r.Hello.BootID == "") {
			t.Errorf("hello says little: %+v", r.Hello)
		}
	}
	if len(codes) != 2 || codes[0] != 0 || codes[1] != 1 {
		t.Errorf("expected statuses 0 and 1, found %v", codes)
	}
}

// TestPanicIsAnError: a panic in a job is reported.
func TestPanicIsAnError(t *testing.T) {
	jobs["panic"] = func(context.Context, *guest, wire.Job) error { panic("index out of range") }
	defer delete(jobs, "panic")
	var buf bytes.Buffer
	if err := serve(&buf, wire.Job{Kind: "panic"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"code":"panic"`, "the guest program panicked: index out of range", `"status":"failed"`} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("expected %s in %s", want, buf.String())
		}
	}
}
