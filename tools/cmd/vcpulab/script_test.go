// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the command a program that scripts can run: this binary
// again, under its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vcpulab": main})
}

// TestScript runs the scripts in testdata/script, one for each feature of the
// command. Each has a directory of its own and, unless it wants the real one, a
// cache of its own.
//
// In a script, besides what testscript has:
//
//	$ROOT             the repository
//	$PROGRAM          the directory of the program vcpulab, to make a PATH of
//	exits N cmd...    cmd has to end with the exit code N
//	json FILE key...  FILE ("stdout", too) has to be one JSON value with these keys
//	lab               see labCmd
//	mirror MODE       see mirror
//	interrupt, ended  see interruptCmd
//	real              use the cache with the pinned kernel
//	[tree]            there is the pinned tree, in $TREE
//	[kernel]          there is the unpatched kernel, too
//	[trimpath]        the command does not know where it was compiled
func TestScript(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{envTree, envKernel} {
		if os.Getenv(name) == "" {
			t.Logf("SKIPPED IN PART: %s is not set: what needs it is not tested; make test sets it", name)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(e *testscript.Env) error { return setup(e, root) },
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exitsCmd,
			"json":      jsonCmd,
			"lab":       labCmd,
			"mirror":    mirrorCmd,
			"interrupt": interruptCmd,
			"ended":     endedCmd,
			"real":      realCmd,
		},
	})
}

func setup(e *testscript.Env, root string) error {
	program, err := exec.LookPath("vcpulab")
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"ROOT": root, "PROGRAM": filepath.Dir(program), "VCPULAB_CACHE": filepath.Join(e.WorkDir, "cache"),
		"TREE": os.Getenv(envTree), envTree: os.Getenv(envTree), envKernel: os.Getenv(envKernel),
		// git is not to ask who one is, nor to read the user's settings.
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
		"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
		// What the make that runs the tests was given is not for the scripts.
		"ACCEL": "", "KERNEL_SRC": "", "MAKEFLAGS": "", "MAKELEVEL": "",
	} {
		e.Setenv(name, value)
	}
	e.Values[stateKey{}] = &state{}
	vars, err := goEnv()
	if err != nil {
		return err
	}
	for name, value := range vars {
		e.Setenv(name, value)
	}
	return nil
}

// goEnv returns what the go command otherwise finds by HOME, which is another
// one in tests: it asks once, before any of them changes that. With the caches of
// another home all of Go's library would be compiled again.
var goEnv = sync.OnceValues(func() (map[string]string, error) {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOSUMDB").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var vars map[string]string
	return vars, json.Unmarshal(out, &vars)
})

// state is what the commands of one script remember.
type state struct {
	mirror      *mirror
	interrupted *interrupted
}

type stateKey struct{}

func stateOf(ts *testscript.TestScript) *state { return ts.Value(stateKey{}).(*state) }

func condition(cond string) (bool, error) {
	switch cond {
	case "tree":
		return os.Getenv(envTree) != "", nil
	case "kernel":
		return os.Getenv(envTree) != "" && os.Getenv(envKernel) != "", nil
	case "trimpath":
		info, ok := debug.ReadBuildInfo()
		return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-trimpath", Value: "true"}), nil
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

// realCmd makes a script use the cache that has the pinned kernel.
func realCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 || os.Getenv(envTree) == "" {
		ts.Fatalf("usage: real, where [tree] holds")
	}
	ts.Setenv("VCPULAB_CACHE", realCache())
}

// realCache is the cache that the pinned tree, <cache>/pin/<key>/linux, is in.
func realCache() string {
	return filepath.Dir(filepath.Dir(filepath.Dir(os.Getenv(envTree))))
}

// exitsCmd runs a program that has to end with an exit code.
func exitsCmd(ts *testscript.TestScript, neg bool, args []string) {
	want := -1
	if len(args) > 1 {
		want, _ = strconv.Atoi(args[0])
	}
	if neg || want < 0 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	found := 0
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		found = ee.ExitCode()
	} else {
		ts.Check(err)
	}
	if found != want {
		ts.Fatalf("expected exit code %d, found %d", want, found)
	}
}

// jsonCmd looks whether a file is one JSON value, an object with these keys.
// A key a.b is the key b of the object a.
func jsonCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: json file [key...]")
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	var value any
	if err := dec.Decode(&value); err != nil {
		ts.Fatalf("%s is not JSON: %v", args[0], err)
	}
	if _, err := dec.Token(); err != io.EOF {
		ts.Fatalf("%s: expected one JSON value, found more", args[0])
	}
	for _, key := range args[1:] {
		at := value
		for part := range strings.SplitSeq(key, ".") {
			object, _ := at.(map[string]any) // nil for other values
			var ok bool
			if at, ok = object[part]; !ok {
				ts.Fatalf("%s: expected the key %s, found none", args[0], key)
			}
		}
	}
}

// TestEveryVerb looks whether each verb has scripts for good and for bad use.
func TestEveryVerb(t *testing.T) {
	var scripts strings.Builder
	err := fs.WalkDir(os.DirFS("testdata/script"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join("testdata/script", name))
		scripts.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range verbsOf(t) {
		for what, start := range map[string]string{"good": `exec`, "bad": `exits [1-9]`} {
			if !regexp.MustCompile(`(?m)^!? ?` + start + ` vcpulab (.* )?` + verb + `\b`).MatchString(scripts.String()) {
				t.Errorf("%s: expected a script for its %s use, found none", verb, what)
			}
		}
	}
}
