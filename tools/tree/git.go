// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"fmt"
	"os"
	"strings"

	"vcpulab/tools/program"
)

// Git runs git on a repository of the user's, which it only reads: no lock is taken, nothing
// is fetched, no program run that the repository names. It may be another user's, as it is
// under sudo. What git printed has no white space around it.
func Git(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	git := program.Program{Name: "git", InheritEnv: true, Env: append([]string{
		"LC_ALL=C.UTF-8", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1",
	}, env...)}
	out, _, err := git.Run(ctx, append([]string{
		"-C", dir, "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "core.autocrlf=false",
	}, args...)...)
	return strings.TrimSpace(string(out)), err
}

// Revision returns the id of what a name means in a repository of the user's: kind is
// commit or tree.
func Revision(ctx context.Context, dir string, env []string, name, kind string) (id string, err error) {
	id, err = Git(ctx, dir, env, "rev-parse", "--verify", "--end-of-options", name+"^{"+kind+"}")
	if err != nil && strings.Contains(err.Error(), "Needed a single revision") {
		err = fmt.Errorf("%s has no revision %q", dir, name)
	}
	return id, err
}

// OwnGit returns git for a repository that the program has made in dir. No setting of the
// user's counts, and what it commits is of no time.
func OwnGit(dir string) program.Program {
	return program.Program{Name: "git", Dir: dir, Env: []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=vcpulab", "GIT_AUTHOR_EMAIL=vcpulab@localhost", "GIT_AUTHOR_DATE=@0 +0000",
		"GIT_COMMITTER_NAME=vcpulab", "GIT_COMMITTER_EMAIL=vcpulab@localhost", "GIT_COMMITTER_DATE=@0 +0000",
	}}
}
