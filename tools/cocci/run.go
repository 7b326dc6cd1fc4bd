// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"vcpulab/tools/cache"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// RunOptions say how to run a rule.
type RunOptions struct {
	// Cache is where the result is kept, or found. Run needs it.
	Cache *cache.Cache
	// Log shows progress; nil is silent.
	Log *progress.Log
	// Jobs is how many files are worked on at a time; 0 is one a processor.
	Jobs int
}

// Result is what a rule makes of a source.
type Result struct {
	// Files are the files that the rule changes, sorted.
	Files []string `json:"files"`
	// Places is how many places were found in the source, in how many files,
	// and Left are those that are there after the change, with their lines
	// after it.
	Places int     `json:"places"`
	In     int     `json:"in"`
	Left   []Place `json:"left"`
	// Said are the lines that spatch had to say, each after its file's name.
	Said []string `json:"said,omitempty"`
	// Spatch and Git are the versions of the programs.
	Spatch string `json:"spatch"`
	Git    string `json:"git"`
	// Change is the diffstat and the diff, as git format-patch --no-signature
	// --abbrev=12 writes them below the line "---". It is empty when nothing
	// changes.
	Change []byte `json:"-"`
}

// Converted returns how many places are gone.
func (r *Result) Converted() int { return r.Places - len(r.Left) }

const (
	// kind is that of results in the cache; how is raised when this package
	// makes something else of the same input.
	kind = "cocci"
	how  = "1"

	resultFile = "result.json"
	changeFile = "change.diff"
)

// Run runs the rule on a source and returns what comes of it. The source is
// only read: spatch works on copies of the files. A file on which spatch
// fails is an error, and nothing is kept.
func (r *Rule) Run(ctx context.Context, src Source, opts RunOptions) (*Result, error) {
	spatch, err := Version(ctx)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.Name, err)
	}
	git, _, err := program.Program{Name: "git", Dir: os.TempDir()}.Run(ctx, "--version")
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.Name, err)
	}
	files, found, err := r.inputs(src)
	if err != nil {
		return nil, err
	}
	attrs, err := src.attributes()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.Name, err)
	}
	w := work{
		rule: r, files: files, attributes: attrs, jobs: opts.Jobs, log: opts.Log,
		result: Result{Files: []string{}, Places: len(found), In: len(files), Left: []Place{}, Spatch: spatch, Git: strings.TrimSpace(string(git))},
	}
	dir, _, err := opts.Cache.Populate(ctx, kind, w.key(), w.fill)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.Name, opts.Cache.Full("run "+r.Name, err))
	}
	return loadResult(dir)
}

func loadResult(dir string) (*Result, error) {
	data, err := os.ReadFile(filepath.Join(dir, resultFile))
	if err != nil {
		return nil, fmt.Errorf("load what a semantic patch made: %w", err)
	}
	var r Result
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("load what a semantic patch made: %s: %w", filepath.Join(dir, resultFile), err)
	}
	if r.Change, err = os.ReadFile(filepath.Join(dir, changeFile)); err != nil {
		return nil, fmt.Errorf("load what a semantic patch made: %w", err)
	}
	return &r, nil
}

// work is one run of a rule.
type work struct {
	rule       *Rule
	files      map[string][]byte
	attributes []byte
	jobs       int
	log        *progress.Log
	result     Result
}

// key is made of all that the result depends on.
func (w *work) key() string {
	parts := []string{kind, how, w.result.Spatch, w.result.Git, string(w.rule.Text), tree.BlobID(w.attributes)}
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		parts = append(parts, name, tree.BlobID(w.files[name]))
	}
	return cache.Key(parts...)
}

// fill makes the result in tmp.
func (w *work) fill(ctx context.Context, tmp string) (err error) {
	step := w.log.Step("run " + w.rule.Name)
	defer func() { step.Fail(err) }()
	// Beside the files, so that git does not see them.
	scratch := filepath.Join(tmp, "scratch")
	for _, dir := range []string{scratch, filepath.Join(tmp, "tmp")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	repo, err := newRepository(ctx, scratch, w.attributes, w.files)
	if err != nil {
		return err
	}
	rule := filepath.Join(tmp, w.rule.Name)
	if err := os.WriteFile(rule, w.rule.Text, 0o644); err != nil {
		return err
	}
	if err := w.spatch(ctx, step, rule, scratch, filepath.Join(tmp, "tmp")); err != nil {
		return err
	}
	if err := w.compare(scratch); err != nil {
		return err
	}
	var change []byte
	if len(w.result.Files) > 0 {
		if change, err = repo.change(ctx); err != nil {
			return err
		}
	}
	for _, name := range []string{scratch, filepath.Join(tmp, "tmp"), rule} {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(&w.result, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, resultFile), data, 0o644); err != nil {
		return err
	}
	step.Done("%d of %d places, files changed: %d", w.result.Converted(), w.result.Places, len(w.result.Files))
	return os.WriteFile(filepath.Join(tmp, changeFile), change, 0o644)
}

// broken are lines that spatch prints when it gives a file up, or a part of
// the rule on it, and goes on.
var broken = regexp.MustCompile(`(?m)^\s*(EXN|Fatal error|.*: semantic error|.*: parse error|.*[Tt]imeout)\b.*$`)

// spatch runs spatch on every file, each by itself: what it makes of one does
// not depend on the others, and a rule whose bindings grow with the number of
// functions stays quick.
func (w *work) spatch(ctx context.Context, step *progress.Step, rule, dir, tmp string) error {
	names := slices.Sorted(maps.Keys(w.files))
	said := make([][]byte, len(names))
	jobs := w.jobs
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for i, name := range names {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			step.Update("%d of %d files, %s", i+1, len(names), name)
			p := program.Program{Dir: dir, Env: []string{"TMPDIR=" + tmp}}
			args := append([]string{"--very-quiet", "--no-show-diff", "--in-place", "--sp-file", rule}, w.rule.Options...)
			_, errs, err := spatch(ctx, p, append(args, name)...)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if line := broken.Find(errs); line != nil {
				return fmt.Errorf("%s: spatch did not get through: %s", name, program.LastLines(errs))
			}
			said[i] = errs
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, text := range said {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				w.result.Said = append(w.result.Said, names[i]+": "+line)
			}
		}
	}
	return nil
}

// compare notes which files have changed and which places are left.
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
