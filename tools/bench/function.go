// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// Workload is a static program that runs while the calls of a function are measured.
type Workload struct {
	Name string
	Path string
	Args []string
}

// Function is what the calls of a function cost on a kernel, in instructions or
// nanoseconds from entry to return, less what an empty bracket costs.
type Function struct {
	Kernel  string `json:"kernel"`
	Refused string `json:"refused,omitempty"` // why there is no result, "" if there is one
	Calls   int    `json:"calls"`
	Least   int64  `json:"least"`
	Median  int64  `json:"median"`
	P99     int64  `json:"p99"`
	Most    int64  `json:"most"`
	Sum     int64  `json:"sum"`
	Bracket int64  `json:"bracket"`
}

const (
	// workloadLimit is how long a workload may run, guestLimit how long the guest may be
	// silent: under icount it sends nothing while programs run.
	workloadLimit = 10 * time.Minute
	guestLimit    = wire.MaxRuns*workloadLimit + bootTimeout
	// workloadClock is the time at which it starts, from which KVM's selftests take the seed
	// of their random numbers.
	workloadClock  = 1_577_836_800
	workloadOutput = 16 << 10 // bounds what is kept of what it prints, in bytes
)

// Function measures a function on the kernel with this index. What cannot be measured is no
// error, see Function.Refused.
func (g *Guests) Function(ctx context.Context, kernel int, method results.Method, function string, w Workload) (Function, error) {
	c := g.Candidates[kernel]
	f := Function{Kernel: c.Name}
	program := wire.Program{Name: w.Name, Path: "/workload", Args: w.Args, Clock: workloadClock, Timeout: workloadLimit, MaxOutput: workloadOutput}
	job := wire.Job{
		Exec:   &wire.Exec{Programs: []wire.Program{program}, Function: function},
		Mounts: []string{"tmpfs", "shm", "debugfs", "tracefs", "cgroup2"},
	}

	var test *wire.Test
	files := []vm.File{{Path: strings.TrimPrefix(program.Path, "/"), Mode: 0o755, Host: w.Path}}
	_, err := g.boot(ctx, c, Plan{Method: method}, vm.Guest{Job: job, Files: files}, vm.Options{
		Timeout: guestLimit, Silence: guestLimit,
		OnRecord: func(rec wire.Record) error {
			test = cmp.Or(rec.Test, test)
			return nil
		},
	})
	if errors.Is(err, wire.ErrAttach) || errors.Is(err, wire.ErrProbeMissed) {
		f.Refused = reason(err)
		return f, nil
	}
	if err != nil {
		return f, err
	}
	if test == nil || test.Calls == nil {
		return f, fmt.Errorf("%s: the guest ended well and gave no calls of %s", c.Name, function)
	}
	f.take(*test, function)
	return f, nil
}

// take takes the calls that a test has made.
func (f *Function) take(t wire.Test, function string) {
	switch {
	case t.Outcome != wire.OutcomeExit || t.Code != 0:
		last := strings.TrimSpace(t.Output)
		last = last[strings.LastIndexByte(last, '\n')+1:]
		how := fmt.Sprintf("exit status %d", t.Code)
		if t.Outcome != wire.OutcomeExit {
			how = strings.TrimSpace(fmt.Sprintf("%s %s", t.Outcome, t.Signal))
		}
		f.Refused = strings.TrimSuffix(fmt.Sprintf("%s did not pass: %s: %s", t.Name, how, last), ": ")
	case len(t.Calls.Nanos) == 0:
		f.Refused = fmt.Sprintf("%s was never called while %s ran, or is inlined where it was", function, t.Name)
	default:
		f.summarize(*t.Calls)
	}
}

func (f *Function) summarize(c measure.Calls) {
	nanos := slices.Sorted(slices.Values(c.Nanos))
	for i := range nanos {
		nanos[i] -= c.Bracket
		f.Sum += nanos[i]
	}
	n := len(nanos)
	f.Calls, f.Bracket = n, c.Bracket
	f.Least, f.Median, f.P99, f.Most = nanos[0], nanos[n/2], nanos[n*99/100], nanos[n-1]
}
