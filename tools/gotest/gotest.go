// SPDX-License-Identifier: GPL-2.0-only

// Package gotest runs Go tests and counts them. The events of go test -json are
// read by gotestsum's parser; what this package adds is a watchdog in the place
// of a time limit, and progress.
package gotest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"gotest.tools/gotestsum/testjson"

	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

const (
	// maxOutput bounds what is shown of a test or package, its first and last half, in bytes.
	maxOutput = 256 << 10
	grace     = 10 * time.Second // for tests to end after they were told to
)

// Options say which tests to run.
type Options struct {
	// Dir is the module's directory, Env is added to the environment.
	Dir string
	Env []string
	// Packages are patterns such as "./...", Flags are flags of go test.
	Packages, Flags []string
	// Silence is how long the tests may print nothing, with no test starting
	// or ending, before they are taken for hung and made to print their
	// goroutines. Tests have no other limit of time. 0 waits for ever.
	Silence time.Duration
	Log     *progress.Log
}

// Result is the result of a run of tests.
type Result struct {
	Passed  int    // tests, subtests included
	Failed  []Test // and packages that did not compile or ended early
	Skipped []Test // their output has the reason
}

// Test is a test that failed or was skipped.
type Test struct {
	Package string
	Name    string // "" is the package itself
	Output  string
}

// String returns the package and the name.
func (t Test) String() string { return strings.TrimSuffix(t.Package+"."+t.Name, ".") }

// Run runs tests. A failing test is not an error; one is that go could not run.
// No process is left when it returns.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	step := o.Log.Step("go test")
	defer func() { step.Fail(err) }()

	list := program.Program{Name: "go", Dir: o.Dir, InheritEnv: true, Env: o.Env}
	listed, _, err := list.Run(ctx, append([]string{"list", "-e"}, o.Packages...)...)
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}

	var stderr strings.Builder
	test := list
	test.PipeStdout, test.Stderr = true, &stderr
	test.Stop, test.Grace = syscall.SIGTERM, grace
	args := slices.Concat([]string{"test", "-json", "-timeout=0"}, o.Flags, o.Packages)
	process, err := test.Start(ctx, args...)
	if err != nil {
		return nil, err
	}

	watch := &watcher{step: step, packages: strings.Count(string(listed), "\n"), started: map[string]time.Time{}, builds: map[string]string{}}
	go watch.onSilence(o.Silence, process)
	ran, scanErr := testjson.ScanTestOutput(testjson.ScanConfig{Stdout: process.Stdout, Handler: watch})
	if scanErr != nil {
		process.Kill()
	}
	waitErr := process.Wait()
	if ctx.Err() != nil {
		return nil, waitErr
	}
	if scanErr != nil {
		return nil, fmt.Errorf("read the events of go test: %w", scanErr)
	}

	result := watch.result(ran)
	// go test exits with 1 if a test failed, which is not an error here.
	if _, ok := errors.AsType[*program.StatusError](waitErr); ok && len(result.Failed) > 0 {
		waitErr = nil
	}
	if waitErr != nil {
		return nil, fmt.Errorf("%w\n%s", waitErr, stderr.String())
	}
	step.Done("%d passed, %d failed, %d skipped", result.Passed, len(result.Failed), len(result.Skipped))
	return result, nil
}

type watcher struct {
	step     *progress.Step
	packages int // to be tested
	finished int // of those
	tests    int // that ended

	started map[string]time.Time // tests that run now
	latest  atomic.Int64         // time of the latest event, in nanoseconds
	hung    atomic.Bool

	builds map[string]string // output of the compiler, by package
}

// onSilence has a run print its goroutines and end when no event has come for so long.
func (w *watcher) onSilence(silence time.Duration, process *program.Process) {
	for silence > 0 {
		select {
		case <-process.Done():
			return
		case <-time.After(silence / 10):
		}
		latest := w.latest.Load()
		// Compiling, which comes before the first event, may take long.
		if latest == 0 || time.Since(time.Unix(0, latest)) < silence {
			continue
		}
		w.hung.Store(true)
		_ = syscall.Kill(-process.Pid, syscall.SIGQUIT)
		select {
		case <-process.Done():
		case <-time.After(grace):
			process.Kill()
		}
		return
	}
}

// Event implements [testjson.EventHandler].
func (w *watcher) Event(e testjson.TestEvent, _ *testjson.Execution) error {
	name := Test{Package: e.Package, Name: e.Test}.String()
	switch {
	case e.Action == testjson.ActionBuild:
		path, _, _ := strings.Cut(e.ImportPath, " ") // "a [a.test]"
		w.builds[path] += e.Output
		return nil
	case e.Action == testjson.ActionRun, e.Action == testjson.ActionCont:
		w.started[name] = time.Now()
		// A test waits for its subtests.
		delete(w.started, Test{Package: e.Package, Name: testjson.TestName(e.Test).Parent()}.String())
	case e.Action == testjson.ActionPause:
		delete(w.started, name)
	case e.Action.IsTerminal() && e.PackageEvent():
		w.finished++
	case e.Action.IsTerminal():
		delete(w.started, name)
		w.tests++
	}
	w.latest.Store(time.Now().UnixNano())
	w.step.Update("%d of %d packages, %d tests%s", w.finished, w.packages, w.tests, w.running())
	return nil
}

// Err implements [testjson.EventHandler]; go's own messages go elsewhere.
func (w *watcher) Err(string) error { return nil }

// running names the test that has run for longest, "" if none runs.
func (w *watcher) running() string {
	if len(w.started) == 0 {
		return ""
	}
	byStart := func(a, b string) int { return w.started[a].Compare(w.started[b]) }
	name := slices.MinFunc(slices.Collect(maps.Keys(w.started)), byStart)
	return fmt.Sprintf("; %s runs since %s", name, w.started[name].Format(time.TimeOnly))
}

func (w *watcher) result(ran *testjson.Execution) *Result {
	r := &Result{}
	note := "the test did not come to its end\n"
	if w.hung.Load() {
		note = "the tests were silent for too long, and were ended\n"
	}

	explained := map[string]bool{} // packages
	for _, c := range ran.Failed() {
		t := Test{Package: c.Package, Name: c.Test.Name(), Output: strings.Join(ran.OutputLines(c), "")}
		if t.Name == "" {
			t.Output = w.builds[t.Package] + t.Output
			explained[t.Package] = true
		} else if c.Elapsed < 0 {
			// Why is sometimes in the output of the package.
			t.Output = note + t.Output
			if !explained[t.Package] {
				var said strings.Builder
				_ = ran.Package(t.Package).WriteOutputTo(&said, 0)
				t.Output += said.String()
				explained[t.Package] = true
			}
		}
		t.Output = clip(t.Output)
		r.Failed = append(r.Failed, t)
	}
	if len(r.Failed) > 0 {
		// A package that only others import.
		for _, path := range slices.Sorted(maps.Keys(w.builds)) {
			if !explained[path] {
				r.Failed = append(r.Failed, Test{Package: path, Output: clip(w.builds[path])})
			}
		}
	}

	for _, c := range ran.Skipped() {
		r.Skipped = append(r.Skipped, Test{c.Package, c.Test.Name(), reason(ran.OutputLines(c))})
	}
	for _, name := range ran.Packages() {
		r.Passed += len(ran.Package(name).Passed)
	}
	return r
}

// reason returns what a skipped test itself has printed.
func reason(lines []string) string {
	return clip(strings.Join(slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		line = strings.TrimSpace(line)
		return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- SKIP")
	}), ""))
}

func clip(s string) string {
	if len(s) <= maxOutput {
		return s
	}
	return s[:maxOutput/2] + "\n[...]\n" + s[len(s)-maxOutput/2:]
}

// fuzzTarget is the name of a target on a line of its own, as go test -list prints
// it, or the line that ends a package.
var fuzzTarget = regexp.MustCompile(`^(?:(Fuzz\w+)|ok\s+(\S+)\s.*)$`)

// Fuzz runs each fuzz target of the packages for a time, one after the other. What it
// finds is a failure, and a file that go test leaves in testdata/fuzz.
func Fuzz(ctx context.Context, o Options, each time.Duration) (*Result, error) {
	list := program.Program{Name: "go", Dir: o.Dir, InheritEnv: true, Env: o.Env}
	listed, stderr, err := list.Run(ctx, append([]string{"test", "-list", "^Fuzz"}, o.Packages...)...)
	if err != nil {
		return nil, fmt.Errorf("list the fuzz targets: %w\n%s%s", err, listed, stderr)
	}

	all := &Result{}
	for _, t := range fuzzTargets(string(listed)) {
		one := o
		one.Packages = []string{t.Package}
		one.Flags = slices.Concat(o.Flags, []string{"-run=^$", "-fuzz=^" + t.Name + "$", "-fuzztime=" + each.String(), "-fuzzminimizetime=50x"})
		r, err := Run(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("fuzz %s: %w", t, err)
		}
		if outOfTime(r.Failed) {
			r = &Result{Passed: 1}
		}
		all.Passed += r.Passed
		all.Failed, all.Skipped = append(all.Failed, r.Failed...), append(all.Skipped, r.Skipped...)
	}
	return all, nil
}

// outOfTime tells whether a target failed only because its time was over while go test was
// busy with an input, which it takes for a failure: of a real one it says where it is.
func outOfTime(failed []Test) bool {
	says := func(text string) bool {
		return slices.ContainsFunc(failed, func(t Test) bool { return strings.Contains(t.Output, text) })
	}
	return says("context deadline exceeded") && !says("Failing input written") && !says("panic:")
}

func fuzzTargets(listed string) (targets []Test) {
	begin := 0
	for line := range strings.Lines(listed) {
		m := fuzzTarget.FindStringSubmatch(strings.TrimSpace(line))
		switch {
		case m == nil:
		case m[1] != "":
			targets = append(targets, Test{Name: m[1]})
		default:
			for i := begin; i < len(targets); i++ {
				targets[i].Package = m[2]
			}
			begin = len(targets)
		}
	}
	return targets[:begin]
}
