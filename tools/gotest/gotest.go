// SPDX-License-Identifier: GPL-2.0-only

// Package gotest runs the project's Go tests and counts them.
package gotest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// maxOutput bounds the output that is kept of one test or package, in bytes.
const maxOutput = 256 << 10

// maxLine bounds one line of go test's output, in bytes.
const maxLine = 4 << 20

// Result is what a run of the tests came to.
type Result struct {
	Passed  int       `json:"passed"`  // tests, subtests included
	Failed  []Failure `json:"failed"`  // tests, and packages that did not build or died
	Skipped []Failure `json:"skipped"` // tests, with their reason as output
}

// Failure is a test that failed or was skipped.
type Failure struct {
	Package string `json:"package"`
	Test    string `json:"test,omitempty"` // "" is the package itself
	Output  string `json:"output"`
}

// Name is the package and the test.
func (f Failure) Name() string {
	if f.Test == "" {
		return f.Package
	}
	return f.Package + "." + f.Test
}

// Run runs `go test -json args...` in dir with env added to the environment,
// and shows on log which packages are done. That tests fail is no error; one
// that go could not run is.
func Run(ctx context.Context, dir string, env, args []string, log *progress.Log) (_ *Result, err error) {
	step := log.Step("go test")
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		err = exit.With(exit.MachineLacks, fmt.Errorf("run the tests: %w", err))
		step.Fail(err)
		return nil, err
	}
	res, parseErr := Parse(out, func(pkg string) { step.Update("%s", pkg) })
	if parseErr != nil {
		_, _ = io.Copy(io.Discard, out)
	}
	waitErr := cmd.Wait()
	// go test exits with 1 if a test failed: then there is one in res.
	if _, failed := errors.AsType[*exec.ExitError](waitErr); failed && ctx.Err() == nil && parseErr == nil && len(res.Failed) > 0 {
		waitErr = nil
	}
	if err := errors.Join(ctx.Err(), parseErr, waitErr); err != nil {
		err = fmt.Errorf("go test: %w\n%s", err, stderr.String())
		step.Fail(err)
		return nil, err
	}
	step.Done("%d passed, %d failed, %d skipped", res.Passed, len(res.Failed), len(res.Skipped))
	return res, nil
}

// event is a line of go test -json, as `go doc test2json` describes it.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

// Parse reads the output of go test -json. onPackage, unless nil, is called
// with each package that is done.
func Parse(r io.Reader, onPackage func(pkg string)) (*Result, error) {
	type key struct{ pkg, test string }
	output := make(map[key]string)
	failedTests := make(map[string]bool) // by package
	res := &Result{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("expected an event of go test -json, found %.80q: %w", lines.Text(), err)
		}
		k := key{e.Package, e.Test}
		switch e.Action {
		case "output":
			if len(output[k]) < maxOutput {
				output[k] += e.Output
			}
		case "build-output":
			b := key{e.ImportPath, ""}
			if len(output[b]) < maxOutput {
				output[b] += e.Output
			}
		case "pass":
			if e.Test != "" {
				res.Passed++
			}
		case "fail":
			f := Failure{e.Package, e.Test, output[k] + output[key{e.FailedBuild, ""}]}
			if e.Test != "" {
				failedTests[e.Package] = true
			}
			// A package fails with its tests: it counts if it has none.
			if e.Test != "" || !failedTests[e.Package] {
				res.Failed = append(res.Failed, f)
			}
		case "skip":
			if e.Test != "" {
				res.Skipped = append(res.Skipped, Failure{e.Package, e.Test, output[k]})
			}
		}
		if e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip") {
			if onPackage != nil {
				onPackage(e.Package)
			}
		}
		if e.Action == "pass" || e.Action == "fail" || e.Action == "skip" {
			delete(output, k)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the output of go test: %w", err)
	}
	return res, nil
}
