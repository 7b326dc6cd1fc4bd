// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// TestMain is, in a guest and under another name, the program that does there what
// a test of the running kernel takes and a shell would do: a guest has none.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name != "within" && name != "workload" {
		code := m.Run()
		os.RemoveAll(withinDir)
		os.Exit(code)
	}
	code, err := within(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "within:", err)
		os.Exit(99)
	}
	os.Exit(code)
}

// withinDir has the program that TestMain is in a guest, once a test has asked for it.
var withinDir string

// withinProgram builds that program, once for all tests: it takes longer to link than
// most of them.
var withinProgram = sync.OnceValues(func() (program string, err error) {
	if withinDir, err = os.MkdirTemp("", "vcpulab-bench-"); err != nil {
		return "", err
	}
	program = filepath.Join(withinDir, "within")
	return program, goBuild(program, ".", "test", "-c")
})

// withinFile is the program as a file of a guest.
func withinFile(t *testing.T) vm.File {
	t.Helper()
	program, err := withinProgram()
	if err != nil {
		t.Fatal(err)
	}
	return vm.File{Path: "bin/within", Mode: 0o755, Host: program}
}

func within(what, arg string, more []string) (int, error) {
	switch what {
	case "cat":
		data, err := os.ReadFile(arg)
		if err == nil {
			_, err = os.Stdout.Write(data)
		}
		return 0, err
	case "getpriority": // so often
		for n, err := strconv.Atoi(arg); n > 0 || err != nil; n-- {
			if _, callErr := syscall.Getpriority(syscall.PRIO_PROCESS, 0); cmp.Or(err, callErr) != nil {
				return 0, cmp.Or(err, callErr)
			}
		}
		return 0, nil
	case "epoll": // so many, each in the next one
		return 0, nestEpolls(arg)
	case "write":
		return 0, os.WriteFile(arg, []byte(more[0]), 0)
	case "until": // a file says it
		for {
			data, err := os.ReadFile(arg)
			if err != nil || strings.TrimSpace(string(data)) == more[0] {
				return 0, err
			}
			time.Sleep(10 * time.Millisecond)
		}
	case "measure": // as a job says, with a module for that alone
		return measureWith(arg, more[0])
	case "as": // another user
		uid, err := strconv.Atoi(arg)
		if err != nil {
			return 0, err
		}
		if err := errors.Join(syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
			return 0, err
		}
		return 0, syscall.Exec(more[0], more, os.Environ())
	case "interrupt": // as soon as a module is loaded
		cmd := exec.Command(more[0], more[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for {
			select {
			case err := <-ended:
				return 0, fmt.Errorf("it ended before there was a module %s: %w", arg, err)
			case <-time.After(time.Millisecond):
			}
			data, err := os.ReadFile("/proc/modules")
			if err != nil {
				return 0, err
			}
			if bytes.Contains(data, []byte(arg+" ")) {
				return interrupt(cmd, ended)
			}
		}
	}
	return 0, fmt.Errorf("%s: it does not know how to", what)
}

// measureWith has the guest's program do a job on the running kernel.
func measureWith(module, job string) (_ int, err error) {
	file, err := os.Open(module)
	if err == nil {
		err = unix.FinitModule(int(file.Fd()), "", 0)
	}
	if err != nil {
		return 0, fmt.Errorf("load %s: %w", module, err)
	}
	defer func() { err = errors.Join(err, unix.DeleteModule(running.ModuleName, 0)) }()

	cmd := exec.Command("/init", wire.RunningArg)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if cmd.Stdin, err = os.Open(job); err != nil {
		return 0, err
	}
	err = cmd.Run()
	return cmd.ProcessState.ExitCode(), err
}

// interrupt presses Ctrl-C, and returns the exit code.
func interrupt(cmd *exec.Cmd, ended <-chan error) (int, error) {
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return 0, err
	}
	<-ended
	return cmd.ProcessState.ExitCode(), nil
}

// nestEpolls makes so many epoll instances, each of which the next one watches. The kernel
// looks for a circle whenever it is given one, and calls itself for each below.
func nestEpolls(count string) error {
	n, err := strconv.Atoi(count)
	for last := -1; n > 0 && err == nil; n-- {
		var fd int
		if fd, err = syscall.EpollCreate1(0); err == nil && last >= 0 {
			err = syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, last, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(last)})
		}
		last = fd
	}
	return err
}
