// SPDX-License-Identifier: GPL-2.0-only

// Package native measures lookups on this machine's processor, without a
// kernel: it takes them out of a kernel's tree and compiles them for user space,
// together with that tree's own lib/xarray.c, in the way in which the kernel's
// tools/testing/radix-tree does. Readers of RCU cost what they cost in a kernel
// with preemptible RCU, and structures are laid out as in the kernel that was built
// from the tree: what shares a cache line there does so here. vCPUs are objects of
// the size and at the alignment that the slab allocator gives them, at random places.
// They are looked up alone, and while another
// thread creates more of them; tables that were replaced are freed after a grace
// period, which is real.
//
// Walks and lookups are also timed one by one, with the cache lines that they read in
// the caches, just written by another processor, or flushed.
//
// What a kernel does besides is not in it: interrupts, other mitigations than
// array_index_nospec(), other users of the caches.
package native

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/tree"
)

//go:embed source
var source embed.FS

const (
	kindNative  = "native"  // of the programs in the cache
	programName = "lookups" // the file name of what is built
)

// flags are those of the compiler. Files are compiled one by one, so that what
// is out of line in the kernel is out of line here.
var flags = []string{"-O2", "-g", "-fno-strict-aliasing", "-fno-pie", "-Wall", "-Werror=implicit-function-declaration", "-D_GNU_SOURCE"}

// Build builds the program that measures the lookups of a kernel whose structures
// are laid out so, or finds it in the cache, and returns its path. A compiler that is
// missing stands for exit.MachineLacks, what does not compile for exit.BuildFailed.
func Build(ctx context.Context, c *cache.Cache, t tree.Tree, l Layout) (string, error) {
	if runtime.GOARCH != "amd64" {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("measure in user space: expected an x86_64 processor, found %s", runtime.GOARCH))
	}
	version, _, err := program.Program{Name: "gcc"}.Run(ctx, "-dumpfullversion")
	if _, missing := errors.AsType[*program.MissingError](err); missing {
		err = fmt.Errorf("%w: run vcpulab install build", err)
	}
	if err != nil {
		return "", fmt.Errorf("measure in user space: %w", err)
	}
	parts, err := gather(t.Dir, l)
	if err != nil {
		return "", exit.With(exit.BuildFailed, err)
	}
	return parts.build(ctx, c, t, string(version))
}

// gather returns all that the program is made of.
func gather(kernel string, l Layout) (extracted, error) {
	parts, err := extract(kernel, l)
	if err == nil {
		err = parts.addHarness(kernel)
	}
	return parts, err
}

// build compiles the program with this version of the compiler, or finds it in the cache.
func (parts extracted) build(ctx context.Context, c *cache.Cache, t tree.Tree, version string) (string, error) {
	key := slices.Concat([]string{t.ID, version}, flags, parts.defines)
	for _, name := range slices.Sorted(maps.Keys(parts.files)) {
		key = append(key, name, parts.files[name])
	}
	dir, _, err := c.Populate(ctx, kindNative, cache.Key(key...), func(ctx context.Context, tmp string) error {
		base, _, err := t.Root()
		if err == nil {
			err = tree.Unedited(ctx, c, base)
		}
		if err != nil {
			return err
		}
		return compile(ctx, t.Dir, tmp, parts)
	})
	if err != nil {
		return "", exit.With(exit.BuildFailed, fmt.Errorf("compile the lookups of %s for user space: %w", t.Dir, err))
	}
	return filepath.Join(dir, programName), nil
}

// addHarness adds the files that are the same for every kernel, and what the Makefile of
// tools/testing/radix-tree generates, but with nodes as large as the kernel's.
func (e extracted) addHarness(kernel string) error {
	config, err := os.ReadFile(filepath.Join(kernel, "tools/testing/shared/autoconf.h"))
	if err != nil {
		return err
	}
	e.files["generated/autoconf.h"] = string(config)
	e.files["generated/map-shift.h"] = "#define XA_CHUNK_SHIFT 6\n"
	e.files["generated/bit-length.h"] = "#define CONFIG_64BIT 1\n#define CONFIG_PHYS_ADDR_T_64BIT 1\n"
	return fs.WalkDir(source, "source", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := source.ReadFile(name)
		e.files[strings.TrimPrefix(name, "source/")] = string(data)
		return err
	})
}

func compile(ctx context.Context, kernel, dir string, parts extracted) error {
	src := filepath.Join(dir, "src")
	for name, text := range parts.files {
		name = filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	args := slices.Concat(flags, parts.defines, []string{"-I" + src})
	for _, include := range []string{"tools/testing/shared", "tools/include", "tools/arch/x86/include", "lib", ""} {
		args = append(args, "-I"+filepath.Join(kernel, include))
	}
	var objects []string
	for _, name := range []string{"xarray", "support", "memory", "main"} {
		object := filepath.Join(dir, name+".o")
		objects = append(objects, object)
		if err := gcc(ctx, append(args, "-c", "-o", object, filepath.Join(src, name+".c"))...); err != nil {
			return err
		}
	}
	return gcc(ctx, append([]string{"-no-pie", "-static", "-pthread", "-o", filepath.Join(dir, programName)}, objects...)...)
}

// gcc runs the compiler. Its first message about an error becomes the error.
func gcc(ctx context.Context, args ...string) error {
	_, stderr, err := program.Program{Name: "gcc"}.Run(ctx, args...)
	if _, failed := errors.AsType[*program.StatusError](err); !failed {
		return err
	}
	message, _, _ := strings.Cut(string(stderr), "\n")
	for line := range strings.Lines(string(stderr)) {
		if strings.Contains(line, "error:") || strings.Contains(line, "undefined reference") {
			message = strings.TrimSpace(line)
			break
		}
	}
	return fmt.Errorf("gcc: %s", message)
}
