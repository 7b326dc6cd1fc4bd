// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing/fstest"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// RunOptions say how to run a rule.
type RunOptions struct {
	Cache *cache.Cache  // where the result is kept
	Log   *progress.Log // nil is silent
	Jobs  int           // files that are processed at a time; 0 is one a processor
}

// Result is the change that a rule makes to a source.
type Result struct {
	Files []string `json:"files"` // that the rule changes, sorted
	// Places is the number of places in the source, In that of the files with
	// some. Left are those that remain after the change, with their lines
	// after it.
	Places int      `json:"places"`
	In     int      `json:"in"`
	Left   []Place  `json:"left"`
	Said   []string `json:"said,omitempty"` // lines that spatch printed, each after its file's name
	Spatch string   `json:"spatch"`         // the version, as that of git
	Git    string   `json:"git"`
	// Change is the diffstat and the diff, as git format-patch --no-signature
	// --abbrev=12 writes them below the line "---". It is empty if nothing
	// changes.
	Change []byte `json:"-"`
}

// kept is how the cache keeps a result, of which reports do not have all.
type kept struct {
	*Result
	Change []byte
}

// Converted returns how many places are gone.
func (r *Result) Converted() int { return r.Places - len(r.Left) }

const (
	// kind is the kind of results in the cache. revision is raised when this
	// package makes something else of the same input.
	kind     = "cocci"
	revision = "2"
)

// Run runs the rule on a source. The source is only read: spatch works on
// copies of the files. A file on which spatch fails is an error, and nothing is
// kept.
func (r *Rule) Run(ctx context.Context, src *tree.Overlay, opts RunOptions) (_ *Result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("run %s: %w", r.Name, opts.Cache.Full("run "+r.Name, err))
		}
	}()
	w := work{rule: r, RunOptions: opts, result: Result{Files: []string{}, Left: []Place{}}}
	if w.result.Spatch, err = spatchVersion(ctx); err != nil {
		return nil, err
	}
	if w.result.Git, err = program.Version(ctx, "git", "--version"); err != nil {
		return nil, err
	}
	w.files = make(map[string][]byte)
	for _, name := range src.Names(r.Paths, ".c", ".h") {
		data := src.Read(name)
		if n := len(places(name, data, r.Places)); n > 0 {
			w.files[name] = data
			w.result.Places += n
		}
	}
	w.result.In, w.attributes = len(w.files), src.Read(attributes)
	if src.Err != nil {
		return nil, src.Err
	}

	k, _, err := cache.Result(ctx, w.Cache, kind, w.key(), w.find)
	if err != nil {
		return nil, err
	}
	k.Result.Change = k.Change
	return k.Result, nil
}

// spatchVersion returns the version of spatch. If it is not installed the
// error has exit.MachineLacks.
func spatchVersion(ctx context.Context) (string, error) {
	line, err := program.Version(ctx, "spatch", "--version")
	if _, missing := errors.AsType[*program.MissingError](err); missing {
		return "", exit.With(exit.MachineLacks, errors.New("spatch, the program of Coccinelle, is not installed: install it with vcpulab install generate (Debian's package coccinelle)"))
	}
	line, _, _ = strings.Cut(line, " compiled ")
	return line, err
}

type work struct {
	RunOptions
	rule       *Rule
	files      map[string][]byte
	attributes []byte
	result     Result
}

// key is made of everything that the result depends on.
func (w *work) key() string {
	parts := []string{kind, revision, w.result.Spatch, w.result.Git, string(w.rule.Text), tree.BlobID(w.attributes)}
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		parts = append(parts, name, tree.BlobID(w.files[name]))
	}
	return cache.Key(parts...)
}

func (w *work) find(ctx context.Context) (k kept, err error) {
	step := w.Log.Step("run " + w.rule.Name)
	defer func() {
		step.End(err, "%d of %d places, files changed: %d", w.result.Converted(), w.result.Places, len(w.result.Files))
	}()
	tmp, err := os.MkdirTemp("", "vcpulab-cocci-")
	if err != nil {
		return k, err
	}
	defer os.RemoveAll(tmp)
	// Outside of the files, where git does not see it.
	files, rule := filepath.Join(tmp, "files"), filepath.Join(tmp, w.rule.Name)
	if err := w.copyFiles(files); err != nil {
		return k, err
	}
	if err := os.WriteFile(rule, w.rule.Text, 0o644); err != nil {
		return k, err
	}
	git := tree.OwnGit(files)
	if _, _, err := git.Run(ctx, "init", "--quiet", "--template=", "--object-format=sha1"); err != nil {
		return k, err
	}
	// Without --force, a kernel's .gitignore would have a say.
	if _, _, err := git.Run(ctx, "add", "--all", "--force"); err != nil {
		return k, err
	}

	if err := w.spatch(ctx, step, rule, files, tmp); err != nil {
		return k, err
	}
	if err := w.compare(files); err != nil {
		return k, err
	}
	// As git format-patch, which takes commits.
	k.Result = &w.result
	k.Change, _, err = git.Run(ctx, "diff", "--patch-with-stat", "--stat=72", "--summary", "--abbrev=12")
	return k, err
}

func (w *work) copyFiles(dir string) error {
	all := fstest.MapFS{}
	for name, data := range w.files {
		all[name] = &fstest.MapFile{Data: data}
	}
	if w.attributes != nil {
		all[attributes] = &fstest.MapFile{Data: w.attributes}
	}
	return os.CopyFS(dir, all)
}

// broken are lines that spatch prints when it gives up on a file, or on a part
// of the rule, and continues.
var broken = regexp.MustCompile(`(?m)^\s*(EXN|Fatal error|.*: semantic error|.*: parse error|.*[Tt]imeout)\b.*$`)

// spatch runs spatch on every file, each on its own: the result does not depend
// on the other files, and a rule whose bindings grow with the number of
// functions stays quick.
func (w *work) spatch(ctx context.Context, step *progress.Step, rule, dir, tmp string) error {
	names := slices.Sorted(maps.Keys(w.files))
	printed := make([][]byte, len(names))
	jobs := w.Jobs
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for i, name := range names {
		g.Go(func() error {
			step.Update("%d of %d files, %s", i+1, len(names), name)
			p := program.Program{Name: "spatch", Dir: dir, Env: []string{"LC_ALL=C", "TMPDIR=" + tmp}}
			args := append([]string{"--very-quiet", "--no-show-diff", "--in-place", "--sp-file", rule}, w.rule.Options...)
			_, errs, err := p.Run(ctx, append(args, name)...)
			if err == nil && broken.Match(errs) {
				err = fmt.Errorf("spatch gave up: %s", program.LastLines(errs))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			printed[i] = errs
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}

	for i, text := range printed {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				w.result.Said = append(w.result.Said, names[i]+": "+line)
			}
		}
	}
	return nil
}

// compare records which files have changed and which places are left.
func (w *work) compare(dir string) error {
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if string(data) != string(w.files[name]) {
			w.result.Files = append(w.result.Files, name)
		}
		w.result.Left = append(w.result.Left, places(name, data, w.rule.Places)...)
	}
	return nil
}
