// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/pin"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// sourceKind is what the cache has of series that are no directories of patches.
const sourceKind = "series"

// Open returns the sets of a series that anybody wrote, and says what it took to be that: a
// directory of patches or of sets, an mbox as lists archive it, or TREE@A..B, commits in a git
// repository, which is only read. Errors stand for exit.Usage or are *[FormatError].
func Open(ctx context.Context, name string, c *cache.Cache) (sets *Sets, said string, err error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return openDirectory(name)
	}
	if dir, span, ok := pin.CutTree(name); ok {
		return openRange(ctx, dir, span, c)
	}

	data, err := readLimited(name, MaxSeries)
	if err != nil {
		return nil, "", exit.With(exit.Usage, fmt.Errorf("series %s: %w: expected a directory of patches, an mbox, or TREE@A..B for commits of a git repository", name, err))
	}
	mails, err := readThread(data)
	var chosen []*threadMail
	if err == nil {
		chosen, said, err = newest(mails)
	}
	if err != nil {
		return nil, "", &FormatError{File: name, Reason: err.Error(), Err: ErrCorrupt}
	}
	dir, _, err := c.Populate(ctx, sourceKind, cache.Key("mbox", "2", string(data)), func(ctx context.Context, tmp string) error {
		if err := writeThread(ctx, tmp, chosen); err != nil {
			return &FormatError{File: name, Reason: err.Error(), Err: ErrCorrupt}
		}
		_, err := Load(tmp)
		if e, ok := errors.AsType[*FormatError](err); ok && e.File == tmp {
			e.File = name
		} else if ok {
			e.File = name + ": " + filepath.Base(e.File)
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return &Sets{Dir: dir, All: []Set{{}}}, name + ": " + said, nil
}

// openDirectory opens a directory of patches, or one with a list of sets.
func openDirectory(dir string) (sets *Sets, said string, err error) {
	if sets, err = LoadSets(dir); err != nil || sets.All[0].Name != "" {
		return sets, "", err
	}
	if _, err := Load(dir); err != nil {
		_, said, sets.part = loadPart(dir)
	}
	return sets, said, nil
}

// OpenRevision returns the sets that a directory of a git repository had at a revision.
func OpenRevision(ctx context.Context, repo, rev, dir string, c *cache.Cache) (sets *Sets, said string, err error) {
	commit, err := tree.Revision(ctx, repo, nil, rev, "commit")
	var id string
	if err == nil {
		id, err = tree.Git(ctx, repo, nil, "rev-parse", "--verify", commit+":./"+dir)
	}
	if err != nil {
		return nil, "", exit.With(exit.Usage, fmt.Errorf("%s is neither a directory of patches, an mbox, TREE@A..B, nor a revision with %s: %w", rev, dir, err))
	}
	at, _, err := c.Populate(ctx, sourceKind, cache.Key("tree", "1", id), func(ctx context.Context, tmp string) error {
		// With an index of its own nothing of the repository is changed.
		index := []string{"GIT_INDEX_FILE=" + filepath.Join(tmp, ".index")}
		if _, err := tree.Git(ctx, repo, index, "read-tree", id); err != nil {
			return err
		}
		if _, err := tree.Git(ctx, repo, index, "checkout-index", "--all", "--prefix="+tmp+"/"); err != nil {
			return err
		}
		return os.Remove(filepath.Join(tmp, ".index"))
	})
	if err != nil {
		return nil, "", err
	}
	sets, err = LoadSets(at)
	return sets, fmt.Sprintf("%s: %s of commit %.12s", rev, dir, commit), err
}

// FormatPatch is how git writes patches here, whatever is configured.
var FormatPatch = []string{
	"format-patch", "--quiet", "--no-signature", "--no-base", "--abbrev=12", "--zero-commit", "--numbered", "--subject-prefix=PATCH",
	"--no-attach", "--no-thread", "--no-signoff", "--no-to", "--no-cc", "--no-add-header", "--no-notes",
	"--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "--no-color", "--diff-algorithm=myers", "--unified=3", "--find-renames=50%",
}

// openRange opens the commits in a repository that are in b and not in a, of a..b.
func openRange(ctx context.Context, repo, span string, c *cache.Cache) (sets *Sets, said string, err error) {
	fail := func(format string, args ...any) (*Sets, string, error) {
		return nil, "", exit.With(exit.Usage, fmt.Errorf("series %s@%s: "+format, append([]any{repo, span}, args...)...))
	}
	a, b, ok := strings.Cut(span, "..")
	if !ok || a == "" || strings.HasPrefix(b, ".") {
		return fail("expected a range of commits, A..B")
	}
	env := []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_LITERAL_PATHSPECS=0"}
	git := func(args ...string) (string, error) { return tree.Git(ctx, repo, env, args...) }
	if b == "" || b == "HEAD" {
		changed, err := git("status", "--porcelain", "--untracked-files=no")
		if err == nil && changed != "" {
			err = fmt.Errorf("the tree has changes that are in no commit: commit them, or name the last commit instead of HEAD:\n%s", program.LastLines([]byte(changed)))
		}
		if err != nil {
			return fail("%w", err)
		}
	}
	var from, commits, merges string
	a, err = tree.Revision(ctx, repo, env, a, "commit")
	if err == nil {
		b, err = tree.Revision(ctx, repo, env, cmp.Or(b, "HEAD"), "commit")
	}
	if err == nil {
		from, err = git("merge-base", a, b)
	}
	if err == nil {
		commits, err = git("rev-list", a+".."+b)
	}
	if err == nil {
		merges, err = git("rev-list", "--merges", a+".."+b)
	}
	switch {
	case err != nil:
		return fail("%w", err)
	case commits == "":
		return fail("it is empty: no commit is in the second that is not in the first")
	case merges != "":
		return fail("expected no merges, found %.12s; rebase the commits, or name a range without", merges)
	}

	n := len(strings.Fields(commits))
	if n > MaxMails {
		return fail("%d commits, expected at most %d", n, MaxMails)
	}
	dir, _, err := c.Populate(ctx, sourceKind, cache.Key("range", "3", a, b), func(ctx context.Context, tmp string) error {
		// By the path git leaves out commits that change nothing, as that of a cover letter of b4.
		_, err := git(append(slices.Clone(FormatPatch), "--no-cover-letter", "--output-directory="+tmp, a+".."+b, "--", ":/")...)
		return err
	})
	if err != nil {
		return fail("%w", err)
	}
	names, err := mailFiles(dir)
	if err != nil {
		return fail("expected commits that change something, found %s without", progress.Count(n, "commit"))
	}
	said = fmt.Sprintf("%s@%s: %s, after %.12s", repo, span, progress.Count(len(names), "commit"), from)
	if empty := n - len(names); empty > 0 {
		said += fmt.Sprintf(", without %s of no change", progress.Count(empty, "commit"))
	}
	return &Sets{Dir: dir, All: []Set{{}}, From: repo + "@" + from}, said, nil
}
