// SPDX-License-Identifier: GPL-2.0-only

package branch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// scratch is what directories of this package in the cache are called.
const scratch = "checkin"

// Collected says what has become of the patches of a set.
type Collected struct {
	Name    string `json:"name"`
	Patches int    `json:"patches"`
	// Changed and Gone are the files of patches, by their names after and before.
	Changed []string `json:"changed,omitempty"`
	Gone    []string `json:"gone,omitempty"`
	// Generate: the set has semantic patches, whose changes depend on it and on what it needs.
	Generate bool `json:"generate,omitempty"`
}

// IsChanged returns whether any patch of the set is another one than before.
func (c Collected) IsChanged() bool { return len(c.Changed)+len(c.Gone) > 0 }

// Collect makes patches of the branches in dir, which Make has made of sets on base, and
// replaces those of sets with them, all or nothing: also the tables of cover letters, and
// the patches of sets that need one that was changed. The repository is only read. What is
// not ready to be a patch is an error that lists it.
func Collect(ctx context.Context, dir string, base tree.Tree, sets *series.Sets, o series.Options) (_ []Collected, err error) {
	id, err := git(ctx, dir, "config", baseKey)
	switch {
	case err != nil:
		return nil, exit.With(exit.Usage, fmt.Errorf("%s is not what vcpulab checkout has made: %w", dir, err))
	case id != base.ID:
		return nil, exit.With(exit.Usage, fmt.Errorf("%s was checked out from another base than Linux %s: name the same one with --base", dir, base.Version))
	}
	tmp, remove, err := o.Cache.Scratch(scratch)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()

	// First the patches as they are in the branches, on what those were made on.
	asIs, unready := filepath.Join(tmp, "branches"), clean(ctx, dir)
	all := slices.Concat(sets.All, sets.Rivals)
	for _, set := range all {
		stack, err := sets.Stack(set.Name)
		if err != nil {
			return nil, err
		}
		own := []string{"refs/heads/" + name(set), "^" + startRefs + name(set), "^refs/heads/" + baseName}
		for _, need := range stack[:len(stack)-1] {
			own = append(own, "^refs/heads/"+name(need))
		}
		first, bad, err := ready(ctx, dir, name(set), own)
		if unready = append(unready, bad...); err == nil && len(bad) == 0 {
			err = format(ctx, dir, first+"^.."+name(set), filepath.Join(asIs, set.Dir()), false)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(unready) > 0 {
		return nil, exit.With(exit.CheckFailed, fmt.Errorf("%s is not ready to come back, and nothing was changed:\n  %s", dir, strings.Join(unready, "\n  ")))
	}

	// Then on what the sets that they need have become.
	moved, again := *sets, filepath.Join(tmp, "again")
	moved.Dir = asIs
	if _, err := Make(ctx, again, base, &moved, o); err != nil {
		return nil, fmt.Errorf("%w\nThat is after what other branches have become: rebase the branch in %s on those that it needs, and check it in again", err, dir)
	}
	beside, err := os.MkdirTemp(filepath.Dir(filepath.Clean(sets.Dir)), ".checkin-")
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	defer os.RemoveAll(beside)
	out := filepath.Join(beside, "patches")
	if err := os.CopyFS(out, os.DirFS(sets.Dir)); err != nil {
		return nil, err
	}
	before := *sets
	before.Dir = out
	var list []Collected
	for _, set := range all {
		was, err := before.LoadAlone(set)
		if err != nil {
			return nil, err
		}
		c, err := replace(ctx, again, set, was)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, os.NewSyscallError("replace "+sets.Dir, unix.Renameat2(unix.AT_FDCWD, out, unix.AT_FDCWD, sets.Dir, unix.RENAME_EXCHANGE))
}

// Refresh makes the tables of cover letters those of the patches again, as Collect does,
// after patches of sets were written by something else.
func Refresh(ctx context.Context, base tree.Tree, sets *series.Sets, o series.Options) (err error) {
	tmp, remove, err := o.Cache.Scratch(scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	dir := filepath.Join(tmp, "branches")
	if _, err := Make(ctx, dir, base, sets, o); err != nil {
		return err
	}
	_, err = Collect(ctx, dir, base, sets, o)
	return err
}

// clean says what in a repository is in no commit yet.
func clean(ctx context.Context, dir string) (unready []string) {
	for _, doing := range []string{"rebase-merge", "rebase-apply"} {
		if _, err := os.Stat(filepath.Join(dir, ".git", doing)); err == nil {
			unready = append(unready, "a rebase or git am is not finished: git rebase --continue, or git am --continue")
		}
	}
	changed, err := git(ctx, dir, "--no-optional-locks", "status", "--porcelain")
	if err != nil {
		unready = append(unready, err.Error())
	}
	if changed != "" {
		unready = append(unready, "changes that are in no commit: "+strings.Join(strings.Fields(changed), " "))
	}
	return unready
}

// ready returns the first of a branch's own commits, and says what is wrong with them.
func ready(ctx context.Context, dir, branch string, own []string) (first string, unready []string, err error) {
	out, err := git(ctx, dir, append([]string{"log", "--reverse", "--topo-order",
		"--format=%h%x00%P%x00%an <%ae>%x00%s%x00%(trailers:key=Signed-off-by,valueonly)%x00"}, append(own, "--")...)...)
	if err != nil {
		return "", nil, exit.With(exit.Usage, err)
	}
	fields := strings.Split(out, "\x00")
	if len(fields) < 6 {
		return "", []string{"branch " + branch + " has no commits of its own: to drop a set, take it out of sets.toml"}, nil
	}
	for ; len(fields) > 5; fields = fields[5:] {
		commit, parents, author, subject, signed := strings.TrimSpace(fields[0]), strings.Fields(fields[1]), fields[2], fields[3], fields[4]
		wrong := ""
		switch {
		case len(parents) != 1:
			wrong = "is a merge: rebase the branch without"
		case regexp.MustCompile(`^(fixup|squash|amend)! `).MatchString(subject):
			wrong = "is to be squashed: git rebase -i --autosquash"
		case !slices.Contains(strings.Split(signed, "\n"), author):
			wrong = fmt.Sprintf("has no Signed-off-by of its author, %s: git commit --amend --signoff", author)
		}
		if wrong != "" {
			unready = append(unready, fmt.Sprintf("branch %s: commit %s %q %s", branch, commit, subject, wrong))
		}
		if first == "" {
			first = commit
		}
	}
	return first, unready, nil
}

// format writes the patches of a range of commits to dir, with their notes.
func format(ctx context.Context, repo, span, dir string, cover bool) error {
	args := append(slices.Clone(series.FormatPatch), "--output-directory="+dir)
	if cover {
		args = append(args, "--cover-letter")
	}
	if _, err := git(ctx, repo, append(args, span)...); err != nil {
		return err
	}
	out, err := git(ctx, repo, "log", "--reverse", "--topo-order", "--format=%N%x00", span)
	if err != nil {
		return err
	}
	names, err := pattern.Files(dir, "*.patch")
	if err != nil {
		return err
	}
	if cover {
		names = names[min(1, len(names)):]
	}
	notes := strings.Split(out, "\x00")
	if len(names) != len(notes)-1 {
		return fmt.Errorf("git format-patch %s: expected %d patches, found %d: is a commit empty?", span, len(notes)-1, len(names))
	}
	for i, name := range names {
		if note := strings.TrimSpace(notes[i]); note != "" {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			data = bytes.Replace(data, []byte("\n---\n"), []byte("\n---\n"+note+"\n\n"), 1)
			if err := os.WriteFile(name, data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace replaces the patches of a set in its directory with those of its branch.
func replace(ctx context.Context, repo string, set series.Set, was *series.Series) (c Collected, err error) {
	dir := was.Dir
	fresh, err := os.MkdirTemp(repo, "patches-")
	if err == nil {
		err = format(ctx, repo, startRefs+name(set)+".."+name(set), fresh, true)
	}
	if err != nil {
		return c, err
	}
	git, err := os.ReadFile(filepath.Join(fresh, coverName))
	if err == nil {
		err = os.Remove(filepath.Join(fresh, coverName))
	}
	now, loadErr := series.Load(fresh)
	if err = errors.Join(err, loadErr); err != nil {
		return c, err
	}

	c = Collected{Name: name(set), Patches: len(now.Patches)}
	before := make(map[string]string)
	for _, p := range was.Patches {
		before[p.Name] = string(p.Mail)
		err = errors.Join(err, os.Remove(filepath.Join(dir, p.Name)))
	}
	for _, p := range now.Patches {
		if before[p.Name] != string(p.Mail) {
			c.Changed = append(c.Changed, p.Name)
		}
		delete(before, p.Name)
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, p.Name), p.Mail, 0o644))
	}
	for _, p := range was.Patches {
		if _, gone := before[p.Name]; gone {
			c.Gone = append(c.Gone, p.Name)
		}
	}
	rules, globErr := pattern.Files(dir, "*.cocci")
	c.Generate = len(rules) > 0
	if err = errors.Join(err, globErr); err != nil || was.Cover == nil || !c.Generate && !c.IsChanged() {
		return c, err
	}
	letter, coverErr := coverOf(was, len(now.Patches), git)
	return c, errors.Join(err, coverErr, os.WriteFile(filepath.Join(dir, was.Cover.Name), letter, 0o644))
}

// coverName is what git calls a cover letter.
const coverName = "0000-cover-letter.patch"

var (
	numbers  = regexp.MustCompile(`(?m)^(Subject: \[[^]\n]*?)\d+/\d+\]`)
	shortlog = regexp.MustCompile(`(?m)^\S.* \(\d+\):$`)
)

// coverOf returns the cover letter of a series with the numbers and the tables of git's one.
func coverOf(s *series.Series, total int, git []byte) ([]byte, error) {
	_, tables, ok := bytes.Cut(git, []byte("*** BLURB HERE ***\n\n"))
	if !ok {
		return nil, errors.New("git format-patch has written a cover letter without a blurb")
	}
	letter := numbers.ReplaceAll(s.Cover.Mail, fmt.Appendf(nil, "${1}%0*d/%d]", len(fmt.Sprint(total)), 0, total))
	head, _, _ := bytes.Cut(shortlog.Find(tables), []byte(" ("))
	old := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(string(head))+` \(\d+\):$`).FindAllIndex(letter, -1)
	if len(old) > 0 {
		letter = letter[:old[len(old)-1][0]]
	} else {
		letter = append(bytes.TrimRight(letter, "\n"), "\n\n"...)
	}
	return append(letter, tables...), nil
}
