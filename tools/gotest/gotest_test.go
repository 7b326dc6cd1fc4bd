// SPDX-License-Identifier: GPL-2.0-only

package gotest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/gotestsum/testjson"

	"vcpulab/tools/progress"
)

// writeModule writes a module with these bodies of test files, by package, and
// returns options to run its tests.
func writeModule(t *testing.T, bodies map[string]string) Options {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"go.mod": "module example\n\ngo 1.26\n"}
	for name, body := range bodies {
		files[name+"/a_test.go"] = "package " + name + "\n\nimport (\"os\"; \"testing\"; \"time\")\n\nvar _, _ = os.Exit, time.Sleep\n\n" + body
	}
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// With other flags of the compiler Go's library would be compiled once more.
	flags := strings.TrimSpace(os.Getenv("GOFLAGS") + " -mod=mod")
	return Options{Dir: dir, Env: []string{"GOFLAGS=" + flags, "GOWORK=off"}, Packages: []string{"./..."}}
}

func TestRun(t *testing.T) {
	tests := map[string]struct {
		body    string
		flags   []string
		silence time.Duration
		passed  int
		failed  []string
		skipped []string
		output  []string // of the failed and skipped tests together
	}{
		"passes": {
			body:   `func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }`,
			passed: 2,
		},
		"fails": {
			body:   `func TestA(t *testing.T) {}; func TestB(t *testing.T) { t.Error("why") }`,
			passed: 1, failed: []string{"example/a.TestB"}, output: []string{"why"},
		},
		"skips": {
			body:    `func TestA(t *testing.T) { t.Skip("no tree") }`,
			skipped: []string{"example/a.TestA"}, output: []string{"a_test.go:7: no tree\n"},
		},
		"does not compile": {
			body:   `func TestA(t *testing.T) { undefined() }`,
			failed: []string{"example/a"}, output: []string{"a_test.go:7:28: undefined: undefined", "[build failed]"},
		},
		"panics in TestMain": {
			body:   `func TestMain(m *testing.M) { panic("died") }`,
			failed: []string{"example/a"}, output: []string{"panic: died"},
		},
		"panics": {
			body:   `func TestA(t *testing.T) {}; func TestB(t *testing.T) { t.Log("before"); panic("too bad") }`,
			passed: 1, failed: []string{"example/a.TestB"}, output: []string{"before", "panic: too bad", "a.TestB"},
		},
		"panics in another goroutine": {
			body: `func TestA(t *testing.T) { go panic("too bad"); select {} }`,
			// Go gives it to the test that ran.
			failed: []string{"example/a.TestA"}, output: []string{"panic: too bad"},
		},
		"exceeds its time": {
			body: `func TestA(t *testing.T) { t.Log("before"); select {} }`, flags: []string{"-timeout=1s"},
			failed: []string{"example/a", "example/a.TestA"},
			output: []string{"panic: test timed out after 1s", "running tests:\n\t\tTestA", "before"},
		},
		"hangs": {
			body: `func TestA(t *testing.T) { t.Log("before"); waitForever() }; func waitForever() { time.Sleep(time.Hour) }`,
			// Long enough for a test program to start on a busy machine.
			silence: 5 * time.Second,
			failed:  []string{"example/a.TestA"},
			output:  []string{"silent for too long", "before", "SIGQUIT: quit", "a.waitForever"},
		},
		"exits": {
			body:   `func TestA(t *testing.T) { os.Exit(7) }`,
			failed: []string{"example/a.TestA"}, output: []string{"did not come to its end"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := writeModule(t, map[string]string{"a": tt.body})
			o.Flags, o.Silence = tt.flags, tt.silence
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}

			if r.Passed != tt.passed {
				t.Errorf("passed: expected %d, found %d", tt.passed, r.Passed)
			}
			if diff := cmp.Diff(tt.failed, names(r.Failed)); diff != "" {
				t.Errorf("failed: %s", diff)
			}
			if diff := cmp.Diff(tt.skipped, names(r.Skipped)); diff != "" {
				t.Errorf("skipped: %s", diff)
			}
			var output strings.Builder
			for _, x := range append(r.Failed, r.Skipped...) {
				output.WriteString(x.Output)
			}
			for _, want := range tt.output {
				if !strings.Contains(output.String(), want) {
					t.Errorf("expected %q in the output, found\n%s", want, output.String())
				}
			}
		})
	}
}

func names(tests []Test) (names []string) {
	for _, t := range tests {
		names = append(names, t.String())
	}
	return names
}

// TestRunOfMany checks that a package which does not compile does not hide
// others, and that progress says what is left.
func TestRunOfMany(t *testing.T) {
	o := writeModule(t, map[string]string{
		"a": `func TestA(t *testing.T) { undefined() }`,
		"b": `func TestB(t *testing.T) {}`,
	})
	var log bytes.Buffer
	o.Log = progress.New(&log)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Passed != 1 || len(r.Failed) != 1 || !strings.Contains(log.String(), "go test: 1 passed, 1 failed, 0 skipped") {
		t.Errorf("expected 1 to pass and 1 to fail, found %+v and %q", r, log.String())
	}
}

func TestProgress(t *testing.T) {
	w := &watcher{packages: 2, started: map[string]time.Time{}}
	for _, e := range []struct{ action, pkg, test, want string }{
		{"start", "a", "", ""},
		{"run", "a", "TestA", "; a.TestA runs since "},
		{"run", "a", "TestA/sub", "; a.TestA/sub runs since "},
		{"pause", "a", "TestA/sub", ""},
		{"cont", "a", "TestA/sub", "; a.TestA/sub runs since "},
		{"pass", "a", "TestA/sub", ""},
		{"pass", "a", "TestA", ""},
		{"pass", "a", "", ""},
	} {
		event := testjson.TestEvent{Action: testjson.Action(e.action), Package: e.pkg, Test: e.test}
		if err := w.Event(event, nil); err != nil {
			t.Fatal(err)
		}
		if found := w.running(); !strings.HasPrefix(found, e.want) || (found == "") != (e.want == "") {
			t.Errorf("%v: expected %q, found %q", e, e.want, found)
		}
	}
	if w.finished != 1 || w.tests != 2 {
		t.Errorf("expected 1 package and 2 tests, found %d and %d", w.finished, w.tests)
	}
}

// TestRunCancelled cancels the context while a test runs: go, the test and what
// the test started have to end.
func TestRunCancelled(t *testing.T) {
	o := writeModule(t, map[string]string{"a": `
func TestA(t *testing.T) {
	if err := os.WriteFile(os.Getenv("RUNNING")+".new", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Rename(os.Getenv("RUNNING")+".new", os.Getenv("RUNNING"))
	time.Sleep(time.Hour)
}`})
	file := filepath.Join(o.Dir, "a/a_test.go")
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(data, []byte(`"os"`), []byte(`"os"; "strconv"`), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	running := filepath.Join(t.TempDir(), "running")
	o.Env = append(o.Env, "RUNNING="+running)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Run(ctx, o)
		ended <- err
	}()
	var pid []byte
	for pid == nil {
		select {
		case err := <-ended:
			t.Fatalf("expected the test to run, found %v", err)
		case <-time.After(time.Millisecond):
		}
		pid, _ = os.ReadFile(running)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v, found %v", context.Canceled, err)
	}

	id, err := strconv.Atoi(string(pid))
	if err != nil {
		t.Fatal(err)
	}
	// Its parent has ended: it may be a zombie until init has waited for it.
	for !hasEnded(id) {
		select {
		case <-t.Context().Done():
			t.Fatalf("the test still runs: process %d", id)
		case <-time.After(time.Millisecond):
		}
	}
}

func hasEnded(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}
