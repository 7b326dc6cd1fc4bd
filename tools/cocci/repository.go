// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vcpulab/tools/program"
)

// repository is a git repository of a few files, whose one purpose is a patch
// as git writes it.
type repository struct {
	git program.Program
}

// identity is for commits that nobody sees.
var identity = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
	"GIT_AUTHOR_NAME=vcpulab", "GIT_AUTHOR_EMAIL=series@vcpulab.invalid", "GIT_AUTHOR_DATE=1700000000 +0000",
	"GIT_COMMITTER_NAME=vcpulab", "GIT_COMMITTER_EMAIL=series@vcpulab.invalid", "GIT_COMMITTER_DATE=1700000000 +0000",
}

// newRepository makes a repository in dir, which is empty, with one commit of
// the files.
func newRepository(ctx context.Context, dir string, attrs []byte, files map[string][]byte) (*repository, error) {
	r := &repository{program.Program{Name: "git", Dir: dir, Env: identity}}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for name, data := range files {
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, err
		}
		if err := root.WriteFile(name, data, 0o644); err != nil {
			return nil, err
		}
	}
	if attrs != nil {
		if err := root.WriteFile(attributes, attrs, 0o644); err != nil {
			return nil, err
		}
	}
	if _, _, err := r.git.Run(ctx, "init", "--quiet", "--template=", "--object-format=sha1"); err != nil {
		return nil, err
	}
	return r, r.commit(ctx, "before")
}

func (r *repository) commit(ctx context.Context, subject string) error {
	// Without --force, a kernel's .gitignore would have a say.
	if _, _, err := r.git.Run(ctx, "add", "--all", "--force"); err != nil {
		return err
	}
	_, _, err := r.git.Run(ctx, "commit", "--quiet", "--allow-empty", "--message="+subject)
	return err
}

// change commits what has become of the files and returns diffstat and diff.
func (r *repository) change(ctx context.Context) ([]byte, error) {
	if err := r.commit(ctx, "after"); err != nil {
		return nil, err
	}
	mail, _, err := r.git.Run(ctx, "format-patch", "--stdout", "--no-signature", "--abbrev=12", "-1")
	if err != nil {
		return nil, err
	}
	_, change, ok := bytes.Cut(mail, []byte("\n"+separator))
	if !ok {
		return nil, fmt.Errorf("git format-patch has written no line %q", separator)
	}
	return change, nil
}
