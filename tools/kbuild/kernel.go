// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/arch"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// Spec says what to build of a tree.
type Spec struct {
	Arch arch.Arch
	// Fragments are the paths of configuration fragments on top of
	// allnoconfig; a later one overrides those before it.
	Fragments []string
	// ForAnother are those of Fragments that were made for another kernel than the
	// tree may be. What they set and it cannot have, KVM itself apart, is no error,
	// and said.
	ForAnother []string
	Compiler   string // GCC, "clang" or "clang-<version>"; "" is the architecture's
}

// Kernel is a kernel that was built. It is an entry of the cache, which never
// changes.
type Kernel struct {
	Dir     string    `json:"-"`   // absolute path of the entry
	Key     string    `json:"key"` // in the cache
	Arch    arch.Arch `json:"arch"`
	Tree    tree.Tree `json:"tree"`    // that it was built from
	Release string    `json:"release"` // what `uname -r` prints
	// Image is the name, in Dir, of what QEMU's -kernel is given: an ELF
	// file with debug information that starts by PVH on x86_64, otherwise what
	// the architecture's boot loaders take.
	Image   string   `json:"image"`
	Modules []string `json:"modules"` // their names in Dir, "modules/kvm.ko"
	// SHA256 has the SHA-256 of Image, vmlinux and the modules by their
	// names in Dir, ConfigHash is Config.Hash of the final configuration.
	SHA256     map[string]string `json:"sha256"`
	ConfigHash string            `json:"configHash"`
	Toolchain  Toolchain         `json:"toolchain"`
	Steps      int               `json:"steps"`   // commands that kbuild ran for it
	Seconds    float64           `json:"seconds"` // that those took
	Cold       bool              `json:"cold"`    // the work area was empty
}

// The names of files and directories in Kernel.Dir.
const (
	fileVmlinux = "vmlinux"
	fileConfig  = "config"
	fileSymvers = "Module.symvers"
	fileMap     = "System.map"
	fileLog     = "build.log"
	fileMeta    = "kernel.json"
	dirModules  = "modules"
	dirBuild    = "build" // what external modules are built against
)

// ImagePath returns the absolute path of what QEMU's -kernel is given.
func (k *Kernel) ImagePath() string { return filepath.Join(k.Dir, k.Image) }

// Vmlinux returns the absolute path of the kernel as an ELF file with debug
// information.
func (k *Kernel) Vmlinux() string { return filepath.Join(k.Dir, fileVmlinux) }

// ConfigPath returns the absolute path of the final configuration.
func (k *Kernel) ConfigPath() string { return filepath.Join(k.Dir, fileConfig) }

// ModulePath returns the absolute path of a module by its name ("kvm-amd"),
// or an error that lists the modules of the kernel.
func (k *Kernel) ModulePath(name string) (string, error) {
	module := filepath.Join(dirModules, name+".ko")
	if !slices.Contains(k.Modules, module) {
		return "", fmt.Errorf("linux %s for %s has no module %s, only %v", k.Release, k.Arch.Name, name, k.Modules)
	}
	return filepath.Join(k.Dir, module), nil
}

// Config reads the final configuration.
func (k *Kernel) Config() (Config, error) { return readConfig(k.ConfigPath()) }

// Elapsed returns how long the build took.
func (k *Kernel) Elapsed() time.Duration { return time.Duration(k.Seconds * float64(time.Second)) }

// Build builds a kernel, or returns it from the cache. name is what the tree
// is called in progress and errors: "base", "patched". A failed build gives an
// *Error; settings that Kconfig did not keep, and
// programs that the machine lacks, are errors with exit codes of their own.
func (b *Builder) Build(ctx context.Context, name string, t tree.Tree, spec Spec) (*Kernel, error) {
	k, err := b.newKernelBuild(ctx, name, t, spec)
	if err != nil {
		return nil, err
	}
	dir, _, err := k.populate(ctx, k.fill)
	if err != nil {
		return nil, err
	}
	return k.load(dir)
}

// Built returns a kernel if it is in the cache, otherwise nil.
func (b *Builder) Built(ctx context.Context, t tree.Tree, spec Spec) (*Kernel, error) {
	k, err := b.newKernelBuild(ctx, "", t, spec)
	if err != nil {
		return nil, err
	}
	if dir, ok := b.Cache.Lookup(kindKernel, k.key); ok {
		return k.load(dir)
	}
	return nil, nil
}

// Forget removes a kernel from the cache that will not be needed again: to make
// room, others would be removed first.
func (b *Builder) Forget(ctx context.Context, k *Kernel) error {
	return b.Cache.Remove(ctx, kindKernel, k.Key)
}

type kernelBuild struct{ *build }

func (b *Builder) newKernelBuild(ctx context.Context, name string, t tree.Tree, spec Spec) (kernelBuild, error) {
	k, err := b.newBuild(ctx, kindKernel, "build", fmt.Sprintf("linux %s (%s) for %s", t.Version, name, spec.Arch.Name), t, spec)
	if err != nil {
		return kernelBuild{}, err
	}
	// The keys of the cache have uname's name of the architecture.
	k.setKeys(kindArea, spec.Arch.Uname, []string{t.ID},
		[]string{version, spec.Arch.Uname, k.config.String(), k.toolchain.Compiler, k.toolchain.Linker, k.toolchain.Pahole})
	return kernelBuild{k}, nil
}

func (k kernelBuild) load(dir string) (*Kernel, error) {
	kernel := &Kernel{}
	if err := jsonfile.Load(filepath.Join(dir, fileMeta), kernel); err != nil {
		return nil, fmt.Errorf("load a kernel from the cache: %w", err)
	}
	// The same tree may be elsewhere than when the kernel was built.
	kernel.Dir, kernel.Tree = dir, k.tree
	kernel.Toolchain.vars, kernel.Toolchain.flags = k.toolchain.vars, k.toolchain.flags
	return kernel, nil
}

func (k kernelBuild) fill(ctx context.Context, a *area, m *makeRun, tmp string) error {
	start := time.Now()
	// The output directory is in the source directory. There kbuild calls the source
	// "..", and no path of the machine gets into its commands: ccache finds what was
	// compiled in another work area. The only path left is the directory in which
	// the compiler runs, which would be in the debug information.
	m.vars = append(m.vars, k.toolchain.reproducible("-ffile-prefix-map=../=", "-fdebug-prefix-map="+a.out+"=.")...)
	m.targets = []string{"vmlinux", "modules"}
	if k.Arch.ImageTarget != "vmlinux" {
		m.targets = []string{"vmlinux", k.Arch.ImageTarget, "modules"}
	}

	final, err := k.configure(ctx, a, *m)
	if err != nil {
		return err
	}
	cold := !a.state.Started
	if cold {
		m.expected = k.Arch.Steps
	}
	if err := a.run(ctx, m, false); err != nil {
		return err
	}

	m.step.Update("collecting the results")
	kernel := &Kernel{
		Key: k.key, Arch: k.Arch, Tree: k.tree, Toolchain: k.toolchain, ConfigHash: final.Hash(),
		Steps: m.steps, Seconds: time.Since(start).Seconds(), Cold: cold,
	}
	if err := kernel.collect(a.out, tmp, m.log); err != nil {
		return fmt.Errorf("%s: collect the results: %w", m.doing, err)
	}
	m.step.Done("%s", progress.Count(m.steps, "step"))
	return nil
}

// configure makes .config: everything off that can be off, except for what the
// fragments set. A .config that comes out the same is not touched, so that
// nothing is rebuilt because of it.
func (k kernelBuild) configure(ctx context.Context, a *area, m makeRun) (Config, error) {
	m.doing = "configure " + k.what
	fragment := filepath.Join(a.dir, "fragment.config")
	if err := os.WriteFile(fragment, []byte(k.config.String()), 0o644); err != nil {
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}

	m.vars = slices.Concat(m.vars, []string{"KCONFIG_ALLCONFIG=" + fragment})
	m.targets = []string{"allnoconfig"}
	if err := a.run(ctx, &m, true); err != nil {
		return nil, err
	}
	return k.finalConfig(a, k.config)
}

// collect copies what was built from kbuild's output directory to dir, and
// completes and saves the description of the kernel there.
func (k *Kernel) collect(out, dir, log string) error {
	release, err := os.ReadFile(filepath.Join(out, "include/config/kernel.release"))
	if err != nil {
		return err
	}
	k.Release = strings.TrimSpace(string(release))
	k.Image = filepath.Base(k.Arch.ImagePath)

	files := map[string]string{ // by their names in dir
		fileVmlinux: "vmlinux",
		k.Image:     k.Arch.ImagePath,
		fileConfig:  ".config",
		fileMap:     "System.map",
	}
	// Without modules there is none.
	if _, err := os.Lstat(filepath.Join(out, "Module.symvers")); err == nil {
		files[fileSymvers] = "Module.symvers"
	}
	order, err := os.ReadFile(filepath.Join(out, "modules.order"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, object := range strings.Fields(string(order)) {
		ko := strings.TrimSuffix(object, ".o") + ".ko"
		module := filepath.Join(dirModules, filepath.Base(ko))
		if files[module] != "" {
			return fmt.Errorf("two modules are called %s", filepath.Base(ko))
		}
		k.Modules = append(k.Modules, module)
		files[module] = ko
	}

	for to, from := range files {
		if err := copyFile(filepath.Join(dir, to), filepath.Join(out, from)); err != nil {
			return err
		}
	}
	if err := copyFile(filepath.Join(dir, fileLog), log); err != nil {
		return err
	}
	if err := collectBuild(out, filepath.Join(dir, dirBuild), k.Arch.Source); err != nil {
		return err
	}

	k.SHA256 = make(map[string]string)
	for _, name := range slices.Concat([]string{k.Image, fileVmlinux}, k.Modules) {
		if k.SHA256[name], err = hashFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return jsonfile.Save(filepath.Join(dir, fileMeta), k)
}

// collectBuild copies what it takes to build an external module from kbuild's
// output: what distributions put into their packages of headers.
func collectBuild(out, dir, source string) error {
	for _, name := range []string{
		".config", "Module.symvers", "include",
		filepath.Join("arch", source, "include"),
		"scripts",
		"tools/objtool/objtool",
		"tools/bpf/resolve_btfids/resolve_btfids",
		"arch/powerpc/lib/crtsavres.o", // linked into each module there
	} {
		err := fs.WalkDir(os.DirFS(out), name, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			// Below a directory, kbuild uses these only to make them again.
			if ext := filepath.Ext(p); p != name && (ext == ".o" || ext == ".a" || ext == ".cmd") {
				return nil
			}
			return copyFile(filepath.Join(dir, p), filepath.Join(out, p))
		})
		// Not all are of this architecture or configuration.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// The type information of modules is based on the kernel's.
	return os.Symlink(filepath.Join("..", fileVmlinux), filepath.Join(dir, "vmlinux"))
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()

	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// copyFile copies a file, sharing its blocks where the file system can. It is
// never a hard link: the linker and the programs that run after it write to
// their output in place.
func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}

	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
