// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// errLocked says that somebody else holds a lock.
var errLocked = errors.New("locked by somebody else")

// lockPoll is how often a lock that somebody else holds is tried again. flock
// cannot be waited for and interrupted at the same time.
const lockPoll = 50 * time.Millisecond

// Lock takes the lock of an entry, which Populate holds while it fills it,
// and waits for whoever has it until ctx ends. The kernel frees it when the
// process dies. unlock may be called once.
func (c *Cache) Lock(ctx context.Context, kind, key string) (unlock func(), err error) {
	if err := checkName(kind, key); err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		unlock, err := c.tryLock(kind, key)
		if err == nil {
			return unlock, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		if !waited && c.Waiting != nil {
			c.Waiting(kind, key)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that makes %s/%s: %w", kind, key, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// tryLock takes the lock of an entry or returns errLocked. Lock files are
// never removed: a file that was replaced while somebody waited for it would
// be held twice.
func (c *Cache) tryLock(kind, key string) (unlock func(), err error) {
	name := filepath.Join(c.dir, lockDir, tmpName(kind, key))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("cache: lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}
