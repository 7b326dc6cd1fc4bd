// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// SpaceError says that a disk is, or would become, full.
type SpaceError struct {
	Doing string // what needs the space
	Dir   string // a directory on that disk
	Need  int64  // bytes that are needed; 0 if unknown
	Free  int64  // bytes that were free
}

func (e *SpaceError) Error() string {
	const tail = "; free some space, or set " + EnvDir + " to a directory on another disk"
	if e.Need == 0 {
		return fmt.Sprintf("%s: the disk of %s is full (%s free)%s", e.Doing, e.Dir, size(e.Free), tail)
	}
	return fmt.Sprintf("%s: needs %s on the disk of %s, which has %s free%s", e.Doing, size(e.Need), e.Dir, size(e.Free), tail)
}

// ExitCode makes a full disk something that the machine lacks.
func (e *SpaceError) ExitCode() int { return exit.MachineLacks }

// Unwrap lets errors.Is(err, unix.ENOSPC) find it.
func (e *SpaceError) Unwrap() error { return unix.ENOSPC }

func size(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }

// Free returns the number of bytes that this user can still write to the disk of dir.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Need returns a *SpaceError if the cache's disk has less than need bytes
// free; doing says what they are for ("download linux-7.3.4").
func (c *Cache) Need(doing string, need int64) error {
	free, err := Free(c.dir)
	if err != nil {
		return err
	}
	if free < need {
		return &SpaceError{Doing: doing, Dir: c.dir, Need: need, Free: free}
	}
	return nil
}

// IsFull tells whether an error came from a full disk, a quota or a limit of sizes.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// Full makes a *SpaceError of an error of a full disk, or of a program that found it full.
func (c *Cache) Full(doing string, err error) error {
	var already *SpaceError
	if err == nil || errors.As(err, &already) || !IsFull(err) && !strings.Contains(err.Error(), "No space left on device") {
		return err
	}
	free, _ := Free(c.dir)
	return &SpaceError{Doing: doing, Dir: c.dir, Free: free}
}
