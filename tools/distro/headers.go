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
	"vcpulab/tools/pattern"
	"vcpulab/tools/progress"
)

// FetchHeaders returns a directory with a kernel's headers, where the packages install them.
func FetchHeaders(ctx context.Context, c *cache.Cache, log *progress.Log, k Kernel) (string, error) {
	name := "linux-headers-" + k.Release
	sum, err := checksum(ctx, name)
	if err != nil {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("find %s: %w\napt-get update fetches apt's lists", name, err))
	}
	dir, err := fetch(ctx, c, log, name, cache.Key(name, sum), func(ctx context.Context, dir string) error {
		return fetchHeaders(ctx, name, dir)
	})
	if err != nil {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("%w\napt-get update fetches apt's lists", err))
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

// mergeUsr moves /lib/modules to /usr/lib/modules: in the system below, which has a
// merged /usr, /lib is a link that a directory would hide.
func mergeUsr(dir string) error {
	modules, err := pattern.Files(dir, "lib/modules/*")
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
