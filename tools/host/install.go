// SPDX-License-Identifier: GPL-2.0-only

package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// InstallError says that apt failed.
type InstallError struct {
	Packages []Package
	Command  string // what was run
	Output   string // the last lines of what it said
	Err      error
}

func (e *InstallError) Error() string {
	return fmt.Sprintf("install packages: %v: it said\n%s\nTry it by hand: %s", e.Err, indent(e.Output), Command(e.Packages))
}

func (e *InstallError) Unwrap() error { return e.Err }

// ExitCode says that the machine lacks something.
func (e *InstallError) ExitCode() int { return exit.MachineLacks }

// Install installs what the machine lacks of the named groups, and returns
// what that was. It asks no question: as root it runs apt-get, else by way of
// sudo where that needs no password. Where it cannot install it returns a
// *LacksError, and an *InstallError when apt fails.
func (l *List) Install(ctx context.Context, log *progress.Log, groups ...string) ([]Package, error) {
	lacking, err := l.Missing(ctx, groups...)
	if err != nil || len(lacking) == 0 {
		return nil, err
	}
	i, why := findInstaller(ctx, os.Geteuid())
	if i == nil {
		return nil, &LacksError{Packages: lacking, Why: why, Debian: hasApt()}
	}
	step := log.Step("install " + names(lacking))
	err = i.install(ctx, lacking, step)
	if err == nil {
		var still []Package
		if still, err = missing(ctx, lacking); err == nil && len(still) > 0 {
			err = &LacksError{Packages: still, Why: "apt-get said that it has installed them, but they are not to be found", Debian: true}
		}
	}
	step.End(err, "%d packages", len(lacking))
	if err != nil {
		return nil, err
	}
	return lacking, nil
}

func names(packages []Package) string {
	all := make([]string, len(packages))
	for i, p := range packages {
		all[i] = p.Name
	}
	return strings.Join(all, " ")
}

// installer is how packages can be installed on this machine.
type installer struct {
	prefix []string // before apt-get: sudo, or nothing
}

func hasApt() bool {
	_, err := exec.LookPath("apt-get")
	return err == nil
}

// findInstaller returns how to install packages, or nil and why one cannot.
func findInstaller(ctx context.Context, uid int) (i *installer, why string) {
	if !hasApt() {
		return nil, "it has no apt-get to install them with"
	}
	if uid == 0 {
		return &installer{}, ""
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		return nil, "installing them takes root, and there is no sudo"
	}
	if err := exec.CommandContext(ctx, "sudo", "-n", "true").Run(); err != nil {
		return nil, "installing them takes root, and sudo asks for a password"
	}
	return &installer{prefix: []string{"sudo", "-n"}}, ""
}

// aptLockTimeout is how long apt waits for another apt, such as the one that
// updates a machine when it starts.
const aptLockTimeout = 5 * time.Minute

// args returns the command line of apt-get.
func (i *installer) args(verb ...string) []string {
	args := append([]string{}, i.prefix...)
	// sudo passes no environment on. needrestart would ask which services to
	// restart.
	args = append(args, "env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "LC_ALL=C.UTF-8",
		"apt-get", "--yes", "--quiet",
		fmt.Sprintf("--option=DPkg::Lock::Timeout=%d", int(aptLockTimeout.Seconds())),
		"--option=Dpkg::Options::=--force-confdef", "--option=Dpkg::Options::=--force-confold")
	return append(args, verb...)
}

func (i *installer) install(ctx context.Context, packages []Package, step *progress.Step) error {
	verb := []string{"install", "--no-install-recommends", "--no-upgrade"}
	for _, p := range packages {
		verb = append(verb, p.Name)
	}
	out, err := run(ctx, i.args(verb...), step)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if staleLists.MatchString(out) {
		// A fresh machine has no lists of packages yet, and an old one asks
		// for versions that the mirror has no more. Only then, lists are
		// fetched: that takes longer than many an installation.
		if out, err = run(ctx, i.args("update"), step); err == nil {
			out, err = run(ctx, i.args(verb...), step)
		}
	}
	if err != nil && ctx.Err() == nil {
		err = &InstallError{Packages: packages, Command: strings.Join(i.args(verb...), " "), Output: out, Err: err}
	}
	return err
}

// staleLists is what apt-get says when apt-get update helps.
var staleLists = regexp.MustCompile(`(?m)^E: (Unable to locate package|Package '.*' has no installation candidate|Couldn't find any package|Failed to fetch|Unable to fetch some archives|Version '.*' for '.*' was not found)|404 +Not Found`)

// keptLines is how much of apt's output an error shows.
const keptLines = 15

// run runs apt-get and returns the last lines of what it said. It is the one
// process that is not in a group of its own: a Ctrl-C reaches it from the
// terminal also through sudo, and it then stops where dpkg can be stopped.
func run(ctx context.Context, args []string, step *progress.Step) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", fmt.Errorf("start %s: %w", args[0], err)
	}
	said := make(chan string, 1)
	go func() { said <- follow(r, step) }()
	err = cmd.Wait()
	// A service that an installation started may hold on to the pipe.
	r.SetReadDeadline(time.Now().Add(2 * time.Second))
	tail := <-said
	if err != nil {
		if ctx.Err() != nil {
			return tail, ctx.Err()
		}
		return tail, fmt.Errorf("apt-get: %w", err)
	}
	return tail, nil
}

// follow reads lines to the end, shows each, and returns the last ones.
func follow(r io.Reader, step *progress.Step) string {
	var tail []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// Progress of a download overwrites its own line.
		text := lines.Text()
		if at := strings.LastIndexByte(strings.TrimRight(text, "\r"), '\r'); at >= 0 {
			text = text[at+1:]
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		step.Update("%s", text)
		if tail = append(tail, text); len(tail) > keptLines {
			tail = tail[1:]
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		tail = append(tail, err.Error())
		io.Copy(io.Discard, r) // apt must not wait for a reader
	}
	return strings.Join(tail, "\n")
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
