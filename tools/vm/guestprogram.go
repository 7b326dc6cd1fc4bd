// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/sumdb/dirhash"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

const (
	moduleGo     = "vcpulab"      // this project's name in its go.mod
	guestPackage = "./ebpf/guest" // the program
	guestKind    = "guest"        // of the cache entry
)

// ErrNoSource means that the project's own source was not found.
var ErrNoSource = errors.New("the source of " + moduleGo + " was not found")

// SourceRoot finds the directory of this project's go.mod: above the working directory,
// the running program, or where that was compiled, from which go install takes it.
func SourceRoot() (string, error) {
	// What is unknown is "". With -trimpath the file's path is relative.
	wd, _ := os.Getwd()
	exe, _ := os.Executable()
	_, file, _, _ := runtime.Caller(0)
	return rootAbove(wd, filepath.Dir(exe), filepath.Dir(file))
}

// rootAbove finds the first directory in and above which there is the go.mod.
func rootAbove(dirs ...string) (string, error) {
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
	for _, dir := range dirs {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if isRoot(dir) {
				return dir, nil
			}
		}
	}
	return "", exit.With(exit.MachineLacks, fmt.Errorf(
		"%w: looked for a go.mod with \"module %s\" in and above %s; run the command inside a clone of the repository, or name one with --root DIR or VCPULAB_ROOT=DIR",
		ErrNoSource, moduleGo, strings.Join(dirs, " and ")))
}

// CheckRoot returns an error unless root is the directory of this project's go.mod.
func CheckRoot(root string) error {
	if isRoot(root) {
		return nil
	}
	return exit.With(exit.Usage, fmt.Errorf("%w: expected a go.mod with \"module %s\" in %s; --root or VCPULAB_ROOT has to name a clone of the repository",
		ErrNoSource, moduleGo, root))
}

// isRoot tells whether dir has the project's go.mod.
func isRoot(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && modfile.ModulePath(data) == moduleGo
}

// GuestProgram returns the path of the guest program for an architecture. It
// is built by the go command from this project's own source, statically, and
// kept in c under a key made of that source and the Go version. root is the
// directory of the source, "" for SourceRoot.
func GuestProgram(ctx context.Context, c *cache.Cache, a arch.Arch, root string) (_ string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("build the guest program: %w", err)
		}
	}()
	if root == "" {
		if root, err = SourceRoot(); err != nil {
			return "", err
		}
	}
	if err := CheckRoot(root); err != nil {
		return "", err
	}

	version, err := runGo(ctx, root, nil, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	source, err := sourceHash(root)
	if err != nil {
		return "", err
	}
	key := cache.Key("guest", a.GoArch, strings.TrimSpace(version), source)
	dir, _, err := c.Populate(ctx, guestKind, key, func(ctx context.Context, tmp string) error {
		env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + a.GoArch, "GOFLAGS=-mod=readonly"}
		_, err := runGo(ctx, root, env, "build", "-trimpath", "-buildvcs=false",
			"-ldflags=-s -w", "-o", filepath.Join(tmp, "guest"), guestPackage)
		return err
	})
	return filepath.Join(dir, "guest"), err
}

// runGo runs the go command. Its error shows what go printed.
func runGo(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	goCommand := program.Program{Name: "go", Dir: dir, InheritEnv: true, Env: env}
	stdout, stderr, err := goCommand.Run(ctx, args...)
	if status, ok := errors.AsType[*program.StatusError](err); ok {
		err = exit.With(exit.BuildFailed, fmt.Errorf("exit status %d\n%s\n  to repeat it: %s",
			status.Status, strings.TrimSpace(string(stderr)), goCommand.Command(args...)))
	}
	return string(stdout), err
}

// sourceHash covers all that the guest program is built from: ebpf/ and the
// versions of the modules that it imports.
func sourceHash(root string) (string, error) {
	names, err := dirhash.DirFiles(filepath.Join(root, "ebpf"), "ebpf")
	if err != nil {
		return "", err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	return dirhash.Hash1(append(names, "go.mod", "go.sum"), func(name string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(root, name))
	})
}
