// SPDX-License-Identifier: GPL-2.0-only

// Package distro gets packages of the machine's distribution for guests: its kernel,
// the headers of that, and a busybox. They are only unpacked, not installed.
package distro

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
	"vcpulab/tools/vm"
)

// Kernel is a kernel for x86_64.
type Kernel struct {
	Image   string // path of a bzImage
	Modules string // directory with its modules, not compressed
	Release string // as uname -r has it
}

// meta is the Debian package that depends on the newest kernel.
const meta = "linux-image-amd64"

// cacheKind is the kind of the cache entries that hold unpacked packages.
const cacheKind = "distro"

// Fetch returns the newest kernel that apt can get and verify by the machine's lists.
func Fetch(ctx context.Context, c *cache.Cache, log *progress.Log) (Kernel, error) {
	name, sum, err := newest(ctx)
	if err != nil {
		return Kernel{}, exit.With(exit.MachineLacks, fmt.Errorf("find the distribution's kernel: %w\napt-get update fetches apt's lists", err))
	}
	dir, err := fetch(ctx, c, log, name, cache.Key(name, sum), func(ctx context.Context, dir string) error {
		return unpack(ctx, name, dir)
	})
	if err != nil {
		return Kernel{}, err
	}
	images, _ := pattern.Files(dir, "boot/vmlinuz-*")
	if len(images) != 1 {
		return Kernel{}, fmt.Errorf("%s: expected one boot/vmlinuz-*, found %d", name, len(images))
	}
	_, release, _ := strings.Cut(filepath.Base(images[0]), "-")
	return Kernel{Image: images[0], Modules: filepath.Join(dir, "lib", "modules"), Release: release}, nil
}

// fetch returns the directory of the cache with a package, into which get unpacks it.
func fetch(ctx context.Context, c *cache.Cache, log *progress.Log, name, key string,
	get func(ctx context.Context, dir string) error) (string, error) {
	dir, _, err := c.Populate(ctx, cacheKind, key, func(ctx context.Context, tmp string) (err error) {
		step := log.Step("fetch " + name)
		defer func() { step.End(err, "") }()
		return get(ctx, tmp)
	})
	if err != nil {
		err = fmt.Errorf("fetch %s: %w", name, err)
	}
	return dir, err
}

// Find returns modules by their names, "9p", in this order.
func (k Kernel) Find(names ...string) ([]vm.Module, error) {
	found := make([]vm.Module, len(names))
	err := filepath.WalkDir(k.Modules, func(file string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(file), ".ko"); ok && slices.Contains(names, name) {
			found[slices.Index(names, name)].Host = file
		}
		return err
	})
	if i := slices.IndexFunc(found, func(m vm.Module) bool { return m.Host == "" }); err == nil && i >= 0 {
		err = fmt.Errorf("%s: no %s.ko, which the guest needs", k.Modules, names[i])
	}
	return found, err
}

// newest returns the name of the package with the kernel and its checksum.
func newest(ctx context.Context) (name, sum string, err error) {
	out, err := apt(ctx, "", "apt-cache", "depends", "--important", meta)
	if err != nil {
		return "", "", err
	}
	depends := parseDepends(out)
	if len(depends) == 0 {
		return "", "", fmt.Errorf("%s depends on no kernel: %q", meta, out)
	}
	sum, err = checksum(ctx, depends[0])
	return depends[0], sum, err
}

// checksum returns that of a package as apt can get it now.
func checksum(ctx context.Context, name string) (string, error) {
	out, err := apt(ctx, "", "apt-get", "download", "--print-uris", name)
	if err != nil {
		return "", err
	}
	fields := strings.Fields(out)
	if len(fields) < 4 {
		return "", fmt.Errorf("expected a checksum of %s, found %q", name, out)
	}
	return fields[3], nil
}

// parseDepends returns the packages that apt-cache says a package depends on.
func parseDepends(out string) (names []string) {
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// unpack downloads a package and unpacks it into a directory; options are for apt.
func unpack(ctx context.Context, name, dir string, options ...string) error {
	// As root apt downloads as another user, unless that may not write there.
	args := append([]string{"download", "--quiet", "-o", "APT::Sandbox::User=root"}, options...)
	args = append(args, name)
	if _, err := apt(ctx, dir, "apt-get", args...); err != nil {
		return err
	}
	debs, err := pattern.Files(dir, "*.deb")
	if err == nil && len(debs) != 1 {
		err = errors.New("apt-get download left no package")
	}
	if err != nil {
		return err
	}
	_, err = apt(ctx, dir, "dpkg-deb", "--extract", debs[0], dir)
	return errors.Join(err, os.Remove(debs[0]))
}

// apt runs a program of the package manager.
func apt(ctx context.Context, dir, name string, args ...string) (string, error) {
	out, _, err := program.Program{Name: name, Dir: dir}.Run(ctx, args...)
	return string(out), err
}
