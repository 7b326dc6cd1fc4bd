// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// script runs one of the kernel's own Perl scripts in the tree in treeDir. It
// returns its output and exit status; err is for a script that could not be
// run to its end. The user's own configuration of the script is left out.
func script(ctx context.Context, treeDir, name string, stdin []byte, args ...string) (stdout []byte, status int, err error) {
	path := filepath.Join(treeDir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return nil, 0, fmt.Errorf("run %s: %s is not a kernel tree: %w", name, treeDir, err)
	}
	// Without a home there is no .checkpatch.conf; without git above the tree
	// no commit is looked up in a repository that is not the kernel's.
	perl := program.Program{Name: "perl", Dir: treeDir, Stdin: bytes.NewReader(stdin),
		Env: []string{"HOME=/nonexistent", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(treeDir)}}
	stdout, _, err = perl.Run(ctx, append([]string{path}, args...)...)
	if _, ok := errors.AsType[*program.MissingError](err); ok {
		return nil, 0, exit.With(exit.MachineLacks, fmt.Errorf("run %s: perl is not installed; install the package perl", name))
	}
	if ended, ok := errors.AsType[*program.StatusError](err); ok {
		// Perl's own faults; 1 is a verdict.
		if ended.Status == 1 && len(stdout) > 0 {
			return stdout, 1, nil
		}
		return nil, ended.Status, fmt.Errorf("run %s: exit status %d: %s", name, ended.Status, ended.Said)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("run %s: %w", name, err)
	}
	return stdout, 0, nil
}
