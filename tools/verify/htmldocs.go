// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"

	"vcpulab/tools/cache"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// documentsDir has the kernel's documents, and sphinxWrapper is the tree's own
// program that has Sphinx make pages of them, as "make htmldocs" does.
const (
	documentsDir  = "Documentation"
	sphinxWrapper = "tools/docs/sphinx-build-wrapper"
)

var htmlDocs = inTree(func(ctx context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
	dirs := documentDirs(src)
	if len(dirs) == 0 {
		return nil, nil
	}
	now, err := s.htmlDocs(ctx, src, dirs)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "%s: %d warnings\n", strings.Join(dirs, " "), len(now))
	if len(now) == 0 {
		return nil, nil // no need to know those without the series
	}

	// A directory that the series adds has no pages without it.
	old := undone(src)
	there := slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
		return old.Read(path.Join(documentsDir, dir, "index.rst")) == nil
	})
	var known []Finding
	if len(there) > 0 {
		if known, err = s.htmlDocs(ctx, old, there); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(log, "%d warnings without the series\n", len(known))
	var found []Finding
	for _, f := range newFindings(now, known) {
		f.Do = "make htmldocs SPHINXDIRS='" + strings.Join(dirs, " ") + "'"
		found = append(found, f)
	}
	return found, nil
})

// documentDirs returns what SPHINXDIRS has to be for the documents that the
// series touches: for each the subsystem's directory, "virt/kvm", where other
// documents may refer to it; or one above, if that has no index.
func documentDirs(p *tree.Overlay) []string {
	found := make(map[string]bool)
	for name, data := range p.Over {
		rest, ok := strings.CutPrefix(name, documentsDir+"/")
		if !ok || path.Ext(name) != ".rst" || data == nil {
			continue
		}
		parts := strings.Split(path.Dir(rest), "/")
		dir := path.Join(parts[:min(2, len(parts))]...)
		for dir != "." && p.Read(path.Join(documentsDir, dir, "index.rst")) == nil {
			dir = path.Dir(dir)
		}
		found[dir] = true
	}
	maps.DeleteFunc(found, func(dir string, _ bool) bool {
		for above := path.Dir(dir); above != "."; above = path.Dir(above) {
			if found[above] {
				return true // Sphinx reads it with that one
			}
		}
		return false
	})
	return slices.Sorted(maps.Keys(found))
}

const htmlDocsKind = "htmldocs" // of results in the cache

// htmlDocs returns what Sphinx says of the documents in directories of a tree, or
// what it said when these were the same.
func (s *Submission) htmlDocs(ctx context.Context, p *tree.Overlay, dirs []string) ([]Finding, error) {
	key, err := s.documentsKey(ctx, p, dirs)
	if err != nil {
		return nil, err
	}
	warnings, _, err := cache.Result(ctx, s.Cache, htmlDocsKind, key, func(ctx context.Context) ([]Finding, error) {
		step := s.Log.Step("htmldocs of " + strings.Join(dirs, " "))
		warnings, err := s.runSphinx(ctx, p, dirs)
		if err != nil {
			step.Fail(err)
			return nil, err
		}
		step.Done("%s", progress.Count(len(warnings), "warning"))
		return warnings, nil
	})
	return warnings, err
}

// quoting matches what puts another file's text into a document.
var quoting = regexp.MustCompile(`(?m)^\s*\.\. (?:kernel-[a-z]+|include|literalinclude|raw|csv-table|maintainers-include)::`)

// documentsKey returns what identifies the documents in directories of a tree, and
// the programs that read them: another word in KVM's code is no reason to read them
// again, unless one of them quotes code.
func (s *Submission) documentsKey(ctx context.Context, p *tree.Overlay, dirs []string) (string, error) {
	// It takes Sphinx a third of a second to say it.
	type asked struct{}
	version, err := once(s.Seen, asked{}, func() (string, error) { return program.Version(ctx, "sphinx-build", "--version") })
	if err != nil {
		return "", err
	}
	patterns := make([]string, len(dirs))
	for i, dir := range dirs {
		patterns[i] = path.Join(documentsDir, dir)
	}
	quotes := slices.ContainsFunc(p.Names(patterns, ".rst"), func(name string) bool { return quoting.Match(p.Read(name)) })

	// All that may differ from the kernel that was fetched.
	base, changed, err := s.Base.Root()
	if err != nil {
		return "", err
	}
	changed = slices.AppendSeq(changed, maps.Keys(p.Over))
	slices.Sort(changed)
	// The number is raised when Sphinx is asked something else.
	parts := []string{htmlDocsKind, "1", version, base.ID, strings.Join(dirs, " ")}
	for _, name := range slices.Compact(changed) {
		if !quotes && !strings.HasPrefix(name, documentsDir+"/") && !strings.HasPrefix(name, "tools/docs/") && !strings.HasPrefix(name, "tools/lib/python/") && !strings.HasPrefix(name, "scripts/kernel-doc") {
			continue
		}
		data := p.Read(name)
		parts = append(parts, name, strconv.FormatBool(data == nil), string(data))
	}
	return cache.Key(parts...), p.Err
}

// sphinxLine is a warning of Sphinx's that is about a place. Others are about the
// machine: a program that would make better pictures.
var sphinxLine = regexp.MustCompile(`^(/[^\s:]+):(?:(\d+):)? (?:WARNING|ERROR|SEVERE|CRITICAL): (.*)$`)

// runSphinx returns what Sphinx says of the documents in directories of a tree.
func (s *Submission) runSphinx(ctx context.Context, p *tree.Overlay, dirs []string) ([]Finding, error) {
	tmp, err := os.MkdirTemp("", "vcpulab-verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	// Sphinx resolves links in its source directory, and names files by that.
	if tmp, err = filepath.EvalSymlinks(tmp); err != nil {
		return nil, err
	}
	src := filepath.Join(tmp, "linux")
	if err := link(p, src); err != nil {
		return nil, fmt.Errorf("run htmldocs: %w", err)
	}

	var found []Finding
	for _, run := range s.sphinxRuns(src, filepath.Join(tmp, "out"), dirs) {
		_, said, err := run.Run(ctx, run.args...)
		if err != nil {
			return nil, fmt.Errorf("run htmldocs: %w\n%s", err, bytes.TrimSpace(said))
		}
		found = append(found, sphinxWarnings(string(said), src)...)
	}
	return found, nil
}

type sphinxRun struct {
	program.Program
	args []string
}

// sphinxRuns returns the calls that make pages of directories: one of the tree's own
// program, or what the Makefile of kernels before 6.19 does in its place, for each.
func (s *Submission) sphinxRuns(src, out string, dirs []string) []sphinxRun {
	jobs := strconv.Itoa(cmp.Or(s.Jobs, runtime.NumCPU()))
	// Python is not to leave compiled files in the tree.
	env := []string{"srctree=" + src, "KERNELVERSION=" + s.Base.Version, "KBUILD_VERBOSE=0", "PYTHONDONTWRITEBYTECODE=1"}
	wrapper := filepath.Join(s.Base.Dir, filepath.FromSlash(sphinxWrapper))
	if _, err := os.Stat(wrapper); err == nil {
		args := append([]string{wrapper, "htmldocs", "--builddir", out, "--jobs", jobs, "--sphinxdirs"}, dirs...)
		return []sphinxRun{{program.Program{Name: "python3", Dir: src, Env: env}, args}}
	}

	documents := filepath.Join(src, documentsDir)
	_, script, err := findKernelDoc(s.Base.Dir)
	if err != nil {
		script = kernelDocScripts[len(kernelDocScripts)-1] // only documents that quote code need it
	}
	var runs []sphinxRun
	for _, dir := range dirs {
		own := slices.Concat(env, []string{"BUILDDIR=" + out, "SPHINX_CONF=" + filepath.Join(documents, dir, "conf.py")})
		runs = append(runs, sphinxRun{program.Program{Name: "sphinx-build", Dir: src, Env: own}, []string{
			"-b", "html", "-j", jobs, "-c", documents, "-d", filepath.Join(out, ".doctrees", dir),
			"-D", "version=" + s.Base.Version, "-D", "release=",
			"-D", "kerneldoc_srctree=" + src, "-D", "kerneldoc_bin=" + filepath.Join(src, filepath.FromSlash(script)),
			filepath.Join(documents, dir), filepath.Join(out, dir),
		}})
	}
	return runs
}

// sphinxWarnings returns the warnings in what Sphinx says of a tree in src.
func sphinxWarnings(said, src string) []Finding {
	var found []Finding
	for line := range strings.Lines(said) {
		m := sphinxLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[2]) // none is 0
		found = append(found, Finding{File: strings.TrimPrefix(m[1], src+"/"), Line: n, Message: m[3]})
	}
	return found
}

// undone returns the tree without the series, of which no more is known than what
// the series changes.
func undone(p *tree.Overlay) *tree.Overlay {
	old := &tree.Overlay{Dir: p.Dir, Over: make(map[string][]byte)}
	for name := range p.Over {
		old.Over[name] = p.Before(name)
	}
	return old
}

// link makes dst a tree of symbolic links to what is in the tree without the series, but
// for the files that the series changes.
func link(p *tree.Overlay, dst string) error {
	// Directories with such a file somewhere below them cannot be links.
	own := make(map[string]bool)
	files := fstest.MapFS{}
	for name, data := range p.Over {
		for dir := path.Dir(name); !own[dir]; dir = path.Dir(dir) {
			own[dir] = true
		}
		if data != nil {
			files[name] = &fstest.MapFile{Data: data}
		}
	}
	for dir := range own {
		to := filepath.Join(dst, dir)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Join(p.Dir, dir))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if _, changed := p.Over[name]; changed || own[name] {
				continue
			}
			if err := os.Symlink(filepath.Join(p.Dir, name), filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.CopyFS(dst, files)
}
