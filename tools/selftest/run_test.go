// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// TestFailed: what is tried again.
func TestFailed(t *testing.T) {
	unstarted, warned := result("unstarted", Fail), result("warned", Fail)
	unstarted.Seconds = 0
	warned.Splats = []vm.Splat{{Kind: vm.KernelWarning, Title: "WARNING: x"}}
	r := &runner{results: map[string]Result{}, opts: Options{
		Elsewhere: []Result{result("elsewhere", Fail), result("hung elsewhere", Timeout)},
		Once:      []string{"race"},
	}}
	for _, res := range []Result{
		result("good", Pass), result("bad", Fail), result("elsewhere", Fail), result("hung elsewhere", Fail),
		result("hung", Timeout), result("dead", Crash), result("race", Fail), unstarted, warned,
	} {
		r.results[res.Name] = res
		r.subject.Tests = append(r.subject.Tests, Test{Name: res.Name})
	}
	r.subject.Tests = append(r.subject.Tests, Test{Name: "not run"})
	if got := names(r.failed()); got != "bad hung elsewhere" {
		t.Errorf("expected bad and hung elsewhere, found %s", got)
	}
}

// TestSweep: what guests of an earlier run left goes, and nothing else does.
func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [b] *")
	for _, name := range []string{"guests/1/x.log", "guests/12/console.log", "mine/x.log", "guest1.txt"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Run(t.Context(), nil, Kernel{Name: "base"}, Options{KeepDir: dir}); err != nil {
		t.Fatal(err)
	}
	var left []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, p)
		}
		return err
	})
	if diff := cmp.Diff([]string{"guest1.txt", "mine/x.log"}, left); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestDiskFull(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"full":              {fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), exit.MachineLacks},
		"quota":             {syscall.EDQUOT, exit.MachineLacks},
		"file too large":    {syscall.EFBIG, exit.MachineLacks},
		"full, and an oops": {fmt.Errorf("%w, %w", &vm.Fault{Kind: vm.KernelOops}, syscall.ENOSPC), exit.MachineLacks},
		"an oops":           {&vm.Fault{Kind: vm.KernelOops}, exit.BootFailed},
		"nothing":           {nil, exit.Good},
	} {
		if got := exit.Code(DiskFull(tt.err)); got != tt.want {
			t.Errorf("%s: expected exit code %d, found %d", name, tt.want, got)
		}
	}
}

// TestFollow checks that a guest may only report what it was asked for, in that
// order.
func TestFollow(t *testing.T) {
	start := func(n string) wire.Record { return wire.Record{Start: n} }
	done := func(n string) wire.Record {
		return wire.Record{Test: &wire.Test{Name: n, Outcome: wire.OutcomeExit}}
	}
	for name, tt := range map[string]struct {
		records []wire.Record
		good    bool
	}{
		"in order":              {[]wire.Record{start("a"), done("a"), start("b"), done("b")}, true},
		"unknown":               {[]wire.Record{start("x")}, false},
		"twice":                 {[]wire.Record{start("a"), done("a"), start("a")}, false},
		"two at a time":         {[]wire.Record{start("a"), start("b")}, false},
		"a result of nothing":   {[]wire.Record{done("a")}, false},
		"a result of another":   {[]wire.Record{start("a"), done("b")}, false},
		"a result for a second": {[]wire.Record{start("a"), done("a"), done("a")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{r: &runner{running: map[int]string{}, results: map[string]Result{}}, tests: named("a", "b")}
			defer func() {
				if g.overdue != nil {
					g.overdue.Stop()
				}
			}()
			var err error
			for i, rec := range tt.records {
				if err = g.follow(rec); err != nil && i < len(tt.records)-1 {
					t.Fatalf("record %d: %v", i+1, err)
				}
			}
			if (err == nil) != tt.good {
				t.Errorf("good: %v, found the error %v and %v", tt.good, err, g.results)
			}
		})
	}
}
