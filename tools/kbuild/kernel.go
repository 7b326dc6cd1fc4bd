// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"vcpulab/tools/arch"
	"vcpulab/tools/tree"
)

// Spec says what to build of a tree.
type Spec struct {
	Arch arch.Arch
	// Fragments are the paths of configuration fragments on top of
	// allnoconfig; a later one overrides those before it.
	Fragments []string
	// Compiler is GCC (or ""), "clang" or "clang-<version>".
	Compiler string
}

// Kernel is a kernel that was built. It is an entry of the cache: nothing in
// its folder changes any more.
type Kernel struct {
	// Dir is the absolute path of the entry.
	Dir string `json:"-"`
	// Key is what it is found by in the cache.
	Key  string    `json:"key"`
	Arch arch.Arch `json:"arch"`
	// Tree is the source tree that it was built from.
	Tree tree.Tree `json:"tree"`
	// Release is what `uname -r` prints.
	Release string `json:"release"`
	// Image is the name, in Dir, of what QEMU's -kernel is given: an ELF
	// file with debug information that starts by PVH on x86_64, else what
	// the architecture's boot loaders take.
	Image string `json:"image"`
	// Modules are the names, in Dir, of the modules ("modules/kvm.ko").
	Modules []string `json:"modules"`
	// SHA256 has the SHA-256 of Image, vmlinux and the modules by their
	// names in Dir, in hexadecimal.
	SHA256 map[string]string `json:"sha256"`
	// ConfigHash is the SHA-256 of the final configuration without its
	// comments, in hexadecimal.
	ConfigHash string    `json:"configHash"`
	Toolchain  Toolchain `json:"toolchain"`
	// Steps is the number of commands that kbuild ran for it, Seconds how
	// long that took, Cold whether it began with an empty work area.
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
	Cold    bool    `json:"cold"`
}

// The names of files and folders in Kernel.Dir.
const (
	fileVmlinux = "vmlinux"
	fileConfig  = "config"
	fileSymvers = "Module.symvers"
	fileMap     = "System.map"
	fileLog     = "build.log"
	fileMeta    = "kernel.json"
	dirModules  = "modules"
	dirBuild    = "build" // what modules from outside are built against
)

// ImagePath returns the absolute path of what QEMU's -kernel is given.
func (k *Kernel) ImagePath() string { return filepath.Join(k.Dir, k.Image) }

// Vmlinux returns the absolute path of the kernel as an ELF file with debug
// information.
func (k *Kernel) Vmlinux() string { return filepath.Join(k.Dir, fileVmlinux) }

// ConfigPath returns the absolute path of the final configuration.
func (k *Kernel) ConfigPath() string { return filepath.Join(k.Dir, fileConfig) }

// LogPath returns the absolute path of the output of its build.
func (k *Kernel) LogPath() string { return filepath.Join(k.Dir, fileLog) }

// ModulePath returns the absolute path of a module by its name ("kvm-amd"),
// or an error that lists the modules that there are.
func (k *Kernel) ModulePath(name string) (string, error) {
	want := filepath.Join(dirModules, name+".ko")
	for _, m := range k.Modules {
		if m == want {
			return filepath.Join(k.Dir, m), nil
		}
	}
	return "", fmt.Errorf("linux %s for %s has no module %s, only %v", k.Release, k.Arch.Name, name, k.Modules)
}

// Config reads the final configuration.
func (k *Kernel) Config() (Config, error) {
	f, err := os.Open(k.ConfigPath())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseConfig(k.ConfigPath(), f)
}

// Elapsed returns how long the build took.
func (k *Kernel) Elapsed() time.Duration { return time.Duration(k.Seconds * float64(time.Second)) }

// loadKernel reads the description of a kernel in the cache.
func loadKernel(dir string) (*Kernel, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileMeta))
	if err != nil {
		return nil, fmt.Errorf("load a kernel from the cache: %w", err)
	}
	k := &Kernel{}
	if err := json.Unmarshal(data, k); err != nil {
		return nil, fmt.Errorf("load the kernel %s: %w", dir, err)
	}
	k.Dir = dir
	return k, nil
}

func (k *Kernel) save(dir string) error {
	data, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fileMeta), append(data, '\n'), 0o644)
}

// hashFile returns the SHA-256 of a file in hexadecimal.
func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyFile copies a file, sharing its blocks where the file system can. It is
// never a hard link: the linker and what runs after it write to their output
// in place.
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
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
