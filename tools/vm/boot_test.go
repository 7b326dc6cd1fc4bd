// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBootKeepsWhatRepeatsIt runs the command of a fault's message by hand.
func TestBootKeepsWhatRepeatsIt(t *testing.T) {
	o := patient()
	o.KeepDir = filepath.Join(t.TempDir(), "it's kept")
	m := machine(t, console1("here I am\r\n"), reset)
	_, err := Boot(t.Context(), testCache(t), m, Guest{}, o)
	fault, ok := errors.AsType[*Fault](err)
	if !ok || fault.Kind != SilentReset {
		t.Fatalf("expected a silent reset, found %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "exec "+fault.Command).CombinedOutput()
	if err != nil || string(out) != "here I am\r\n" {
		t.Errorf("%s\nexpected the console again, found %q and %v", fault.Command, out, err)
	}
	for _, name := range []string{"console.log", "initramfs.cpio", "records.jsonl"} {
		if _, err := os.Stat(filepath.Join(o.KeepDir, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestBootLeavesNothing looks for files after a good run, a fault and Ctrl-C.
func TestBootLeavesNothing(t *testing.T) {
	c := testCache(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := &firstWrite{c: make(chan struct{})}
	o := patient()
	o.Console = running
	go func() { <-running.c; cancel() }()
	if _, err := Boot(ctx, c, machine(t, console1("x"), spin), Guest{}, o); !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}
	if _, err := Boot(t.Context(), c, machine(t, record1(speech(t, "")), reset), Guest{}, patient()); err != nil {
		t.Error(err)
	}
	if _, err := Boot(t.Context(), c, machine(t, reset), Guest{}, patient()); err == nil {
		t.Error("a reset was taken for a result")
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestBootBadInput expects errors before QEMU is started.
func TestBootBadInput(t *testing.T) {
	c, m := testCache(t), machine(t, halt)
	for name, tt := range map[string]struct {
		g    Guest
		want string
	}{
		"no module":     {Guest{Modules: []Module{{Host: "/nope.ko"}}}, "/nope.ko"},
		"no module dir": {Guest{ModuleDir: "/nope"}, "/nope"},
		"no file":       {Guest{Files: []File{{Path: "a", Host: "/nope"}}}, "/nope"},
		"file twice":    {Guest{Files: []File{{Path: "/init"}}}, "duplicate init"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Boot(t.Context(), c, m, tt.g, patient()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("expected an error with %q, found %v", tt.want, err)
			}
		})
	}
}
