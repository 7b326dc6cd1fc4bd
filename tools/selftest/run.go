// SPDX-License-Identifier: GPL-2.0-only

// Package selftest runs the kernel's own KVM selftests on kernels in guests
// and compares the results of two kernels, test by test, by name.
//
// [Run] spreads the tests of a [Kernel] over guests, the longest first. A guest that
// dies takes with it the test that was running and no other: the rest goes on in a
// fresh guest, as after a test during which one of the kernel's checkers gave up.
// [Compare] puts two lists of results side by side. A test or subtest that was good on
// the base kernel and is not on the patched one, or is missing, is a regression.
//
// The tests print TAP, or have only an exit status: see Documentation/dev-tools/ktap.rst
// and tools/testing/selftests/kselftest.h in the kernel's tree.
package selftest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/progress"
	"vcpulab/tools/vm"
)

// Kernel is a kernel and the tests to run on it.
type Kernel struct {
	Name      string // that is shown: base, patched
	Arch      arch.Arch
	Tree      string      // of its sources, which have the conditions of its warnings; "" is not known
	Image     string      // the path of what to boot
	Modules   []vm.Module // loaded before the tests
	ModuleDir string      // has what they depend on
	Tests     []Test
	Skipped   map[string]string // tests that are not run, and why
	// Decode, unless nil, adds source lines to what this kernel prints on the console.
	Decode func(ctx context.Context, console string) (string, error)
}

// Test is a test that was built.
type Test struct {
	Name string // in the kernel's Makefile, such as x86/xapic_ipi_test
	Path string // of the program, linked statically
	Args []string
	// Runner is the program of Options.Files that is run instead, "" is none. Path is
	// in the guest all the same, in wire.TestsDir by its name.
	Runner string
	// Status, unless nil, turns a runner's exit status, and what it printed, into the
	// status of a selftest.
	Status  func(code int, output string) int
	Limit   time.Duration // in place of what is usual; 0 is that
	Machine string        // what the machine has to be like, as in vm.Machine.Options
	// Clock, Kill and FailEvery are as in wire.Program. A test that is killed, or
	// fails because its allocations do, is Interrupted.
	Clock     int64
	Kill      time.Duration
	FailEvery int
}

// NewKernel returns a kernel with tests that were built from its tree.
func NewKernel(name string, built *kbuild.Kernel, tests *kbuild.Selftests, accel vm.Accel) (Kernel, error) {
	k := Kernel{Name: name, Arch: built.Arch, Tree: built.Tree.Dir, Image: built.ImagePath(), Decode: built.Decode, Skipped: make(map[string]string)}
	for name, why := range tests.Unbuilt {
		k.Skipped[name] = "it does not build: " + why
	}
	if mod := vm.KVMModule(built.Arch, accel); mod != "" {
		file, err := built.ModulePath(mod)
		if err != nil {
			return Kernel{}, fmt.Errorf("selftests on %s: %w", name, err)
		}
		// A kernel without modules has no such directory.
		k.Modules, k.ModuleDir = []vm.Module{{Host: file}}, filepath.Join(built.Dir, "modules")
	}
	for _, n := range tests.Names {
		k.Tests = append(k.Tests, Test{Name: n, Path: tests.Path(n)})
	}
	return k, nil
}

// DefaultMemMiB is the memory of a guest.
const DefaultMemMiB = 2048

// Options say how tests are run.
type Options struct {
	Accel    vm.Accel // "" is TCG
	Parallel int      // how many guests run at a time; 0 is 2
	MemMiB   int      // the memory of each guest; 0 is DefaultMemMiB
	CPUs     int      // of each guest; 0 is 2
	// InOrder has the tests run in the order in which Kernel.Tests has them, in one
	// guest as long as none takes it down.
	InOrder bool
	Params  []vm.Param // of KVM's modules, or of a kernel that has none
	Append  []string   // further arguments of the kernel
	// Limit is the time that a test is given if it is not known how long it
	// takes; 0 is 240 s under TCG and 120 s under KVM.
	Limit time.Duration
	// Silence is how long a guest may be silent before it counts as hung; 0 is 45 s,
	// longer than the 21 s after which the kernel complains of a stuck processor.
	Silence time.Duration
	// Retries is how often a test that failed is run again, with no other
	// guest beside it: some of KVM's tests ask for an answer within a second,
	// which a busy host does not always give. What they failed of is kept in
	// Result.Earlier. A test that took the guest down, did not end, or that
	// the kernel complained of meanwhile, is never run again. 0 is 2; a negative
	// number means none.
	Retries int
	// Once are the tests that are never run again: of one that is to find
	// races, a failure in three tries is a failure.
	Once []string
	// Leaks has kmemleak look for leaks after each test, or with LeaksLast after the last
	// one of a guest; the kernel must have it. A leak is a splat.
	Leaks, LeaksLast bool
	// Checkers are those of the kernel's, as wire.Lockdep, that each guest has to
	// prove on after each test. Each has a result of its own, see IsChecker: one that
	// a report of the kernel turned off, as lockdep's own does, has not failed.
	Checkers []string
	// Overlook tells which complaints are not about what is tested, for
	// Result.Overlooked; nil is none.
	Overlook func(vm.Splat) bool
	// Elsewhere are the results of another kernel. Limits and order follow from
	// how long tests took there. One that failed is expected to fail here, too:
	// it is not run again for it.
	Elsewhere []Result
	// History decides the order where Elsewhere says nothing.
	History History
	Log     *progress.Log // shows what is running; nil shows nothing
	Source  string        // as in vm.Guest
	Files   []vm.File     // what tests need in each guest
	// KeepDir is a directory for a log of every test and for what it takes to
	// start a guest again that died; "" keeps nothing.
	KeepDir string
	// OnResult, unless nil, is called with every result once the guest that it is from
	// has ended, by one goroutine at a time; again for a test that was run again.
	OnResult func(Result)
}

// guestsDir is the directory in Options.KeepDir with a directory for each guest.
const guestsDir = "guests"

func (o Options) withDefaults() Options {
	o.Accel = cmp.Or(o.Accel, vm.TCG)
	o.Parallel = cmp.Or(o.Parallel, 2)
	o.MemMiB = cmp.Or(o.MemMiB, DefaultMemMiB)
	o.CPUs = cmp.Or(o.CPUs, 2)
	if o.InOrder {
		o.Parallel = 1
	}
	o.Retries = max(0, cmp.Or(o.Retries, 2))
	return o
}

type runner struct {
	cache   *cache.Cache
	subject Kernel
	opts    Options
	step    *progress.Step

	mu       sync.Mutex
	results  map[string]Result
	guests   int               // that were started
	checkers map[string]Result // so far, by the checker's name
	running  map[int]string    // test that runs in a guest, by the guest's number
}

// Run runs the tests of s and returns a result for each, sorted by name; a test that
// takes its guest down is a Crash. The error is that of the first guest in which no test
// could be run at all: a *vm.Fault if the kernel did not boot or QEMU failed, or ctx's
// own. Then the results are those of the tests that had ended.
func Run(ctx context.Context, c *cache.Cache, s Kernel, o Options) (_ []Result, err error) {
	o = o.withDefaults()
	r := &runner{cache: c, subject: s, opts: o, results: map[string]Result{}, running: map[int]string{}, checkers: map[string]Result{}}
	for name, why := range s.Skipped {
		r.results[name] = Result{Name: name, Outcome: Skip, Reason: why}
	}
	r.step = o.Log.Step("selftests on " + s.Name)
	defer func() { r.step.End(err, "%s", tally(r.sorted())) }()
	r.show()
	if o.KeepDir != "" {
		// What guests of an earlier run left would pass for a result of this one.
		if err := os.RemoveAll(filepath.Join(o.KeepDir, guestsDir)); err != nil {
			return nil, fmt.Errorf("remove old logs: %w", err)
		}
	}

	err = r.guestsFor(ctx, s.Tests, o.Parallel)
	for range o.Retries {
		again := r.failed()
		if err != nil || len(again) == 0 {
			break
		}
		err = r.guestsFor(ctx, again, 1)
	}
	r.endCheckers()
	if err != nil {
		return r.sorted(), DiskFull(fmt.Errorf("selftests on %s: %w", s.Name, err))
	}
	return r.sorted(), nil
}

func (r *runner) guestsFor(ctx context.Context, tests []Test, parallel int) error {
	q := newQueue(tests, parallel, r.opts)
	g, gctx := errgroup.WithContext(ctx)
	for range min(parallel, len(tests)) {
		g.Go(func() error { return r.work(gctx, q) })
	}
	return g.Wait()
}

// failed returns the tests that get another try: not those that could not be started,
// which took no time, those that fail elsewhere, too, and those of Options.Once.
func (r *runner) failed() []Test {
	return slices.DeleteFunc(slices.Clone(r.subject.Tests), func(t Test) bool {
		res := r.results[t.Name]
		return res.Outcome != Fail || len(res.Splats) > 0 || res.Seconds <= 0 ||
			r.opts.elsewhere(t.Name).Outcome == Fail || slices.Contains(r.opts.Once, t.Name)
	})
}

func (r *runner) sorted() []Result {
	return slices.SortedFunc(maps.Values(r.results), func(a, b Result) int { return cmp.Compare(a.Name, b.Name) })
}

func (r *runner) work(ctx context.Context, q *queue) error {
	for batch := q.next(); len(batch) > 0; batch = q.next() {
		r.mu.Lock()
		r.guests++
		number := r.guests
		r.mu.Unlock()
		g := &guest{r: r, number: number, tests: batch}
		rest, err := g.run(ctx)
		r.finish(g)
		if err != nil {
			return err
		}
		q.putBack(rest)
	}
	return nil
}

func (r *runner) finish(g *guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, g.number)
	r.finishCheckers(g)
	for _, res := range g.results {
		if old, again := r.results[res.Name]; again {
			res.Earlier = append(old.Earlier, Result{Name: old.Name, Outcome: old.Outcome, Reason: old.Reason, Seconds: old.Seconds, Log: old.Log})
		}
		r.results[res.Name] = res
		if r.opts.OnResult != nil {
			r.opts.OnResult(res)
		}
	}
}

// started notes which test runs in a guest, "" for none.
func (r *runner) started(number int, name string) {
	r.mu.Lock()
	delete(r.running, number)
	if name != "" {
		r.running[number] = name
	}
	r.mu.Unlock()
	r.show()
}

func (r *runner) show() {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("%d of %d", len(r.results), len(r.subject.Tests)+len(r.subject.Skipped))
	if names := slices.Sorted(maps.Values(r.running)); len(names) > 0 {
		text += ", running " + strings.Join(names, " and ")
	}
	r.step.Update("%s", text)
}

func tally(results []Result) string {
	count := map[Outcome]int{}
	for _, r := range results {
		count[r.Outcome]++
	}
	var parts []string
	for _, o := range []Outcome{Pass, Interrupted, Fail, Timeout, Crash, Skip} {
		if count[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[o], o))
		}
	}
	return strings.Join(parts, ", ")
}
