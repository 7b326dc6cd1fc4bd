// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

const (
	moduleName   = "vcpulab"      // of this project, in its go.mod
	guestPackage = "./ebpf/guest" // what is built
	guestKind    = "guest"        // of the cache entry
)

// ErrNoSource: the project's own source was not found.
var ErrNoSource = errors.New("the source of " + moduleName + " was not found")

// SourceRoot finds the folder of this project's go.mod: above the working
// directory, else above the running program.
func SourceRoot() (string, error) {
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		starts = append(starts, filepath.Dir(exe))
	}
	for _, dir := range starts {
		if root, ok := rootAbove(dir); ok {
			return root, nil
		}
	}
	return "", exit.With(exit.MachineLacks, fmt.Errorf(
		"build the guest program: %w: looked for a go.mod with \"module %s\" in and above %s; run the command inside a clone of the repository",
		ErrNoSource, moduleName, strings.Join(starts, " and ")))
}

// rootAbove looks for the project's go.mod in dir and the folders above it.
func rootAbove(dir string) (string, bool) {
	for {
		if isRoot(dir) {
			return dir, true
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", false
		}
		dir = above
	}
}

// isRoot says that dir has the project's go.mod.
func isRoot(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "module" && f[1] == moduleName {
			return true
		}
	}
	return false
}

// GuestProgram returns the path of the guest program for an architecture. It
// is built by the go command from this project's own source, statically, and
// kept in c under a key made of that source and the Go version. root is the
// folder of the source, "" for SourceRoot.
func GuestProgram(ctx context.Context, c *cache.Cache, arch Arch, root string) (string, error) {
	var err error
	if root == "" {
		if root, err = SourceRoot(); err != nil {
			return "", err
		}
	}
	if !isRoot(root) {
		return "", exit.With(exit.Usage, fmt.Errorf(
			"build the guest program: %w: expected a go.mod with \"module %s\" in %s; --root has to name a clone of the repository",
			ErrNoSource, moduleName, root))
	}
	goCmd, err := exec.LookPath("go")
	if err != nil {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("build the guest program: %w", err))
	}
	version, err := goOutput(ctx, root, goCmd, nil, "env", "GOVERSION")
	if err != nil {
		return "", fmt.Errorf("build the guest program: %w", err)
	}
	source, err := sourceHash(root)
	if err != nil {
		return "", fmt.Errorf("build the guest program: %w", err)
	}
	key := cache.Key("guest", arch.GOARCH, strings.TrimSpace(version), source)
	dir, _, err := c.Populate(ctx, guestKind, key, func(ctx context.Context, tmp string) error {
		env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch.GOARCH, "GOFLAGS=-mod=readonly"}
		_, err := goOutput(ctx, root, goCmd, env, "build", "-trimpath", "-buildvcs=false",
			"-ldflags=-s -w", "-o", filepath.Join(tmp, "guest"), guestPackage)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("build the guest program: %w", err)
	}
	return filepath.Join(dir, "guest"), nil
}

// goOutput runs the go command. Its error shows what go said.
func goOutput(ctx context.Context, dir, goCmd string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, goCmd, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		command := "cd " + quoteArg(dir) + " && " + quote(append(append(append([]string(nil), env...), "go"), args...))
		return "", exit.With(exit.BuildFailed, fmt.Errorf("%w\n%s\n  to repeat it: %s",
			err, strings.TrimSpace(stderr.String()), command))
	}
	return stdout.String(), nil
}

// sourceHash covers all that the guest program is built from: ebpf/ and the
// versions of the modules that it imports.
func sourceHash(root string) (string, error) {
	h := sha256.New()
	add := func(name string) error {
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %x\n", name, sum.Sum(nil))
		return nil
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := add(name); err != nil {
			return "", err
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "ebpf"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(p, "_test.go") {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		// What is neither compiled nor embedded does not count.
		if ext := filepath.Ext(p); ext != ".go" && ext != ".s" && ext != ".o" {
			return nil
		}
		return add(name)
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
