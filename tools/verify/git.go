// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/pattern"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

func gitAm(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
	r, err := s.repository(ctx)
	if err != nil {
		return nil, err
	}
	a := s.apply()
	var found []Finding
	for i, c := range r.commits {
		if i >= len(r.patches) {
			found = append(found, Finding{Message: "git am makes more commits than there are patches", Found: c.subject})
			break
		}
		p := r.patches[i]
		fmt.Fprintf(log, "%s: %d files\n", p.Name, len(c.files))
		compare := func(file, what, expected, is string) {
			if expected != is {
				found = append(found, Finding{Patch: p.Name, File: file, Message: "git am makes another " + what, Expected: expected, Found: is})
			}
		}
		compare("", "author", p.Author.String(), c.author)
		compare("", "subject", p.Subject, c.subject)
		if a.err != nil {
			continue
		}
		tested := files(a.report.Patches[p.Number-1])
		all := maps.Clone(tested)
		maps.Copy(all, c.files)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			compare(name, "file than was tested", cmp.Or(tested[name], "as before"), cmp.Or(c.files[name], "as before"))
		}
	}
	if r.failed != "" {
		f := Finding{Message: "git am does not take it", Found: r.failed, Do: "git am --show-current-patch=diff, in a tree of your own"}
		if n := len(r.commits); n < len(r.patches) {
			f.Patch = r.patches[n].Name
		}
		found = append(found, f)
	}
	return found, nil
}

// repository is a git repository of the files that the series touches, to
// which git itself has applied the patches.
type repository struct {
	dir string
	git program.Program
	// patches are those that git am was given: all that are not in the base already.
	patches []*series.Patch
	// commits are what git am has made, in order. failed is why it has made
	// no more; "" if it has made all.
	commits []commit
	failed  string
	mails   []string // of git format-patch, once they were asked for
}

// commit is what git am makes of a mail.
type commit struct {
	author, subject string
	files           map[string]string // that it changes: mode and blob
}

// noFile stands for the mode and blob of a file that is removed.
const noFile = "no file"

// repository returns the repository, which is made once. Run removes it.
func (s *Submission) repository(ctx context.Context) (*repository, error) {
	if s.repo != nil {
		return s.repo, nil
	}
	dir, err := os.MkdirTemp("", "vcpulab-verify-")
	if err != nil {
		return nil, err
	}
	r := &repository{dir: dir, git: tree.OwnGit(filepath.Join(dir, "tree"))}
	if err := r.fill(ctx, s); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("apply the series with git: %w", err)
	}
	s.repo = r
	return r, nil
}

func (s *Submission) forget() {
	if s.repo != nil {
		os.RemoveAll(s.repo.dir)
		s.repo = nil
	}
}

func (r *repository) fill(ctx context.Context, s *Submission) error {
	if err := os.Mkdir(r.git.Dir, 0o755); err != nil {
		return err
	}
	base, err := filepath.Abs(s.Base.Dir)
	if err != nil {
		return err
	}
	// Without --force, the kernel's .gitignore would have a say.
	add := []string{"--git-dir=" + filepath.Join(r.git.Dir, ".git"), "--work-tree=" + base, "-C", base, "add", "--force", "--"}
	for _, args := range [][]string{
		{"init", "--quiet", "--template=", "--object-format=sha1"},
		append(add, touched(s)...),
		{"commit", "--quiet", "--allow-empty", "--message=before"},
		{"tag", "base"},
		{"reset", "--quiet", "--hard"},
	} {
		if _, _, err := r.git.Run(ctx, args...); err != nil {
			return err
		}
	}
	args := []string{"am", "--quiet"}
	a := s.apply()
	for i, p := range s.Series.Patches {
		if a.err == nil && a.report != nil && a.report.Patches[i].Status == series.Already {
			continue
		}
		r.patches = append(r.patches, p)
		name := filepath.Join(r.dir, fmt.Sprintf("%04d.patch", p.Number))
		if err := os.WriteFile(name, p.Mail, 0o644); err != nil {
			return err
		}
		args = append(args, name)
	}
	if len(r.patches) == 0 {
		return nil
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

// touched returns the files of the base that the series touches, and those that
// git goes by.
func touched(s *Submission) []string {
	// Not the .gitignore at the top: Debian's leaves out everything.
	names := map[string]bool{".gitattributes": true}
	for _, name := range s.Series.Paths() {
		names[name] = true
		for at := path.Dir(name); at != "."; at = path.Dir(at) {
			names[at+"/.gitignore"] = true
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool {
		_, err := os.Lstat(filepath.Join(s.Base.Dir, filepath.FromSlash(name)))
		return errors.Is(err, os.ErrNotExist)
	})
	return slices.Sorted(maps.Keys(names))
}

// log reads what git am has made.
func (r *repository) log(ctx context.Context) ([]commit, error) {
	out, _, err := r.git.Run(ctx, "-c", "core.quotePath=false", "log", "--reverse", "--raw", "--no-renames", "--no-abbrev",
		"--format=commit %an <%ae>%x09%s", "base..HEAD")
	if err != nil {
		return nil, err
	}
	var commits []commit
	for line := range strings.Lines(string(out)) {
		head, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		author, isCommit := strings.CutPrefix(head, "commit ")
		words := strings.Fields(head) // ":100644 100644 <before> <after> M"
		switch {
		case isCommit:
			commits = append(commits, commit{author: author, subject: name, files: make(map[string]string)})
		case len(words) == 5 && len(commits) > 0:
			commits[len(commits)-1].files[name] = content(words[1], words[3])
		case head != "":
			return nil, fmt.Errorf("read git log: unexpected line %q", line)
		}
	}
	return commits, nil
}

// content returns the mode and blob of a file as one text.
func content(mode, blob string) string {
	if strings.Trim(blob, "0") == "" {
		return noFile
	}
	return mode + " " + blob
}

// files returns what a patch makes of each file, as it was applied here.
func files(p series.PatchReport) map[string]string {
	m := make(map[string]string)
	for _, f := range p.Files {
		if f.OldPath != "" && f.Action == series.Rename {
			m[f.OldPath] = noFile
		}
		m[f.Path] = content(f.Mode, f.After)
	}
	return m
}

func diffstat(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
	if s.Author == (series.Person{}) {
		return ofOthers(s.Series.Patches, log), nil
	}
	mails, err := s.formatted(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for i, p := range s.Series.Patches {
		_, want, _ := strings.Cut(mails[i+1], "\n---\n")
		want = above(want)
		is := above(p.Below())
		fmt.Fprintf(log, "%s\n%s\n", p.Name, want)
		if is == want || strings.HasSuffix(is, "\n"+want) { // notes may stand before it
			continue
		}
		lines, wanted := strings.Split(is, "\n"), strings.Split(want, "\n")
		_, f := difference(lines[max(0, len(lines)-len(wanted)):], wanted, equal)
		f.Patch, f.Message = p.Name, "the diffstat is not that of the diff"
		f.Do = "git am the series, and git format-patch it again; vcpulab generate --write for a generated patch"
		found = append(found, f)
	}
	return found, nil
}

func cover(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
	c := s.Series.Cover
	if c == nil {
		return nil, nil // the check "mails" says so
	}
	mails, err := s.formatted(ctx)
	if err != nil {
		return nil, err
	}
	// Git's letter is its blurb, then the shortlog and the diffstat.
	_, want, ok := strings.Cut(mails[0], "*** BLURB HERE ***\n\n")
	if !ok {
		return nil, fmt.Errorf("git format-patch has written a cover letter without a blurb")
	}
	want = strings.TrimSpace(want)
	fmt.Fprintf(log, "the end of the cover letter, as git makes it:\n%s\n", want)
	text := c.Message
	if more := c.Below(); more != "" {
		text += "\n" + more
	}
	text, _, _ = strings.Cut(text, "\n-- \n")
	text = strings.TrimSpace(text)
	if strings.HasSuffix(text, "\n"+want) {
		return nil, nil
	}
	head, _, _ := strings.Cut(want, "\n") // "vcpulab (39):"
	name, _, _ := strings.Cut(head, " (")
	at := strings.LastIndex(text, "\n"+name+" (")
	if at < 0 {
		return []Finding{{Patch: c.Name, Message: "there is no shortlog", Expected: head, Do: "end the letter with what the check's log has"}}, nil
	}
	n, f := difference(strings.Split(strings.TrimSpace(text[at:]), "\n"), strings.Split(want, "\n"), equal)
	f.Patch, f.Message = c.Name, "shortlog and diffstat are not what git makes of the patches: "+progress.Count(n, "line")+" differ"
	f.Line = lineIn(c, f.Found)
	f.Do = "end the letter with what the check's log has"
	return []Finding{f}, nil
}

// formatted returns the mails that git format-patch makes of what git am has
// made, the cover letter first.
func (s *Submission) formatted(ctx context.Context) ([]string, error) {
	r, err := s.repository(ctx)
	if err == nil && r.failed != "" {
		err = errNotApplied
	}
	if err != nil {
		return nil, err
	}
	if r.mails != nil {
		return r.mails, nil
	}
	dir := filepath.Join(r.dir, "mails")
	if _, _, err := r.git.Run(ctx, "format-patch", "--quiet", "--cover-letter", "--no-signature", "--no-base", "--abbrev=12", "-N",
		"--output-directory="+dir, "base..HEAD"); err != nil {
		return nil, err
	}
	names, err := pattern.Files(dir, "*.patch")
	if err == nil && len(names) != len(s.Series.Patches)+1 {
		err = fmt.Errorf("git format-patch: expected %d mails, found %d", len(s.Series.Patches)+1, len(names))
	}
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r.mails = append(r.mails, string(data))
	}
	return r.mails, nil
}

// above returns what stands above the diff: notes and diffstat.
func above(text string) string {
	text, _, _ = strings.Cut("\n"+text, "\ndiff --git ")
	return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(text, "\n"), "---\n"), "\n")
}

func equal(a, b string) bool { return a == b }

// difference returns in how many lines is and want differ, and a finding for the first
// of them.
func difference(is, want []string, same func(a, b string) bool) (n int, f Finding) {
	at := func(lines []string, i int) string {
		if i < len(lines) {
			return lines[i]
		}
		return ""
	}
	for i := range max(len(is), len(want)) {
		if found, expected := at(is, i), at(want, i); !same(found, expected) {
			if n++; n == 1 {
				f.Expected, f.Found = expected, found
			}
		}
	}
	return n, f
}

// lineIn returns the last line of a mail that is this one, from 1, or 0.
func lineIn(mail *series.Patch, line string) int {
	lines := strings.Split(string(mail.Mail), "\n")
	for i, l := range slices.Backward(lines) {
		if line != "" && strings.TrimRight(l, " \r") == strings.TrimRight(line, " ") {
			return i + 1
		}
	}
	return 0
}
