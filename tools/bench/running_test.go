// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/exit"
	"vcpulab/tools/results"
)

// scripted measures with a shell script in the place of the measuring program.
func scripted(t *testing.T, script string) *Running {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	r := &Running{Program: name, Host: &results.HostKernel{}}
	for !set.IsSet(r.Host.CPU) {
		r.Host.CPU++
	}
	return r
}

// job is one that the scripts read and ignore.
var job wire.Job

var hello = `{"seq":1,"hello":{"version":` + strconv.Itoa(wire.Version) + `,"kernel":"6.12","machine":"","cmdline":"","boot_id":"","online_cpus":""}}`

// TestRunProgram: a program that ends in another way than with its last record
// measured nothing.
func TestRunProgram(t *testing.T) {
	end := `{"seq":2,"end":{}}`
	for name, tt := range map[string]struct {
		script string
		error  string
	}{
		"good":     {fmt.Sprintf("cat >/dev/null; echo '%s'; echo '%s'", hello, end), ""},
		"silent":   {"exit 0", wire.ErrNoEnd.Error()},
		"cut":      {fmt.Sprintf("echo '%s'; echo out of luck >&2; exit 3", hello), "out of luck"},
		"status":   {fmt.Sprintf("echo '%s'; echo '%s'; exit 3", hello, end), "exit status 3"},
		"nonsense": {"echo nonsense; sleep 60", wire.ErrMalformed.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			err := scripted(t, tt.script).runProgram(t.Context(), job, func(wire.Record) error { n++; return nil })
			if tt.error == "" && (err != nil || n != 2) || tt.error != "" && (err == nil || !strings.Contains(err.Error(), tt.error)) {
				t.Errorf("expected an error with %q, found %v after %d records", tt.error, err, n)
			}
		})
	}
	if err := (&Running{Program: "/none", Host: scripted(t, "").Host}).runProgram(t.Context(), job, nil); err == nil {
		t.Error("expected a program that is not there not to start")
	}
}

// TestRunProgramKills: with its children, when it is interrupted.
func TestRunProgramKills(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := scripted(t, fmt.Sprintf("echo '%s'; sleep 600 & sleep 600", hello))
	// It would take ten minutes.
	err := r.runProgram(ctx, job, func(wire.Record) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("expected it to be interrupted, found %v", err)
	}
}

func TestProgramError(t *testing.T) {
	if err := programError(&wire.End{Message: "loops: fentry", Code: wire.ErrAttach}); exit.Code(err) != exit.MachineLacks {
		t.Errorf("expected the machine to lack something, found %d: %v", exit.Code(err), err)
	}
	if err := programError(&wire.End{Message: "KVM_CREATE_VM: no"}); exit.Code(err) != exit.CheckFailed {
		t.Errorf("expected a failure, found %d: %v", exit.Code(err), err)
	}
}

// TestRunningDoesNotLoad: without a module there is nothing to measure, and what
// was asked for first is looked at.
func TestRunningDoesNotLoad(t *testing.T) {
	s := &Running{Loops: filepath.Join(t.TempDir(), "none.ko"), Host: &results.HostKernel{}, Kernel: results.Kernel{Name: NameRunning}}
	plan := NewPlan(results.Running, QuickAxes)
	if plan.Method != results.Running || plan.Params.Stalls != nil || plan.Params.Paths != nil || plan.Rounds < 5 {
		t.Errorf("the plan: %+v", plan)
	}
	r, err := Measure(t.Context(), s, plan, nil)
	if r != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expected the file to be missed, found %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	plan.Rounds = 1
	r, err = Measure(ctx, s, plan, nil)
	if !errors.Is(err, context.Canceled) || r == nil || !r.Interrupted || len(r.Boots) != 0 {
		t.Errorf("expected an interrupted run without results, found %+v, %v", r, err)
	}
}
