// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// interrupted is a program that interruptCmd has sent a signal.
type interrupted struct {
	cmd      *exec.Cmd
	children []process
}

// process is a process with when it was started: ids are used again.
type process struct {
	id      int
	name    string
	started string
}

// interruptCmd sends SIGINT, as Ctrl-C does, to the program that the script
// runs in the background, as soon as it has come to a point:
//
//	interrupt file GLOB     such a file is there
//	interrupt child NAME    such a process descends from it
//
// The signal goes to the program alone, not to its children as from a
// terminal: it has to end them itself.
func interruptCmd(ts *testscript.TestScript, neg bool, args []string) {
	background := ts.BackgroundCmds()
	if neg || len(args) != 2 || len(background) != 1 {
		ts.Fatalf("usage: interrupt file GLOB | interrupt child NAME, with one program in the background")
	}
	cmd := background[0]
	var there func() bool
	switch args[0] {
	case "file":
		there = func() bool {
			names, err := filepath.Glob(ts.MkAbs(args[1]))
			ts.Check(err)
			return len(names) > 0
		}
	case "child":
		there = func() bool {
			return slices.ContainsFunc(descendants(cmd.Process.Pid), func(p process) bool { return p.name == args[1] })
		}
	default:
		ts.Fatalf("interrupt: what is %s?", args[0])
	}
	for deadline := time.Now().Add(time.Minute); !there(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) || cmd.Process.Signal(syscall.Signal(0)) != nil {
			ts.Fatalf("interrupt: %s %s: the program did not come there", args[0], args[1])
		}
	}
	stateOf(ts).interrupted = &interrupted{cmd: cmd, children: descendants(cmd.Process.Pid)}
	ts.Check(cmd.Process.Signal(os.Interrupt))
}

// endedCmd comes after a wait: the interrupted program has to have ended with
// this exit code, and its children with it.
func endedCmd(ts *testscript.TestScript, neg bool, args []string) {
	i := stateOf(ts).interrupted
	if neg || len(args) != 1 || i == nil || i.cmd.ProcessState == nil {
		ts.Fatalf("usage: ended CODE, after interrupt and wait")
	}
	if found := fmt.Sprint(i.cmd.ProcessState.ExitCode()); found != args[0] {
		ts.Fatalf("expected exit code %s, found %s", args[0], found)
	}
	for _, p := range i.children {
		if now, err := readProcess(p.id); err == nil && now.started == p.started {
			ts.Fatalf("process %d (%s) is still there", p.id, p.name)
		}
	}
}

// descendants returns the processes below a process.
func descendants(id int) []process {
	parents := make(map[int]int)
	all := make(map[int]process)
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := readStat(n)
		if err != nil {
			continue // it has ended
		}
		parents[n], _ = strconv.Atoi(stat[1])
		all[n], _ = readProcess(n)
	}
	var found []process
	for n := range all {
		for up := parents[n]; up > 0; up = parents[up] {
			if up == id {
				found = append(found, all[n])
				break
			}
		}
	}
	return found
}

// readProcess reads what a process is. A zombie is none any more.
func readProcess(id int) (process, error) {
	stat, err := readStat(id)
	if err != nil {
		return process{}, err
	}
	if stat[0] == "Z" {
		return process{}, os.ErrProcessDone
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id))
	return process{id, strings.TrimSpace(string(name)), stat[19]}, err
}

// readStat returns the fields of /proc/<id>/stat from the third on, the state.
func readStat(id int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return nil, err
	}
	at := strings.LastIndexByte(string(data), ')')
	fields := strings.Fields(string(data[at+1:]))
	if at < 0 || len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat: %q", id, data)
	}
	return fields, nil
}
