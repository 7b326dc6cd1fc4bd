// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// selftestsDir is where the kernel keeps its KVM selftests.
const selftestsDir = "tools/testing/selftests/kvm"

// SelftestName returns the name of the KVM selftest that a file of a kernel's
// tree is the source of, if it is one: a program, not a part of the library.
func SelftestName(file string) (name string, ok bool) {
	name, ok = strings.CutPrefix(file, selftestsDir+"/")
	if !ok || path.Ext(name) != ".c" || strings.HasPrefix(name, "lib/") {
		return "", false
	}
	return strings.TrimSuffix(name, ".c"), true
}

// HasSelftest tells whether a tree has the source of the KVM selftest of this
// name.
func HasSelftest(t tree.Tree, name string) bool {
	info, err := os.Stat(filepath.Join(t.Dir, selftestsDir, filepath.FromSlash(name)+".c"))
	return err == nil && info.Mode().IsRegular()
}

// Selftests are KVM selftests that were built: an entry of the cache.
type Selftests struct {
	// Dir is the absolute path of the entry.
	Dir string
	// Names are the tests as the kernel's Makefile names them, sorted:
	// "kvm_create_max_vcpus", "x86/set_boot_cpu_id". Each is the path of a
	// statically linked program relative to Dir.
	Names []string
	// Unbuilt are tests that this compiler cannot build, and why. There are
	// none if tests were asked for by name: then that is an error.
	Unbuilt map[string]string
}

// Path returns the absolute path of a test's program.
func (s *Selftests) Path(name string) string { return filepath.Join(s.Dir, filepath.FromSlash(name)) }

// BuildSelftests builds KVM selftests of a tree. names are tests with or
// without their folder ("set_boot_cpu_id"); none means all of the
// architecture. They are linked statically, so that a guest needs no
// libraries. Of spec only the architecture and the compiler count, which is
// [GCC] unless spec names another: the C library of another machine comes with
// it.
//
// Trees whose difference cannot be seen from user space share the result.
func (b *Builder) BuildSelftests(ctx context.Context, t tree.Tree, spec Spec, names []string) (*Selftests, error) {
	doing := fmt.Sprintf("build the KVM selftests of linux %s for %s", t.Version, spec.Arch.Name)
	if !spec.Arch.Selftests {
		return nil, fmt.Errorf("%s: the kernel has none for this architecture", doing)
	}
	if err := b.checkDir(); err != nil {
		return nil, err
	}
	spec.Compiler = cmp.Or(spec.Compiler, GCC)
	tc, err := findToolchain(ctx, spec, b.ccache())
	if err != nil {
		return nil, err
	}
	parts := []string{kindSelftests, version, spec.Arch.Uname, tc.Compiler, tc.Linker}
	seen, err := seenByTests(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	names = slices.Clone(names)
	slices.Sort(names)
	// What was built with all the others need not be built again.
	dir, ok := b.Cache.Lookup(kindSelftests, cache.Key(append(parts, seen...)...))
	if !ok {
		key := cache.Key(slices.Concat(parts, seen, names)...)
		s := selftestBuild{Builder: b, doing: doing, tree: t, spec: spec, toolchain: tc, key: key, names: names}
		if dir, _, err = b.Cache.Populate(ctx, kindSelftests, key, s.fill); err != nil {
			return nil, b.Cache.Full(doing, err)
		}
	}
	built := &Selftests{Dir: dir}
	if built.Unbuilt, err = loadUnbuilt(dir); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && p != fileUnbuilt {
			built.Names = append(built.Names, p)
		}
		return err
	})
	if err != nil || len(names) == 0 {
		return built, err
	}
	for _, n := range names {
		if why, ok := built.Unbuilt[n]; ok {
			return nil, exit.With(exit.BuildFailed, fmt.Errorf("%s: %s: %s", doing, n, why))
		}
	}
	built.Unbuilt = nil
	built.Names, err = chooseTests(doing, built.Names, names)
	return built, err
}

// ListSelftests returns the names of all KVM selftests that a tree's Makefile
// has for an architecture, sorted, without building any.
func (b *Builder) ListSelftests(ctx context.Context, t tree.Tree, spec Spec) ([]string, error) {
	doing := fmt.Sprintf("list the KVM selftests of linux %s for %s", t.Version, spec.Arch.Name)
	if !spec.Arch.Selftests {
		return nil, fmt.Errorf("%s: the kernel has none for this architecture", doing)
	}
	// The Makefile makes folders for what it would build.
	out, err := os.MkdirTemp("", "vcpulab-selftests-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer os.RemoveAll(out)
	vars := append([]string{"ARCH=" + spec.Arch.Make, "CROSS_COMPILE=" + spec.Arch.CrossPrefix()}, selftestVars(out)...)
	return listTests(ctx, doing, filepath.Join(t.Dir, selftestsDir), vars, b.env())
}

// selftestVars keep what the tests' Makefile writes in a folder.
func selftestVars(work string) []string {
	out := filepath.Join(work, "out")
	// Where the Makefile tries compiler options, and where it makes the
	// headers: by default below the tree.
	return []string{"OUTPUT=" + out, "TMPOUT=" + filepath.Join(work, "try"), "abs_objdir=" + out}
}

// unseen are folders and files whose change no test can see when it is
// built: the kernel's own side. A test sees the headers for user space and
// what is below tools.
var unseen = []string{
	"Documentation/*", "block/*", "drivers/*", "fs/*", "include/kvm/*", "include/linux/kvm_*", "include/trace/*",
	"ipc/*", "kernel/*", "mm/*", "net/*", "virt/*",
	"arch/*/kvm/*", "arch/*/kernel/*", "arch/*/mm/*", "arch/*/include/asm/kvm_*",
}

// seenByTests returns what identifies a tree as far as tests can see it.
func seenByTests(t tree.Tree) ([]string, error) {
	base, changed, err := root(t)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(t.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	seen := []string{base.ID}
	for _, p := range changed {
		if slices.ContainsFunc(unseen, func(pattern string) bool { return matchPrefix(pattern, p) }) {
			continue
		}
		id, err := blobID(dir, p)
		if err != nil {
			return nil, err
		}
		seen = append(seen, p, id)
	}
	return seen, nil
}

// matchPrefix is path.Match in which a trailing * also matches slashes.
func matchPrefix(pattern, name string) bool {
	pattern = strings.TrimSuffix(pattern, "*")
	n := strings.Count(pattern, "/")
	elems := strings.SplitN(name, "/", n+2)
	if len(elems) <= n {
		return false
	}
	last := pattern[strings.LastIndexByte(pattern, '/')+1:]
	ok, err := path.Match(path.Dir(pattern+"x"), strings.Join(elems[:n], "/"))
	return err == nil && ok && strings.HasPrefix(elems[n], last)
}

// selftestBuild is one build of tests.
type selftestBuild struct {
	*Builder
	doing     string
	tree      tree.Tree
	spec      Spec
	toolchain Toolchain
	key       string
	names     []string
}

// fill builds the tests in a folder of tmp and moves the programs to tmp.
func (s *selftestBuild) fill(ctx context.Context, tmp string) (err error) {
	step := s.Progress.Step(s.doing)
	defer func() { step.Fail(err) }()
	work := filepath.Join(tmp, ".work")
	out, headers := filepath.Join(work, "out"), filepath.Join(work, "headers")
	// The Makefile for arm64 makes headers in out/tools, which has to be there.
	for _, dir := range []string{filepath.Join(out, "tools"), headers} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	vars := append([]string{"ARCH=" + s.spec.Arch.Make}, s.toolchain.vars...)
	m := &makeRun{
		doing: s.doing, dir: s.tree.Dir, vars: append([]string{"O=" + headers, "RUSTC=false"}, vars...),
		targets: []string{"headers"}, jobs: s.jobs(), env: s.env(), log: s.log(kindSelftests, s.key), step: step,
	}
	if err := os.Remove(m.log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := m.run(ctx); err != nil {
		return err
	}
	m.dir = filepath.Join(s.tree.Dir, selftestsDir)
	m.vars = slices.Concat(vars, selftestVars(work), []string{"KHDR_INCLUDES=-isystem " + headers + "/usr/include"})
	// In the environment they are added to; on the command line they would
	// replace the Makefile's own.
	m.env = append(s.env(), "LDFLAGS=-static", "EXTRA_CFLAGS=-ffile-prefix-map="+work+"=.")
	names, err := listTests(ctx, s.doing, m.dir, m.vars, m.env)
	if err != nil {
		return err
	}
	if len(s.names) > 0 {
		if names, err = chooseTests(s.doing, names, s.names); err != nil {
			return err
		}
	}
	m.targets = nil
	for _, n := range names {
		m.targets = append(m.targets, filepath.Join(out, n))
	}
	step.Update("%d tests", len(names))
	if len(s.names) == 0 {
		if names, err = s.most(ctx, m, names, tmp); err != nil {
			return err
		}
	} else if _, err := m.run(ctx); err != nil {
		return err
	}
	for _, n := range names {
		if err := s.install(ctx, filepath.Join(out, n), filepath.Join(tmp, n)); err != nil {
			return fmt.Errorf("%s: %w", s.doing, err)
		}
	}
	step.Done("%d tests", len(names))
	return os.RemoveAll(work)
}

// install moves a program without its debug information, which is most of it.
func (s *selftestBuild) install(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	strip := s.spec.Arch.CrossPrefix() + "strip"
	if m := clangName.FindStringSubmatch(s.spec.Compiler); m != nil {
		strip = "llvm-strip" + m[1]
	}
	cmd := exec.CommandContext(ctx, strip, "-g", "-o", to, from)
	cmd.Env = environment(nil)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("strip %s: %w: %s", filepath.Base(from), err, out)
	}
	return nil
}

// listTests asks the Makefile in dir which tests there are.
func listTests(ctx context.Context, doing, dir string, vars, env []string) ([]string, error) {
	const mark = "vcpulab-tests:"
	args := append([]string{"--no-print-directory", "-C", dir}, vars...)
	args = append(args, "--eval", "vcpulab-tests:;@echo "+mark+" $(patsubst $(OUTPUT)/%,%,$(TEST_GEN_PROGS))", "vcpulab-tests")
	cmd := exec.CommandContext(ctx, "make", args...)
	cmd.Env = environment(env)
	output, err := cmd.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
		}
		return nil, exit.With(exit.BuildFailed, fmt.Errorf("%s: ask %s: %w", doing, filepath.Join(dir, "Makefile"), err))
	}
	var all []string
	for line := range strings.Lines(string(output)) {
		if rest, ok := strings.CutPrefix(line, mark); ok {
			all = append(all, strings.Fields(rest)...)
		}
	}
	if len(all) == 0 {
		return nil, exit.With(exit.BuildFailed, fmt.Errorf("%s: %s lists no tests", doing, filepath.Join(dir, "Makefile")))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// chooseTests returns those of all tests that are wanted, by their full names.
func chooseTests(doing string, all, wanted []string) ([]string, error) {
	var chosen []string
	for _, want := range wanted {
		i := slices.IndexFunc(all, func(n string) bool { return n == want || path.Base(n) == want })
		if i < 0 {
			return nil, exit.With(exit.Usage, fmt.Errorf("%s: there is no test %q; there are %s", doing, want, strings.Join(all, " ")))
		}
		chosen = append(chosen, all[i])
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}
