// SPDX-License-Identifier: GPL-2.0-only

package distro

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// FetchHeaders returns a directory with what it takes to build modules for a kernel,
// with the paths that the packages install it at.
func FetchHeaders(ctx context.Context, c *cache.Cache, log *progress.Log, k Kernel) (string, error) {
	name := "linux-headers-" + k.Release
	dir, _, err := c.Populate(ctx, cacheKind, cache.Key(name), func(ctx context.Context, tmp string) error {
		step := log.Step("fetch " + name)
		err := fetchHeaders(ctx, name, tmp)
		step.End(err, "")
		return err
	})
	if err != nil {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("fetch %s: %w", name, err))
	}
	return dir, nil
}

// fetchHeaders unpacks the package and what it needs of the same kernel.
func fetchHeaders(ctx context.Context, name, dir string) error {
	out, err := apt(ctx, "", "apt-cache", "depends", "--important", name)
	if err != nil {
		return err
	}
	names := []string{name}
	for _, needed := range parseDepends(out) {
		if strings.HasPrefix(needed, "linux-headers-") || strings.HasPrefix(needed, "linux-kbuild-") {
			names = append(names, needed)
		}
	}
	for _, name := range names {
		if err := unpack(ctx, name, dir); err != nil {
			return err
		}
	}
	return mergeUsr(dir)
}

// mergeUsr moves what is in /lib to /usr/lib, of which /lib is a link in the system that
// the files are laid over.
func mergeUsr(dir string) error {
	modules, err := filepath.Glob(filepath.Join(dir, "lib", "modules", "*"))
	if err != nil || len(modules) == 0 {
		return err
	}
	merged := filepath.Join(dir, "usr", "lib", "modules")
	if err := os.MkdirAll(merged, 0o755); err != nil {
		return err
	}
	for _, m := range modules {
		if err := os.Rename(m, filepath.Join(merged, filepath.Base(m))); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(dir, "lib"))
}
