// SPDX-License-Identifier: GPL-2.0-only

// Package branch makes branches of sets of patches, in a git repository with the files of
// their base, and patches of the branches: [Make] and [Collect].
//
// Each set is a branch of its name, a commit a patch, on what it needs: the base, the
// branch of a set, or a merge of several. What stands below the "---" of a patch is a
// git note of its commit, which a rebase takes along. Cover letters stay where they are.
package branch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Branch is one that was made of a set.
type Branch struct {
	Name    string `json:"name"`
	Commits int    `json:"commits"`
}

// baseKey is the setting of a repository that says which base it is of; startRefs has a
// tag for the commit that each set's own ones are on.
const (
	baseKey   = "vcpulab.base"
	startRefs = "refs/tags/start/"
	baseName  = "base" // the branch with the base
)

// name returns the branch of a set.
func name(set series.Set) string { return cmp.Or(set.Dir(), "series") }

// git runs git in a repository.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, _, err := tree.OwnGit(dir).Run(ctx, args...)
	return strings.TrimSpace(string(out)), err
}

// baseKind is what the cache has of bases: a bare repository each, with one commit.
const baseKind = "git"

// packaging are the lines in Debian's .gitignore that would let a new file go unnoticed.
var packaging = regexp.MustCompile(`(?m)^(/\*|!/debian/)\n`)

// baseRepository returns the repository with a base, which is made once.
func baseRepository(ctx context.Context, base tree.Tree, c *cache.Cache, log *progress.Log) (string, error) {
	dir, _, err := c.Populate(ctx, baseKind, cache.Key("base", "2", base.ID), func(ctx context.Context, tmp string) (err error) {
		step := log.Step("put Linux " + base.Version + " into a git repository, once")
		defer func() { step.End(err, "") }()
		if err := tree.Unedited(ctx, c, base); err != nil {
			return err
		}
		if _, err := git(ctx, tmp, "init", "--quiet", "--bare", "--template=", "--initial-branch="+baseName); err != nil {
			return err
		}
		// What is larger than that threshold goes to one pack; --force is for the kernel's .gitignore.
		if _, err := git(ctx, tmp, "--git-dir="+tmp, "--work-tree="+base.Dir, "-C", base.Dir, "-c", "core.autocrlf=false",
			"-c", "core.bigFileThreshold=1", "-c", "core.compression=1", "add", "--all", "--force", "."); err != nil {
			return err
		}
		ignored, err := os.ReadFile(filepath.Join(base.Dir, ".gitignore"))
		if err == nil {
			hash := tree.OwnGit(tmp)
			hash.Stdin = bytes.NewReader(packaging.ReplaceAll(ignored, nil))
			var id []byte
			if id, _, err = hash.Run(ctx, "hash-object", "-w", "--stdin"); err == nil {
				_, err = git(ctx, tmp, "update-index", "--cacheinfo", tree.ModeFile+","+strings.TrimSpace(string(id))+",.gitignore")
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		id, err := git(ctx, tmp, "write-tree")
		if err != nil {
			return err
		}
		if id, err = git(ctx, tmp, "commit-tree", "-m", "Linux "+base.Version, id); err != nil {
			return err
		}
		_, err = git(ctx, tmp, "update-ref", "refs/heads/"+baseName, id)
		return errors.Join(err, os.Remove(filepath.Join(tmp, "index")))
	})
	return dir, err
}

// Make makes dir, which must not exist, a git repository with a branch for each set and
// rival. The directories of the files that they change are checked out, with the last
// set; git sparse-checkout disable gets all others. Errors are those of
// [series.Series.Apply]; then nothing is left.
func Make(ctx context.Context, dir string, base tree.Tree, sets *series.Sets, o series.Options) (made []Branch, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("%s exists: expected the name of a new directory", dir))
	}
	if _, err := os.Stat(filepath.Dir(dir)); err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("make %s: %w", dir, err))
	}
	// Patches that do not apply are told before the base is put into a repository.
	w := &writer{base: base, options: o, tips: make(map[string]string), files: make(map[string]bool)}
	for _, set := range slices.Concat(sets.All, sets.Rivals) {
		n, err := w.set(sets, set)
		if err != nil {
			return nil, err
		}
		made = append(made, Branch{name(set), n})
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".checkout-")
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	defer os.RemoveAll(tmp)
	repo, err := baseRepository(ctx, base, o.Cache, o.Log)
	if err != nil {
		return nil, err
	}

	step := o.Log.Step("make the branches in " + dir)
	defer func() { step.End(err, "%s", progress.Count(len(made), "branch")) }()
	at := filepath.Join(tmp, "tree")
	if _, err := git(ctx, tmp, "clone", "--quiet", "--local", "--no-checkout", "--template=", "--origin=cache", repo, at); err != nil {
		return nil, err
	}
	p := program.Program{Name: "git", Dir: at, Stdin: &w.stream}
	if _, _, err := p.Run(ctx, "fast-import", "--quiet"); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"remote", "remove", "cache"},
		{"config", baseKey, base.ID},
		{"config", "notes.rewriteRef", "refs/notes/commits"},
		append([]string{"sparse-checkout", "set", "--cone", "--sparse-index"}, w.dirs()...),
		{"checkout", "--quiet", name(sets.All[len(sets.All)-1])},
	} {
		if _, err := git(ctx, at, args...); err != nil {
			return nil, err
		}
	}
	return made, os.Rename(at, dir)
}

// writer writes what git fast-import reads.
type writer struct {
	base    tree.Tree
	options series.Options
	stream  bytes.Buffer
	marks   int
	notes   string            // what the commit of the last note was
	tips    map[string]string // of the branches, by their sets
	files   map[string]bool   // that are changed
}

func (w *writer) dirs() []string {
	dirs := make(map[string]bool)
	for name := range w.files {
		dirs[filepath.Dir(name)] = true
	}
	delete(dirs, ".") // files at the top are always there
	return slices.Sorted(maps.Keys(dirs))
}

// set writes the branch of a set, and returns how many commits of its own it has.
func (w *writer) set(sets *series.Sets, set series.Set) (n int, err error) {
	all, err := sets.Load(set.Name)
	if err != nil {
		return 0, err
	}
	own, err := sets.LoadAlone(set)
	if err != nil {
		return 0, err
	}
	stack, err := sets.Stack(set.Name)
	if err != nil {
		return 0, err
	}

	tip, ref := "refs/heads/"+baseName+"^0", "refs/heads/"+name(set)
	needed := make(map[string]*series.File) // what the needed sets make of files
	start := func() error {
		if stack = stack[:len(stack)-1]; len(stack) > 0 {
			last := stack[len(stack)-1]
			same, err := sets.Stack(last.Name)
			if err != nil {
				return err
			}
			if tip = w.tips[last.Name]; len(same) != len(stack) {
				var parents []string
				for _, need := range set.Needs {
					parents = append(parents, w.tips[need])
				}
				message := fmt.Sprintf("What %s needs: %s\n", set.Name, strings.Join(set.Needs, ", "))
				tip = w.commit(ref, own.Patches[0], message, parents, needed)
			}
		}
		fmt.Fprintf(&w.stream, "reset %s%s\nfrom %s\n\n", startRefs, name(set), tip)
		return nil
	}
	err = all.Steps(w.base, w.options, func(p *series.Patch, files map[string]*series.File) error {
		for name := range files {
			w.files[name] = true
		}
		if p.Number <= len(all.Patches)-len(own.Patches) {
			maps.Copy(needed, files)
			return nil
		}
		if n++; n == 1 {
			if err := start(); err != nil {
				return err
			}
		}
		tip = w.commit(ref, p, strings.TrimSuffix(p.Subject+"\n\n"+p.Message, "\n")+"\n", []string{tip}, files)
		w.note(tip, p)
		return nil
	})
	if err == nil && n == 0 { // all of it is in the base
		if err = start(); err == nil {
			fmt.Fprintf(&w.stream, "reset %s\nfrom %s\n\n", ref, tip)
		}
	}
	w.tips[set.Name] = tip
	return n, err
}

// commit writes a commit with the date and the author of p, and returns its mark.
func (w *writer) commit(ref string, p *series.Patch, message string, parents []string, files map[string]*series.File) string {
	w.marks++
	mark := fmt.Sprintf(":%d", w.marks)
	person := fmt.Sprintf("%s %d %s", p.Author, max(p.Date.Unix(), 0), p.Date.Format("-0700"))
	fmt.Fprintf(&w.stream, "commit %s\nmark %s\nauthor %s\ncommitter %s\ndata %d\n%s\n", ref, mark, person, person, len(message), message)
	for i, parent := range parents {
		fmt.Fprintf(&w.stream, "%s %s\n", map[bool]string{true: "from", false: "merge"}[i == 0], parent)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		if f == nil {
			fmt.Fprintf(&w.stream, "D %s\n", name)
			continue
		}
		data := f.Data
		if name == ".gitignore" {
			data = packaging.ReplaceAll(data, nil)
		}
		fmt.Fprintf(&w.stream, "M %s inline %s\ndata %d\n%s\n", f.Mode, name, len(data), data)
	}
	w.stream.WriteByte('\n')
	return mark
}

// belowNotes is where the notes below the "---" of a patch end.
var belowNotes = regexp.MustCompile(`(?m)^ \S.* \| +(\d+|Bin)|^ \d+ files? changed|^diff --git `)

// note writes what a patch says below its message as a note of its commit.
func (w *writer) note(mark string, p *series.Patch) {
	text, ok := strings.CutPrefix(p.Below(), "---\n")
	if at := belowNotes.FindStringIndex(text); ok && at != nil {
		text = strings.TrimSpace(text[:at[0]])
	}
	if !ok || text == "" {
		return
	}
	fmt.Fprintf(&w.stream, "commit refs/notes/commits\nmark :%d\ncommitter vcpulab <vcpulab@localhost> 0 +0000\ndata 0\n%sN inline %s\ndata %d\n%s\n\n",
		w.marks+1, w.notes, mark, len(text), text)
	w.marks++
	w.notes = fmt.Sprintf("from :%d\n", w.marks)
}

// Picked says how far a set has come on another base.
type Picked struct {
	Branch string `json:"branch"`
	// Commits is how many there are to pick, and Picked how many were.
	Commits int `json:"commits"`
	Picked  int `json:"picked"`
	// Already is how many change nothing there: git was told to skip them.
	Already int `json:"already,omitempty"`
	// Said is what git says of the one that conflicts; "" if none does.
	Said string `json:"said,omitempty"`
}

// Pick makes dir as Make does, and picks a set and what it needs onto another base there,
// by a merge of three, until a commit conflicts: that is left to git.
func Pick(ctx context.Context, dir string, base, onto tree.Tree, sets *series.Sets, set series.Set, o series.Options) (*Picked, error) {
	repo, err := baseRepository(ctx, onto, o.Cache, o.Log)
	if err != nil {
		return nil, err
	}
	if _, err := Make(ctx, dir, base, sets, o); err != nil {
		return nil, err
	}
	cp := program.Program{Name: "cp"}
	from, to := filepath.Join(repo, "objects")+"/.", filepath.Join(dir, ".git", "objects")
	if _, _, err := cp.Run(ctx, "--recursive", "--link", "--force", from, to); err != nil {
		if _, _, err = cp.Run(ctx, "--recursive", "--force", from, to); err != nil {
			return nil, err
		}
	}
	id, err := git(ctx, repo, "rev-parse", baseName)
	if err != nil {
		return nil, err
	}
	stack, err := sets.Stack(set.Name)
	if err != nil {
		return nil, err
	}
	p := &Picked{Branch: "onto-" + onto.Version}
	if _, err := git(ctx, dir, "checkout", "--quiet", "-b", p.Branch, id); err != nil {
		return nil, err
	}
	args := []string{"cherry-pick"}
	for _, s := range stack {
		out, err := git(ctx, dir, "rev-list", "--reverse", startRefs+name(s)+".."+name(s))
		if err != nil {
			return nil, err
		}
		args = append(args, strings.Fields(out)...)
	}
	p.Commits = len(args) - 1
	_, err = git(ctx, dir, args...)
	for err != nil {
		status, ok := errors.AsType[*program.StatusError](err)
		if !ok {
			return nil, err
		}
		// Git stops at a commit that is there already, too.
		_, stopped := git(ctx, dir, "rev-parse", "--quiet", "--verify", "CHERRY_PICK_HEAD")
		left, err2 := git(ctx, dir, "status", "--porcelain", "--untracked-files=no")
		if stopped != nil || err2 != nil || left != "" {
			p.Said = status.Said + "\n"
			break
		}
		p.Already++
		_, err = git(ctx, dir, "cherry-pick", "--skip")
	}
	n, err := git(ctx, dir, "rev-list", "--count", id+"..HEAD")
	if err == nil {
		p.Picked, err = strconv.Atoi(n)
	}
	return p, err
}
