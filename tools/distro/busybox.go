// SPDX-License-Identifier: GPL-2.0-only

package distro

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// busybox is the Debian package of a busybox that needs no libraries.
const busybox = "busybox-static"

// FetchBusybox returns the path of a busybox for guests of an architecture. apt verifies it
// with lists of its own: the machine's cover only the architectures that it installs.
func FetchBusybox(ctx context.Context, c *cache.Cache, log *progress.Log, a arch.Arch) (string, error) {
	const file = "busybox"
	name := busybox + ":" + a.Debian
	dir, err := fetch(ctx, c, log, name, cache.Key(name), func(ctx context.Context, dir string) error {
		work := filepath.Join(dir, "work")
		err := fetchForeign(ctx, name, a.Debian, work)
		if err == nil {
			err = os.Rename(filepath.Join(work, "bin", "busybox"), filepath.Join(dir, file))
		}
		return errors.Join(err, os.RemoveAll(work))
	})
	return filepath.Join(dir, file), exit.With(exit.MachineLacks, err)
}

// fetchForeign unpacks a package into a new directory, where apt keeps its lists meanwhile.
func fetchForeign(ctx context.Context, name, architecture, dir string) error {
	state, archives := filepath.Join(dir, "state"), filepath.Join(dir, "cache")
	for _, d := range []string{filepath.Join(state, "lists", "partial"), filepath.Join(archives, "archives", "partial")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	options := []string{
		"-o", "Dir::State=" + state, "-o", "Dir::Cache=" + archives,
		"-o", "APT::Architectures::=" + architecture, "-o", "Acquire::Languages=none",
	}
	// A list that failed, say of updates alone, may not be the one that is needed.
	_, updateErr := apt(ctx, dir, "apt-get", append([]string{"update", "--quiet", "-o", "APT::Sandbox::User=root"}, options...)...)
	if err := unpack(ctx, name, dir, options...); err != nil {
		return errors.Join(err, updateErr)
	}
	return nil
}
