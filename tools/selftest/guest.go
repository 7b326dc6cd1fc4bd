// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/vm"
)

const (
	heartbeat     = time.Second      // how often a guest says that it is alive
	silence       = 45 * time.Second // how long it may say nothing
	bootAllowance = 2 * time.Minute  // for booting and shutting down
	killAllowance = 30 * time.Second // for a test to die after its time; one that hangs in the kernel does not
	leakAllowance = 5 * time.Minute  // for looking for leaks
	maxOutput     = 256 << 10        // bytes that are kept of a test's output
)

// mounts are what tests use. None uses tracefs, which a debug kernel may lack.
var mounts = []string{"tmpfs", "shm", "debugfs", "cgroup2"}

// errStuck ends a guest in which a test cannot be ended.
var errStuck = errors.New("the test could not be ended")

type guest struct {
	r       *runner
	number  int
	tests   []Test
	console console // once it has ended
	stop    context.CancelCauseFunc
	overdue *time.Timer // ends the guest if the test that runs cannot be ended

	checkers []wire.Checker // at its end; nil if it did not come to it

	running string    // test that was started and has not ended
	since   time.Time // when it was
	results []Result
}

// run runs the tests and returns those that were not run because an earlier one took
// the guest down, or one of its checkers. With an error the guest is of no use.
func (g *guest) run(ctx context.Context) (rest []Test, err error) {
	job, files, total := g.job()
	s, o := g.r.subject, g.r.opts
	m := vm.Machine{Arch: s.Arch, Accel: o.Accel, CPUs: o.CPUs, MemMiB: o.MemMiB, Options: g.tests[0].Machine, Kernel: s.Image, Append: o.Append}
	if s.Arch.Name == arch.X86_64().Name {
		// On a busy host TCG's time stamp counter looks unstable, and KVM
		// works in another way with one that is.
		m.Append = append(slices.Clip(m.Append), "tsc=reliable")
	}

	gctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	g.stop = stop
	defer func() {
		if g.overdue != nil {
			g.overdue.Stop()
		}
	}()
	text := wire.NewExcerpt(consoleLimit)
	res, err := vm.Boot(gctx, g.r.cache, m,
		vm.Guest{Job: job, Modules: s.Modules, ModuleDir: s.ModuleDir, Params: o.Params, Files: files, Source: o.Source},
		vm.Options{
			Timeout: total + bootAllowance, Silence: cmp.Or(o.Silence, silence), AllowWarnings: true,
			OnRecord: g.follow, Console: text, KeepDir: g.keepDir(),
		})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if cache.IsFull(err) {
		// Whatever else went wrong, the logs are incomplete.
		return nil, err
	}
	g.console = cutConsole(text.String())
	if err := g.blame(err); err != nil {
		return nil, err
	}

	g.attribute(res.Splats)
	g.decode(ctx)
	if err := g.writeLogs(); err != nil {
		return nil, err
	}
	rest = slices.DeleteFunc(slices.Clone(g.tests), func(t Test) bool { return g.result(t.Name) != nil })
	// The guest ends before its last test if a checker gave up during the one before.
	cutShort := slices.ContainsFunc(g.checkers, func(c wire.Checker) bool { return c.After != "" })
	if err == nil && len(rest) > 0 && !cutShort {
		return nil, fmt.Errorf("the guest ended well and gave no result of %s", rest[0].Name)
	}
	if err == nil && len(g.checkers) != len(o.Checkers) {
		return nil, fmt.Errorf("the guest ended well and did not report on its checkers: %s", strings.Join(o.Checkers, ", "))
	}
	return rest, nil
}

// job returns what the guest is to do, with which files, and how long that may take.
func (g *guest) job() (wire.Job, []vm.File, time.Duration) {
	params := &wire.Exec{Leaks: g.r.opts.Leaks, LeaksLast: g.r.opts.LeaksLast, Checkers: g.r.opts.Checkers}
	files := slices.Clone(g.r.opts.Files)
	var total time.Duration
	for _, t := range g.tests {
		total += g.allowed(t.Name) + killAllowance
		if g.r.opts.Leaks {
			total += leakAllowance
		}
		in := path.Join(wire.TestsDir, t.Name)
		params.Programs = append(params.Programs, wire.Program{
			Name: t.Name, Path: cmp.Or(t.Runner, in), Args: t.Args, Timeout: g.limit(t), MaxOutput: maxOutput,
			Kill: t.Kill, Clock: t.Clock, FailEvery: t.FailEvery,
		})
		files = append(files, vm.File{Path: strings.TrimPrefix(in, "/"), Mode: 0o755, Host: t.Path})
	}
	return wire.Job{Exec: params, Mounts: mounts, HeartbeatMillis: heartbeat.Milliseconds()}, files, total
}

// follow takes a record of the guest. One that it was not asked for is an
// error: nothing from such a guest can be trusted.
func (g *guest) follow(rec wire.Record) error {
	switch {
	case rec.Start != "":
		if name := rec.Start; g.running != "" || g.result(name) != nil ||
			!slices.ContainsFunc(g.tests, func(t Test) bool { return t.Name == name }) {
			return fmt.Errorf("the guest starts %q, which it was not to do now", name)
		}
		g.running, g.since = rec.Start, time.Now()
		g.overdue = time.AfterFunc(g.allowed(g.running)+killAllowance, func() { g.stop(errStuck) })
		g.r.started(g.number, g.running)
	case rec.Test != nil:
		if name := rec.Test.Name; name != g.running {
			return fmt.Errorf("the guest has a result of %q while %q runs", name, g.running)
		}
		g.overdue.Stop()
		g.running = ""
		if status := g.test(rec.Test.Name).Status; status != nil {
			rec.Test.Code = status(rec.Test.Code, rec.Test.Output)
		}
		r := classify(*rec.Test)
		if g.test(r.Name).FailEvery > 0 {
			r.excuse()
		}
		if r.Outcome == Fail || r.Outcome == Timeout {
			loadavg, _ := os.ReadFile("/proc/loadavg")
			r.Reason += busyAt(string(loadavg), runtime.NumCPU())
		}
		g.results = append(g.results, r)
		g.r.started(g.number, "")
	case rec.Checkers != nil:
		return g.takeCheckers(rec.Checkers)
	}
	return nil
}

func (g *guest) test(name string) Test {
	return g.tests[slices.IndexFunc(g.tests, func(t Test) bool { return t.Name == name })]
}

func (g *guest) limit(t Test) time.Duration { return cmp.Or(t.Limit, g.r.opts.limit(t.Name)) }

// allowed is the time after which a test of this guest is killed.
func (g *guest) allowed(name string) time.Duration {
	t := g.test(name)
	return min(g.limit(t), cmp.Or(t.Kill, math.MaxInt64))
}

func (g *guest) result(name string) *Result {
	i := slices.IndexFunc(g.results, func(r Result) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &g.results[i]
}

// blame turns the way in which the guest ended into the result of the test
// that was running, or of the one before if none was: what it left behind brought the
// kernel down. It returns the errors that no test is to blame for.
func (g *guest) blame(err error) error {
	if err == nil {
		return nil
	}
	if last := g.console.owner(math.MaxInt); g.running == "" && last != "" && g.result(last) == nil {
		// The guest died before the record that it starts was on its way.
		g.running, g.since = last, time.Now()
	}
	blamed := Result{Name: g.running, Seconds: time.Since(g.since).Seconds()}
	after := ""
	if g.running == "" {
		if len(g.results) == 0 {
			return err
		}
		blamed = g.results[len(g.results)-1]
		after = fmt.Sprintf(", after the test had ended (%s)", blamed.Outcome)
	}

	fault, isFault := errors.AsType[*vm.Fault](err)
	switch {
	case errors.Is(err, errStuck):
		blamed.Outcome = Timeout
		blamed.Reason = fmt.Sprintf("it had not ended after %v and could not be killed", g.allowed(g.running))
	case !isFault || fault.Infrastructure() || fault.Kind == vm.JobFailed || fault.Kind == vm.GuestFailed:
		return err
	case fault.Kind == vm.Deadline:
		blamed.Outcome, blamed.Reason, blamed.Command = Timeout, fault.Title, fault.Command
	default:
		blamed.Outcome, blamed.Command = Crash, fault.Command
		blamed.Reason = clip(fmt.Sprintf("%s: %s%s", fault.Kind, fault.Title, after), maxReason)
	}
	if g.running == "" {
		g.results = g.results[:len(g.results)-1]
	}
	g.results = append(g.results, blamed)
	return nil
}

// attribute gives the kernel's complaints to the tests during which they came, and those
// from before the first test to that one, so that none is lost.
func (g *guest) attribute(splats []vm.Splat) {
	for _, s := range splats {
		owner := g.console.owner(s.Line)
		r := cmp.Or(g.result(cmp.Or(owner, g.tests[0].Name)), &g.results[len(g.results)-1])
		if s.About == "" {
			s.About = sourceLine(g.r.subject.Tree, s.Where)
		}
		if overlook := g.r.opts.Overlook; overlook != nil && overlook(s) {
			r.Overlooked = append(r.Overlooked, s)
			continue
		}
		r.Splats = append(r.Splats, s)
		if owner == "" && r.Console == "" {
			r.Console = g.console.during("")
		}
	}
	for i := range g.results {
		r := &g.results[i]
		if len(r.Splats) > 0 || r.Outcome == Crash || r.Outcome == Timeout {
			r.Console += g.console.during(r.Name)
		}
	}
}

func (g *guest) keepDir() string {
	if g.r.opts.KeepDir == "" {
		return ""
	}
	return filepath.Join(g.r.opts.KeepDir, guestsDir, strconv.Itoa(g.number))
}

// busyAt says that this machine, with that content of /proc/loadavg, has too much to
// do for tests that ask for an answer in time, "" if it has not.
func busyAt(loadavg string, cpus int) string {
	const busyFactor = 3 // tasks for each processor: two guests of two processors are not enough
	var load float64
	if _, err := fmt.Sscanf(loadavg, "%f", &load); err != nil || load < float64(busyFactor*cpus) {
		return ""
	}
	return fmt.Sprintf(" (this machine is busy: a load of %.1f on %d processors)", load, cpus)
}
