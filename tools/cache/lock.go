// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errLocked is what tryLock returns if another process or goroutine holds the lock.
const errLocked = unix.EWOULDBLOCK

// lockPoll is how often a held lock is tried: flock(2) cannot wait until a context ends.
const lockPoll = 50 * time.Millisecond

// Lock takes the lock of an entry, which Populate holds while it fills it; it waits until ctx
// ends. The kernel frees it when the process dies. unlock may be called once.
func (c *Cache) Lock(ctx context.Context, kind, key string) (unlock func(), err error) {
	if err := checkName(kind, key); err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		f, err := c.tryLock(name(kind, key))
		if err == nil {
			// Others show who holds it. Without it messages are less exact.
			f.Truncate(0)
			f.WriteAt(fmt.Appendf(nil, "process %d (%s)", os.Getpid(), strings.Join(os.Args, " ")), 0)
			return func() { f.Truncate(0); f.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}

		what := fmt.Sprintf("%s/%.*s, which %s uses", kind, shownKey, key, c.holder(kind, key))
		if !waited && c.Waiting != nil {
			c.Waiting("waiting for " + what)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// shownKey is how much people see of a key, maxHolder of the command line of a lock's holder.
const shownKey, maxHolder = 24, 200

// holder returns what holds the lock of an entry, for messages.
func (c *Cache) holder(kind, key string) string {
	text, _ := os.ReadFile(filepath.Join(c.dir, lockDir, name(kind, key)))
	if len(text) == 0 {
		return "another process"
	}
	return strings.ToValidUTF8(string(text[:min(len(text), maxHolder)]), "?")
}

// tryLock takes the lock of that name, which closing the file frees. Lock files are never
// removed: one that is replaced while another process waits for it would be locked twice.
func (c *Cache) tryLock(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(c.dir, lockDir, name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}

	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for errors.Is(err, unix.EINTR) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cache: lock %s: %w", f.Name(), err)
	}
	return f, nil
}
