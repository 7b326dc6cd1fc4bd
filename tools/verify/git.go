// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"vcpulab/tools/program"
	"vcpulab/tools/series"
)

// repository is a git repository of the files that the series touches, to
// which git itself has applied the patches.
type repository struct {
	dir string
	git program.Program
	// commits are what git am has made, in order. failed is why it has made
	// no more; "" if it has made all.
	commits []commit
	failed  string
}

// commit is what git am makes of a mail.
type commit struct {
	author, subject string
	files           map[string]blob // that it changes
}

// blob is a file as git has it; the zero value is one that is not there.
type blob struct{ mode, id string }

// identity is who applies the patches, and leaves out what the user has
// configured.
var identity = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
	"GIT_AUTHOR_NAME=vcpulab", "GIT_AUTHOR_EMAIL=series@vcpulab.invalid",
	"GIT_COMMITTER_NAME=vcpulab", "GIT_COMMITTER_EMAIL=series@vcpulab.invalid",
}

// repository returns the repository, which is made once. Run removes it.
func (s *Submission) repository(ctx context.Context) (*repository, error) {
	if s.repo != nil {
		return s.repo, nil
	}
	dir, err := os.MkdirTemp("", "vcpulab-verify-")
	if err != nil {
		return nil, err
	}
	r := &repository{dir: dir, git: program.Program{Name: "git", Dir: filepath.Join(dir, "tree"), Env: identity}}
	if err := r.fill(ctx, s); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("apply the series with git: %w", err)
	}
	s.repo = r
	return r, nil
}

// applied returns the repository if git has applied all patches.
func (s *Submission) applied(ctx context.Context) (*repository, error) {
	r, err := s.repository(ctx)
	if err == nil && r.failed != "" {
		err = errNotApplied
	}
	return r, err
}

// forget removes the repository.
func (s *Submission) forget() {
	if s.repo != nil {
		os.RemoveAll(s.repo.dir)
		s.repo = nil
	}
}

// fill makes the repository.
func (r *repository) fill(ctx context.Context, s *Submission) error {
	if err := os.Mkdir(r.git.Dir, 0o755); err != nil {
		return err
	}
	if err := copyTouched(s, r.git.Dir); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--template=", "--object-format=sha1"},
		// Without --force, the kernel's .gitignore would have a say.
		{"add", "--all", "--force"},
		{"commit", "--quiet", "--allow-empty", "--message=before"},
		{"tag", "base"},
	} {
		if _, _, err := r.git.Run(ctx, args...); err != nil {
			return err
		}
	}
	args := []string{"am", "--quiet"}
	for _, p := range s.Series.Patches {
		name := filepath.Join(r.dir, fmt.Sprintf("%04d.patch", p.Number))
		if err := os.WriteFile(name, p.Mail, 0o644); err != nil {
			return err
		}
		args = append(args, name)
	}
	_, errs, err := r.git.Run(ctx, args...)
	if _, ok := errors.AsType[*program.StatusError](err); ok {
		r.failed = strings.TrimSpace(string(errs))
	} else if err != nil {
		return err
	}
	r.commits, err = r.log(ctx)
	return err
}

// copyTouched copies what the series touches of the base, and what git goes
// by, to dir.
func copyTouched(s *Submission, dir string) error {
	from, err := os.OpenRoot(s.Base.Dir)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	// Not the .gitignore at the top: Debian's leaves out everything.
	names := map[string]bool{".gitattributes": true}
	for _, name := range s.Series.Paths() {
		names[name] = true
		for at := path.Dir(name); at != "."; at = path.Dir(at) {
			names[at+"/.gitignore"] = true
		}
	}
	for name := range names {
		if err := copyFile(from, to, name); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file with its mode, if it is there.
func copyFile(from, to *os.Root, name string) error {
	info, err := from.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := to.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return to.Symlink(target, name)
	}
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// log reads what git am has made.
func (r *repository) log(ctx context.Context) ([]commit, error) {
	const mark = "commit\x01"
	out, _, err := r.git.Run(ctx, "log", "--reverse", "--raw", "--no-renames", "--no-abbrev", "-z", "--format="+mark+"%an <%ae>%x00%s", "base..HEAD")
	if err != nil {
		return nil, err
	}
	var commits []commit
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i++ {
		field := strings.TrimLeft(fields[i], "\n")
		if author, ok := strings.CutPrefix(field, mark); ok {
			commits = append(commits, commit{author: author, subject: fields[i+1], files: make(map[string]blob)})
			i++
			continue
		}
		// ":100644 100644 <before> <after> M", then the name.
		words := strings.Fields(strings.TrimPrefix(field, ":"))
		if len(words) != 5 || len(commits) == 0 {
			return nil, fmt.Errorf("read git log: field %d is %s", i, strconv.Quote(field))
		}
		b := blob{mode: words[1], id: words[3]}
		if strings.Trim(b.id, "0") == "" {
			b = blob{}
		}
		commits[len(commits)-1].files[fields[i+1]] = b
		i++
	}
	return commits, nil
}

// files returns what a patch makes of each file, as it was applied here.
func files(p series.PatchReport) map[string]blob {
	m := make(map[string]blob)
	for _, f := range p.Files {
		if f.OldPath != "" && f.Action == series.Rename {
			m[f.OldPath] = blob{}
		}
		m[f.Path] = blob{mode: f.Mode, id: f.After}
	}
	return m
}
