// SPDX-License-Identifier: GPL-2.0-only

// Package cache keeps what is costly to make (kernel trees, kernels, guests)
// in one directory, addressed by what it was made from.
//
// An entry is a directory, <dir>/<kind>/<key>. It is filled in a temporary
// directory and appears by a rename, so that it is either complete or missing; a
// lock file per entry keeps two processes from making the same thing twice. What
// an interrupted process left behind is removed by the next Open.
package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

// EnvDir is the environment variable that names the cache directory.
const EnvDir = "VCPULAB_CACHE"

// Directories of the cache that are not kinds, whose names do not begin with a dot.
const (
	tmpDir  = ".tmp"
	lockDir = ".lock"
)

// Cache is a cache directory. Its methods may be called by several goroutines
// and, on the same directory, by several processes.
type Cache struct {
	dir string

	// Waiting, if set before the cache is used, is called once for each lock that has to be
	// waited for, with a message that names the entry and the process that holds it.
	Waiting func(message string)

	once sync.Map // what Once has done
}

// Open returns the cache in dir, which is made if it is missing; "" is $VCPULAB_CACHE or vcpulab
// in the user's cache directory. What dead processes left half done is removed. The error for
// a directory that cannot be written has exit.Usage if the user named it, otherwise
// exit.MachineLacks.
func Open(dir string) (*Cache, error) {
	code := exit.Usage
	dir = cmp.Or(dir, os.Getenv(EnvDir))
	if dir == "" {
		code = exit.MachineLacks
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, exit.With(code, fmt.Errorf("find the cache directory: %w; set %s to a directory", err, EnvDir))
		}
		dir = filepath.Join(user, "vcpulab")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}

	c := &Cache{dir: dir}
	for _, name := range []string{dir, filepath.Join(dir, tmpDir), filepath.Join(dir, lockDir)} {
		err := os.MkdirAll(name, 0o755)
		if err == nil {
			// It may exist on a disk that is read-only now.
			err = os.NewSyscallError("write to "+name, unix.Faccessat(unix.AT_FDCWD, name, unix.W_OK|unix.X_OK, unix.AT_EACCESS))
		}
		if err != nil {
			return nil, exit.With(code, fmt.Errorf("open the cache: %w; name a writable directory with --cache or %s", err, EnvDir))
		}
	}

	if err := c.sweep(); err != nil {
		return nil, fmt.Errorf("open the cache %s: remove what was left half done: %w", dir, err)
	}
	return c, nil
}

// Dir returns the absolute path of the cache directory.
func (c *Cache) Dir() string { return c.dir }

// TmpDir returns the absolute path of the directory of entries that are being made.
func (c *Cache) TmpDir() string { return filepath.Join(c.dir, tmpDir) }

// CheckOutside refuses to copy dir to a cache in it: each copy would hold those before it.
func (c *Cache) CheckOutside(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	own, err := filepath.EvalSymlinks(c.dir)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(dir, own); err == nil && filepath.IsLocal(rel) {
		return exit.With(exit.Usage, fmt.Errorf("the cache %s is inside %s, which is to be copied to it; name a directory outside with --cache or %s", own, dir, EnvDir))
	}
	return nil
}

// Path returns where the entry is or would be, whether or not it exists.
func (c *Cache) Path(kind, key string) string { return filepath.Join(c.dir, kind, key) }

// Once returns what do returned when it was first called for this path and purpose.
func (c *Cache) Once(what, path string, do func() error) error {
	first, _ := c.once.LoadOrStore([2]string{what, path}, sync.OnceValue(do))
	return first.(func() error)()
}

// Lookup returns the entry's directory and whether it exists.
func (c *Cache) Lookup(kind, key string) (dir string, ok bool) {
	dir = c.Path(kind, key)
	_, err := os.Lstat(dir)
	return dir, err == nil
}

// Key returns the key of what is made from parts: the SHA-256 in hexadecimal over each part
// and its length, so that different lists of parts never have the same key.
func Key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// validName is what kinds and keys look like: one path element that is not hidden.
var validName = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+~-]*$`)

func checkName(kind, key string) error {
	for _, s := range []string{kind, key} {
		if !validName.MatchString(s) || len(s) > 200 {
			return fmt.Errorf("cache: %q/%q: %q cannot be a file name there", kind, key, s)
		}
	}
	return nil
}

// Populate returns the directory of an entry. If the entry is missing, fill makes its content
// in tmpDir, an empty directory that becomes the entry when fill returns nil: nothing in it may
// store its path. If fill fails or ctx ends, nothing is left and the error is fill's own. If
// another process or goroutine fills the same entry, Populate waits for it.
func (c *Cache) Populate(ctx context.Context, kind, key string, fill func(ctx context.Context, tmpDir string) error) (dir string, hit bool, err error) {
	if err := checkName(kind, key); err != nil {
		return "", false, err
	}
	// An entry never changes once it exists: using it needs no lock.
	if dir, ok := c.Lookup(kind, key); ok {
		// Prune removes first what was not used for the longest time.
		now := time.Now()
		_ = os.Chtimes(dir, now, now)
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

	tmp := c.tmpPath(kind, key)
	defer func() {
		if removeErr := os.RemoveAll(tmp); err == nil {
			err = removeErr
		}
	}()
	// Its maker is dead, or the lock could not be held here.
	if err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o755)); err != nil {
		return "", false, fmt.Errorf("cache: %w", err)
	}
	if err := fill(ctx, tmp); err != nil {
		return "", false, err
	}
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), os.Rename(tmp, dir)); err != nil {
		return "", false, fmt.Errorf("cache: %w", err)
	}
	return dir, false, nil
}

// Scratch makes an empty directory for files that become no entry. It is gone when remove
// has been called, or once its maker is dead and the cache is opened again. A few of
// one kind may be in use at the same time.
func (c *Cache) Scratch(kind string) (dir string, remove func() error, err error) {
	for i := 0; ; i++ {
		key := strconv.Itoa(i)
		if err := checkName(kind, key); err != nil {
			return "", nil, err
		}
		lock, err := c.tryLock(name(kind, key))
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return "", nil, err
		}

		dir := c.tmpPath(kind, key)
		remove := func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
			return "", nil, fmt.Errorf("cache: %w", errors.Join(err, remove()))
		}
		return dir, remove, nil
	}
}

// Remove takes an entry out of the cache, if it is there: first from the sight of others.
func (c *Cache) Remove(ctx context.Context, kind, key string) error {
	unlock, err := c.Lock(ctx, kind, key)
	if err != nil {
		return err
	}
	defer unlock()

	tmp := c.tmpPath(kind, key)
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if err := os.Rename(c.Path(kind, key), tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cache: %w", err)
	}
	return os.RemoveAll(tmp)
}

// Keys returns the keys of all entries of a kind, sorted.
func (c *Cache) Keys(kind string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, kind))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
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

// name is the name of an entry's temporary directory and lock file. Kinds and
// keys have no @. A space instead would keep kernels from being built there: make
// cannot have one in a path.
func name(kind, key string) string { return kind + "@" + key }

func (c *Cache) tmpPath(kind, key string) string {
	return filepath.Join(c.dir, tmpDir, name(kind, key))
}

// sweep removes temporary directories whose makers are dead: those whose lock is free.
func (c *Cache) sweep() error {
	entries, err := os.ReadDir(filepath.Join(c.dir, tmpDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.Contains(e.Name(), "@") {
			continue // not made by this package
		}
		lock, err := c.tryLock(e.Name())
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(filepath.Join(c.dir, tmpDir, e.Name())), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}
