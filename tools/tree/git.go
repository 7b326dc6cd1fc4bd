// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"

	"vcpulab/tools/program"
)

// Git runs git on a repository of the user's, which it only reads, and returns what it
// printed: no lock is taken, nothing is fetched, no program run that the repository
// names. The repository may be another user's, as it is under sudo. env is set besides.
func Git(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	git := program.Program{Name: "git", InheritEnv: true, Env: append([]string{
		"LC_ALL=C.UTF-8", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1",
	}, env...)}
	out, _, err := git.Run(ctx, append([]string{
		"-C", dir, "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "core.autocrlf=false",
	}, args...)...)
	return out, err
}
