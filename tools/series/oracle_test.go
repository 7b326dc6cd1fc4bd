// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

var update = flag.Bool("update", false, "write the golden files")

// git runs git as on a machine where it is not configured.
func git(t testing.TB, dir string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C",
		"GIT_COMMITTER_NAME=vcpulab", "GIT_COMMITTER_EMAIL=series@vcpulab.invalid", "GIT_AUTHOR_NAME=vcpulab", "GIT_AUTHOR_EMAIL=series@vcpulab.invalid",
		"GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("git %s: %w: %s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out, err
}

func mustGit(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	out, err := git(t, dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// repository makes a git repository of the tree in src.
func repository(t testing.TB, src string) string {
	t.Helper()
	repo := filepath.Join(t.TempDir(), "repo")
	if err := os.CopyFS(repo, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
	mustGit(t, repo, "init", "-q", "-b", "main")
	mustGit(t, repo, "config", "gc.auto", "0")
	mustGit(t, repo, "add", "-A", "-f")
	mustGit(t, repo, "commit", "-q", "--allow-empty", "-m", "base")
	return repo
}

// gitList lists the files of a repository's last commit, one
// "mode blob path" each.
func gitList(t testing.TB, repo string) string {
	t.Helper()
	var b strings.Builder
	for entry := range strings.SplitSeq(string(mustGit(t, repo, "ls-tree", "-r", "-z", "HEAD")), "\x00") {
		if info, name, ok := strings.Cut(entry, "\t"); ok {
			f := strings.Fields(info)
			fmt.Fprintf(&b, "%s %s %q\n", f[0], f[2], name)
		}
	}
	return b.String()
}

// list is gitList for a tree on disk.
func list(t testing.TB, dir string) string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var lines []string
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := tree.ModeFile
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			mode = tree.ModeSymlink
		case info.Mode().Perm() == 0o755:
			mode = tree.ModeExecutable
		case info.Mode().Perm() != 0o644:
			return fmt.Errorf("%s has the mode %v", name, info.Mode())
		}
		id, err := tree.FileBlobID(root, name)
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%s\x00%s %s %q\n", name, mode, id, name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	var b strings.Builder
	for _, l := range lines {
		_, l, _ = strings.Cut(l, "\x00")
		b.WriteString(l)
	}
	return b.String()
}

// stricter are the cases that git am takes and this package refuses, and why.
var stricter = map[string]string{
	"offset":                 "the pinned tree needs no search for the place of a hunk",
	"other-far-line":         "the index line says that the patch is for another file",
	"index-after-wrong":      "the index line says that the patch makes another file",
	"positions-contradict":   "git searches for the place of the hunk",
	"hunk-removed-by-hand":   "git searches for the place of the hunk",
	"symlink-escapes":        "whoever follows the link later leaves the tree",
	"symlink-absolute":       "whoever follows the link later leaves the tree",
	"u0-replace-last":        "no context tells the place",
	"traditional-diff":       "no index line, no modes; such patches are not sent any more",
	"u0-insert":              "no context tells the place; git am appends it to the file",
	"u0-append":              "no context tells the place",
	"mode-gitlink":           "a tree on disk has no submodules",
	"two-hunks-out-of-order": "git searches for the place of the hunk",
}

// TestApplyAwkward holds Load and Apply against git am over every hand-made
// patch in testdata/apply: what one refuses the other refuses, and the trees,
// authors and messages are the same.
func TestApplyAwkward(t *testing.T) {
	srcs, err := filepath.Glob("testdata/apply/*.src")
	if err != nil || len(srcs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for name := range stricter {
		if _, err := os.Stat("testdata/apply/" + name + ".src"); err != nil {
			t.Errorf("stricter has a case that is not there: %v", err)
		}
	}
	for _, src := range srcs {
		name := strings.TrimSuffix(filepath.Base(src), ".src")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mail := strings.TrimSuffix(src, ".src") + ".patch"
			if _, err := os.Stat(mail); err != nil {
				mail = strings.TrimSuffix(src, ".src") + ".mbox"
			}
			abs, err := filepath.Abs(mail)
			if err != nil {
				t.Fatal(err)
			}
			repo := repository(t, src)
			_, gitErr := git(t, repo, "am", "-q", abs)

			got, s, err := applyTo(t, src, mail)
			golden := got
			switch {
			case err != nil:
				golden = "refused: " + err.Error() + "\n"
				if code := exit.Code(err); code != exit.PatchFailed {
					t.Errorf("exit code %d, want %d", code, exit.PatchFailed)
				}
				if _, known := stricter[name]; gitErr == nil && !known {
					t.Errorf("git am takes it, but it is refused: %v", err)
				} else if gitErr != nil && known {
					t.Errorf("git am refuses it as well: it does not belong into stricter")
				}
			case gitErr != nil:
				t.Errorf("it is taken, but %v", gitErr)
			default:
				if diff := cmp.Diff(gitList(t, repo), got); diff != "" {
					t.Errorf("trees (-git am +ours):\n%s", diff)
				}
				compareLog(t, repo, s)
			}
			compareGolden(t, strings.TrimSuffix(src, ".src")+".want", golden)
		})
	}
}

// applyTo applies the series in mail to the tree in src and lists the result.
// If it fails, nothing may have been written.
func applyTo(t *testing.T, src, mail string) (string, *Series, error) {
	t.Helper()
	before := list(t, src)
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs(src)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(mail)
	if err != nil {
		var fe *FormatError
		if !errors.As(err, &fe) {
			t.Errorf("the error is a %T, not a *FormatError: %v", err, err)
		}
		return "", nil, err
	}
	made, report, err := s.Apply(context.Background(), tree.Tree{Dir: base, ID: "base"}, Options{Cache: c})
	if after := list(t, src); after != before {
		t.Errorf("the base was changed:\n%s", cmp.Diff(before, after))
	}
	if err != nil {
		var ae *ApplyError
		if !errors.As(err, &ae) {
			t.Errorf("the error is a %T, not an *ApplyError: %v", err, err)
		}
		if keys, err := c.Keys(treeKind); err != nil || len(keys) > 0 {
			t.Errorf("something was left in the cache: %v, %v", keys, err)
		}
		return "", s, err
	}
	if !report.Differences.None() {
		t.Errorf("differences are reported: %+v", report.Differences)
	}
	return list(t, made.Dir), s, nil
}

// compareLog compares what git am recorded with what was read from the mails.
func compareLog(t *testing.T, repo string, s *Series) {
	t.Helper()
	var want, got []string
	log := mustGit(t, repo, "log", "--reverse", "-z", "--format=%an|%ae|%at|%s|%b")
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(log), "\x00"), "\x00") {
		want = append(want, strings.TrimRight(entry, "\n"))
	}
	want = want[1:] // the base
	for _, p := range s.Patches {
		got = append(got, strings.TrimRight(fmt.Sprintf("%s|%s|%d|%s|%s", p.Author.Name, p.Author.Email, p.Date.Unix(), p.Subject, p.Message), "\n"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commits (-git am +ours):\n%s", diff)
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
