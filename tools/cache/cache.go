// SPDX-License-Identifier: GPL-2.0-only

// Package cache keeps what is costly to make (kernel trees, kernels, guests)
// in one folder, addressed by what it was made from.
//
// An entry is a folder, <dir>/<kind>/<key>. It is filled in a temporary
// folder and appears by a rename, so that it is either whole or not there at
// all; a lock file per entry keeps two processes from making the same thing
// twice. What an interrupted process left behind is removed by the next Open.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// EnvDir is the environment variable that names the cache folder.
const EnvDir = "VCPULAB_CACHE"

// Folders of the cache that are not kinds: names of kinds do not begin with a
// dot.
const (
	tmpDir  = ".tmp"
	lockDir = ".lock"
)

// Cache is a cache folder. Its methods may be called by several goroutines
// and, on the same folder, by several processes.
type Cache struct {
	dir string

	// Waiting, if set before the cache is used, is called once when an entry
	// or lock is held by somebody else and the caller has to wait for it.
	Waiting func(kind, key string)
}

// Open returns the cache in dir and makes the folder if it is not there. With
// dir "" it is $VCPULAB_CACHE or, where that is unset, vcpulab in the user's
// cache folder. What dead processes left half done is removed.
//
// The error of a folder that cannot be written stands for exit.Usage if the user
// named it, and else for exit.MachineLacks.
func Open(dir string) (*Cache, error) {
	code := exit.Usage
	if dir == "" {
		dir = os.Getenv(EnvDir)
	}
	if dir == "" {
		code = exit.MachineLacks
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, exit.With(code, fmt.Errorf("find the cache folder: %w; set %s to a folder", err, EnvDir))
		}
		dir = filepath.Join(user, "vcpulab")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	c := &Cache{dir: dir}
	for _, d := range []string{".", tmpDir, lockDir} {
		name := filepath.Join(dir, d)
		err := os.MkdirAll(name, 0o755)
		if err == nil {
			// It may be there and on a disk that is read-only now.
			err = unix.Faccessat(unix.AT_FDCWD, name, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
			if err != nil {
				err = &fs.PathError{Op: "write to", Path: name, Err: err}
			}
		}
		if err != nil {
			return nil, exit.With(code, fmt.Errorf("open the cache: %w; name a folder that can be written with --cache or %s", err, EnvDir))
		}
	}
	if err := c.sweep(); err != nil {
		return nil, fmt.Errorf("open the cache %s: remove what was left half done: %w", dir, err)
	}
	return c, nil
}

// Dir returns the absolute path of the cache folder.
func (c *Cache) Dir() string { return c.dir }

// Path returns where the entry is or would be. It says nothing of whether it
// is there.
func (c *Cache) Path(kind, key string) string { return filepath.Join(c.dir, kind, key) }

// Lookup returns the entry's folder and whether it is there.
func (c *Cache) Lookup(kind, key string) (dir string, ok bool) {
	dir = c.Path(kind, key)
	_, err := os.Lstat(dir)
	return dir, err == nil
}

// Key returns the key of what is made from parts: the SHA-256 in hexadecimal
// over each part preceded by its length, so that no two lists of parts are
// the same by how they are joined.
func Key(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// validName is what kinds and keys look like: one path element that is not
// hidden.
var validName = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+~-]*$`)

func checkName(kind, key string) error {
	for _, s := range []string{kind, key} {
		if !validName.MatchString(s) || len(s) > 200 {
			return fmt.Errorf("cache: %q/%q: %q cannot be a file name there", kind, key, s)
		}
	}
	return nil
}

// Populate returns the folder of an entry. If the entry is not there, fill
// makes its content in tmpDir, an empty folder on the same file system, which
// becomes the entry when fill returns nil; hit is then false. If fill fails
// or ctx ends, nothing is left and the error is fill's own. Another process
// or goroutine that fills the same entry is waited for.
//
// Paths below tmpDir change their name when the entry appears: fill must not
// store them.
func (c *Cache) Populate(ctx context.Context, kind, key string, fill func(ctx context.Context, tmpDir string) error) (dir string, hit bool, err error) {
	if err := checkName(kind, key); err != nil {
		return "", false, err
	}
	// An entry never changes once it is there: no lock is needed to use it.
	if dir, ok := c.Lookup(kind, key); ok {
		return dir, true, nil
	}
	unlock, err := c.Lock(ctx, kind, key)
	if err != nil {
		return "", false, err
	}
	defer unlock()
	dir, ok := c.Lookup(kind, key)
	if ok {
		return dir, true, nil
	}

	tmp := filepath.Join(c.dir, tmpDir, tmpName(kind, key))
	// Whoever made it is dead, or the lock could not be held here.
	if err := os.RemoveAll(tmp); err != nil {
		return "", false, fmt.Errorf("cache: %w", err)
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", false, fmt.Errorf("cache: %w", err)
	}
	defer func() {
		if rmErr := os.RemoveAll(tmp); rmErr != nil && err == nil {
			err = fmt.Errorf("cache: %w", rmErr)
		}
	}()
	if err := fill(ctx, tmp); err != nil {
		return "", false, err
	}
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", false, fmt.Errorf("cache: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return "", false, fmt.Errorf("cache: %w", err)
	}
	return dir, false, nil
}

// Remove takes an entry out of the cache. It is no error if it is not there.
// The entry vanishes at once for others, then its files are deleted.
func (c *Cache) Remove(ctx context.Context, kind, key string) error {
	if err := checkName(kind, key); err != nil {
		return err
	}
	unlock, err := c.Lock(ctx, kind, key)
	if err != nil {
		return err
	}
	defer unlock()
	tmp := filepath.Join(c.dir, tmpDir, tmpName(kind, key))
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	err = os.Rename(c.Path(kind, key), tmp)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cache: %w", err)
	}
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}

// Keys returns the keys of all entries of a kind, sorted.
func (c *Cache) Keys(kind string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, kind))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cache: %w", err)
	}
	var keys []string
	for _, e := range entries {
		if validName.MatchString(e.Name()) {
			keys = append(keys, e.Name())
		}
	}
	return keys, nil
}

// tmpName and its inverse name the temporary folder and the lock file of an
// entry. An @ is in no kind and no key; a space, which make cannot have in a
// path, would keep kernels from being built there.
func tmpName(kind, key string) string { return kind + "@" + key }

func splitTmpName(name string) (kind, key string, ok bool) {
	kind, key, ok = strings.Cut(name, "@")
	return kind, key, ok && checkName(kind, key) == nil
}

// sweep removes the temporary folders whose makers are dead: those whose lock
// is free.
func (c *Cache) sweep() error {
	entries, err := os.ReadDir(filepath.Join(c.dir, tmpDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		kind, key, ok := splitTmpName(e.Name())
		if !ok {
			continue // not made by this package
		}
		unlock, err := c.tryLock(kind, key)
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(filepath.Join(c.dir, tmpDir, e.Name()))
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
