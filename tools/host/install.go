// SPDX-License-Identifier: GPL-2.0-only

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// Install installs what the machine lacks of the named groups, and returns it.
// It asks nothing: as root it runs apt-get, else by way of sudo where that
// needs no password. The error of an apt-get that failed has its output.
func (l *List) Install(ctx context.Context, log *progress.Log, groups ...string) ([]Package, error) {
	lacking, err := l.Missing(ctx, groups...)
	if err != nil || len(lacking) == 0 {
		return nil, err
	}
	prefix, why := aptPrefix(ctx, os.Geteuid())
	if why != "" {
		return nil, lacksError(lacking, why)
	}

	step := log.Step("install " + names(lacking))
	err = installPackages(ctx, prefix, lacking, step)
	if err == nil {
		var still []Package
		if still, err = missing(ctx, lacking); err == nil && len(still) > 0 {
			err = lacksError(still, "apt-get succeeded, but they are missing all the same")
		}
	}
	step.End(err, "%s", progress.Count(len(lacking), "package"))
	if err != nil {
		return nil, err
	}
	return lacking, nil
}

// aptPrefix returns what comes before apt-get, nothing or sudo, or why it cannot be run.
func aptPrefix(ctx context.Context, uid int) (prefix []string, why string) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, "it has no apt-get to install them with"
	}
	if uid == 0 {
		return nil, ""
	}
	_, _, err := program.Program{Name: "sudo", InheritEnv: true}.Run(ctx, "-n", "true")
	if _, missing := errors.AsType[*program.MissingError](err); missing {
		return nil, "installing them takes root, and sudo is not installed"
	}
	if err != nil {
		return nil, "installing them takes root, and sudo asks for a password"
	}
	return []string{"sudo", "-n"}, ""
}

func aptGet(prefix []string, verb ...string) []string {
	// sudo passes no environment on. needrestart would ask about services.
	args := append(prefix[:len(prefix):len(prefix)],
		"env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "LC_ALL=C.UTF-8",
		"apt-get", "--yes", "--quiet",
		"--option=DPkg::Lock::Timeout=300", // seconds, for another apt, such as that of a machine that starts
		"--option=Dpkg::Options::=--force-confdef", "--option=Dpkg::Options::=--force-confold")
	return append(args, verb...)
}

// staleLists is what apt-get prints when apt-get update helps.
var staleLists = regexp.MustCompile(`(?m)^E: (Unable to locate package|Package '.*' has no installation candidate|Couldn't find any package|Failed to fetch|Unable to fetch some archives|Version '.*' for '.*' was not found)|404 +Not Found`)

func installPackages(ctx context.Context, prefix []string, packages []Package, step *progress.Step) error {
	verb := append([]string{"install", "--no-install-recommends", "--no-upgrade"}, strings.Fields(names(packages))...)
	out, err := runApt(ctx, aptGet(prefix, verb...), step)
	if err != nil && ctx.Err() == nil && staleLists.MatchString(out) {
		// A new machine has no lists of packages yet, and an old one asks for
		// versions that the mirror no longer has. Lists are fetched only then:
		// that takes longer than many an installation.
		if out, err = runApt(ctx, aptGet(prefix, "update"), step); err == nil {
			out, err = runApt(ctx, aptGet(prefix, verb...), step)
		}
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("install packages: %w; its output ends with\n    %s\nTry it by hand: %s",
		err, strings.ReplaceAll(out, "\n", "\n    "), Command(packages)))
}

// runApt runs apt-get and returns the last lines of its output. A Ctrl-C reaches it
// also through sudo, and it then stops where dpkg can be stopped.
func runApt(ctx context.Context, args []string, step *progress.Step) (string, error) {
	const keptLines = 15 // that an error shows
	var tail []string
	apt := program.Program{
		Name: args[0], InheritEnv: true, Foreground: true, Stop: syscall.SIGINT, Grace: time.Minute,
		Lines: func(line string) {
			// Progress of a download overwrites its own line.
			line = strings.TrimRight(line, "\r")
			line = strings.TrimSpace(line[strings.LastIndexByte(line, '\r')+1:])
			if line == "" {
				return
			}
			step.Update("%s", line)
			tail = append(tail, line)
			tail = tail[max(0, len(tail)-keptLines):]
		},
	}
	_, _, err := apt.Run(ctx, args[1:]...)
	if status, ok := errors.AsType[*program.StatusError](err); ok {
		err = fmt.Errorf("apt-get: exit status %d", status.Status)
	}
	return strings.Join(tail, "\n"), err
}
