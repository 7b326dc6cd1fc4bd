// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/pattern"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

const selftestsDir = "tools/testing/selftests/kvm"

// SelftestName returns the name of the KVM selftest whose source a file of a
// kernel's tree is. ok is false for other files and for the tests' library.
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

// FindSelftests returns those of some KVM selftests that a tree has, by the names that they
// have there: up to Linux 6.13 their directories were named as uname names architectures.
func FindSelftests(t tree.Tree, a arch.Arch, names []string) []string {
	var found []string
	for _, name := range names {
		old := name
		if dir, base := path.Split(name); dir != "" {
			old = path.Join(a.Uname, base)
		}
		if HasSelftest(t, name) {
			found = append(found, name)
		} else if HasSelftest(t, old) {
			found = append(found, old)
		}
	}
	return found
}

// Selftests are KVM selftests that were built: an entry of the cache.
type Selftests struct {
	Dir string // absolute path of the entry
	// Names are the tests as the kernel's Makefile names them, sorted:
	// "kvm_create_max_vcpus", "x86/set_boot_cpu_id". Each is the path of a
	// statically linked program relative to Dir.
	Names []string
	// Unbuilt are tests that this compiler cannot build, and why. It is empty
	// if tests were asked for by name: then that is an error.
	Unbuilt map[string]string
}

// Path returns the absolute path of a test's program.
func (s *Selftests) Path(name string) string { return filepath.Join(s.Dir, filepath.FromSlash(name)) }

// BuildSelftests builds KVM selftests of a tree. names are tests with or
// without their directory ("set_boot_cpu_id"); none means all of the
// architecture. They are linked statically, so that a guest needs no libraries.
// Of spec only the architecture and the compiler count, which is [GCC] unless spec
// names another: Debian has C libraries for its cross compilers. Trees whose
// difference cannot be seen from user space share the result.
func (b *Builder) BuildSelftests(ctx context.Context, t tree.Tree, spec Spec, names []string) (*Selftests, error) {
	s, err := b.newSelftestBuild(ctx, t, spec, names)
	if err != nil {
		return nil, err
	}
	dir, ok := s.lookup()
	if !ok {
		if dir, _, err = b.Cache.Populate(ctx, kindSelftests, s.key, s.fill); err != nil {
			return nil, b.Cache.Full(s.doing(), err)
		}
	}
	return s.load(dir)
}

// BuiltSelftests returns KVM selftests if they are in the cache, otherwise nil.
func (b *Builder) BuiltSelftests(ctx context.Context, t tree.Tree, spec Spec, names []string) (*Selftests, error) {
	s, err := b.newSelftestBuild(ctx, t, spec, names)
	if err != nil {
		return nil, err
	}
	if dir, ok := s.lookup(); ok {
		return s.load(dir)
	}
	return nil, nil
}

type selftestBuild struct {
	*build
	names []string
	all   string // key of all tests of the tree
}

func (b *Builder) newSelftestBuild(ctx context.Context, t tree.Tree, spec Spec, names []string) (*selftestBuild, error) {
	spec.Compiler, spec.Fragments = cmp.Or(spec.Compiler, GCC), nil
	what := fmt.Sprintf("the KVM selftests of linux %s for %s", t.Version, spec.Arch.Name)
	common, err := b.newBuild(ctx, kindSelftests, "build", what, t, spec)
	if err != nil {
		return nil, err
	}
	s := &selftestBuild{build: common, names: slices.Sorted(slices.Values(names))}
	seen, err := identify(s.base, t, s.changed, seenByTests)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.doing(), err)
	}
	// The keys of the cache have uname's name of the architecture.
	parts := append([]string{kindSelftests, version, spec.Arch.Uname, s.toolchain.Compiler, s.toolchain.Linker}, seen...)
	s.all, s.key = cache.Key(parts...), cache.Key(append(parts, s.names...)...)
	return s, nil
}

// lookup finds the tests in the cache. Those that were built together with all
// others need not be built again.
func (s *selftestBuild) lookup() (dir string, ok bool) {
	if dir, ok = s.Cache.Lookup(kindSelftests, s.all); !ok {
		dir, ok = s.Cache.Lookup(kindSelftests, s.key)
	}
	return dir, ok
}

// load chooses the tests of an entry of the cache.
func (s *selftestBuild) load(dir string) (*Selftests, error) {
	built, err := loadSelftests(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.doing(), err)
	}
	if len(s.names) == 0 {
		return built, nil
	}

	for _, n := range s.names {
		if why, ok := built.Unbuilt[n]; ok {
			return nil, exit.With(exit.BuildFailed, fmt.Errorf("%s: %s: %s", s.doing(), n, why))
		}
	}
	built.Unbuilt = nil
	built.Names, err = chooseTests(s.doing(), built.Names, s.names)
	return built, err
}

// fileUnbuilt has the tests that could not be built, and why.
const fileUnbuilt = ".unbuilt.json"

func loadSelftests(dir string) (*Selftests, error) {
	s := &Selftests{Dir: dir}
	if err := jsonfile.Load(filepath.Join(dir, fileUnbuilt), &s.Unbuilt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && p != fileUnbuilt {
			s.Names = append(s.Names, p)
		}
		return err
	})
	return s, err
}

// ListSelftests returns the names of all KVM selftests that a tree's Makefile
// has for an architecture, sorted, without building any.
func (b *Builder) ListSelftests(ctx context.Context, t tree.Tree, spec Spec) ([]string, error) {
	doing := fmt.Sprintf("list the KVM selftests of linux %s for %s", t.Version, spec.Arch.Name)
	// The Makefile makes directories for what it would build.
	out, err := os.MkdirTemp("", "vcpulab-selftests-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer os.RemoveAll(out)

	vars := append([]string{"ARCH=" + spec.Arch.Make, "CROSS_COMPILE=" + spec.Arch.CrossPrefix()}, selftestVars(out)...)
	return listTests(ctx, doing, spec.Arch, filepath.Join(t.Dir, selftestsDir), vars, b.env())
}

// selftestVars keep what the tests' Makefile writes in a directory.
func selftestVars(work string) []string {
	out := filepath.Join(work, "out")
	// Where the Makefile tries compiler options, and where it makes the
	// headers: by default below the tree.
	return []string{"OUTPUT=" + out, "TMPOUT=" + filepath.Join(work, "try"), "abs_objdir=" + out}
}

// unseen matches the files that do not matter when a test is built: the kernel's
// own side. A test uses the headers for user space and what is below tools.
var unseen = regexp.MustCompile(`^(Documentation|block|drivers|fs|include/kvm|include/trace|ipc|kernel|mm|net|virt|arch/[^/]+/(kvm|kernel|mm))/|` +
	`^(include/linux|arch/[^/]+/include/asm)/kvm_`)

func seenByTests(name string) bool { return !unseen.MatchString(name) }

// fill builds the tests in a directory of tmp and moves the programs to tmp.
func (s *selftestBuild) fill(ctx context.Context, tmp string) (err error) {
	doing := s.doing()
	step := s.Progress.Step(doing)
	defer func() { step.Fail(err) }()
	work := filepath.Join(tmp, ".work")
	out, headers := filepath.Join(work, "out"), filepath.Join(work, "headers")
	// The Makefile for arm64 makes headers in out/tools, which must exist.
	for _, dir := range []string{filepath.Join(out, "tools"), headers} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}

	if err := tree.Unedited(ctx, s.Cache, s.base); err != nil {
		return err
	}
	m, err := s.newMake(doing, kindSelftests, s.key, step)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.tree.Dir, selftestsDir)
	common := append([]string{"ARCH=" + s.Arch.Make}, s.toolchain.vars...)
	vars := slices.Concat(common, selftestVars(work), []string{"KHDR_INCLUDES=-isystem " + headers + "/usr/include"})
	names, err := listTests(ctx, doing, s.Arch, dir, vars, m.env)
	if err == nil {
		names, err = chooseTests(doing, names, s.names)
	}
	if err != nil {
		return err
	}

	m.dir, m.vars, m.targets = s.tree.Dir, append([]string{"O=" + headers, "RUSTC=false"}, common...), []string{"headers"}
	if _, err := m.run(ctx); err != nil {
		return err
	}

	step.Update("%s", progress.Count(len(names), "test"))
	m.dir, m.vars, m.targets = dir, vars, nil
	for _, n := range names {
		m.targets = append(m.targets, filepath.Join(out, n))
	}
	// From the environment they are added to the Makefile's own; on the command
	// line they would replace those. Debug information, most of a program, is left
	// out.
	m.env = append(m.env, "LDFLAGS=-static -Wl,--strip-debug", "EXTRA_CFLAGS=-ffile-prefix-map="+work+"=.")
	if len(s.names) > 0 {
		_, err = m.run(ctx)
	} else {
		names, err = s.compileMost(ctx, m, names, tmp)
	}
	if err != nil {
		return err
	}

	for _, n := range names {
		to := filepath.Join(tmp, n)
		if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
			err = os.Rename(filepath.Join(out, n), to)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	step.Done("%s", progress.Count(len(names), "test"))
	return os.RemoveAll(work)
}

// mostUnbuilt is how many tests a compiler may be unable to build. If there are
// more, the build is at fault and not single tests.
const mostUnbuilt = 3

// compileMost builds tests, all of which m has as targets, and returns those that
// were built. A few that this compiler cannot build, as gcc 12 cannot build what
// needs atomic bytes on riscv64, are recorded in dir.
func (s *selftestBuild) compileMost(ctx context.Context, m *makeRun, names []string, dir string) ([]string, error) {
	all := *m
	all.goOn = true
	_, err := all.run(ctx)
	if err == nil {
		return names, nil
	}
	if _, failed := errors.AsType[*Error](err); !failed {
		return nil, err
	}

	var built, unbuilt []string
	for i, n := range names {
		if _, err := os.Stat(m.targets[i]); err == nil {
			built = append(built, n)
		} else if errors.Is(err, fs.ErrNotExist) {
			unbuilt = append(unbuilt, n)
		} else {
			return nil, fmt.Errorf("%s: %w", m.doing, err)
		}
	}
	if len(unbuilt) == 0 || len(unbuilt) > mostUnbuilt || len(built) == 0 {
		return nil, err
	}

	// The output of the run above does not say which error is whose.
	why := make(map[string]string)
	for _, n := range unbuilt {
		single := *m
		single.targets = []string{m.targets[slices.Index(names, n)]}
		if _, err := single.run(ctx); err == nil {
			built = append(built, n)
		} else if failed, ok := errors.AsType[*Error](err); ok {
			why[n] = failed.Fault.String()
		} else {
			return nil, err
		}
	}
	return built, jsonfile.Save(filepath.Join(dir, fileUnbuilt), why)
}

// listTests asks the Makefile in dir for the names of its tests.
func listTests(ctx context.Context, doing string, a arch.Arch, dir string, vars, env []string) ([]string, error) {
	if !a.Selftests {
		return nil, fmt.Errorf("%s: the kernel has none for this architecture", doing)
	}
	const mark = "vcpulab-tests:"
	args := append([]string{"--no-print-directory", "-C", dir}, vars...)
	args = append(args, "--eval", "vcpulab-tests:;@echo "+mark+" $(patsubst $(OUTPUT)/%,%,$(TEST_GEN_PROGS))", "vcpulab-tests")
	output, _, err := program.Program{Name: "make", Env: append([]string{locale}, env...)}.Run(ctx, args...)
	if err != nil {
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

// chooseTests returns those of all tests that are wanted, by their full names; all
// if none is.
func chooseTests(doing string, all, wanted []string) ([]string, error) {
	chosen, err := pattern.Select(all, wanted, func(name string) string { return name })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return chosen, nil
}
