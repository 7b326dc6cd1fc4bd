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

// errLocked says that another process or goroutine holds a lock.
var errLocked = errors.New("locked")

// lockPoll is how often a lock that is held is tried again. flock(2) cannot wait
// for a lock until a context ends.
const lockPoll = 50 * time.Millisecond

// Lock takes the lock of an entry, which Populate holds while it fills it. If it
// is held, Lock waits until ctx ends. The kernel frees it when the process dies.
// unlock may be called once.
func (c *Cache) Lock(ctx context.Context, kind, key string) (unlock func(), err error) {
	if err := checkName(kind, key); err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		f, err := c.tryLock(kind, key)
		if err == nil {
			writeHolder(f)
			return func() { f.Truncate(0); f.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}

		entry := kind + "/" + key[:min(len(key), shownKey)]
		if !waited && c.Waiting != nil {
			c.Waiting(fmt.Sprintf("waiting for %s, which %s uses", entry, c.holder(kind, key)))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s, which %s uses: %w", entry, c.holder(kind, key), ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// shownKey is how many characters of a key people are shown.
const shownKey = 24

// writeHolder writes into a lock file that this process holds it. Without it
// only messages are less exact.
func writeHolder(f *os.File) {
	f.Truncate(0)
	f.WriteAt(fmt.Appendf(nil, "process %d (%s)", os.Getpid(), strings.Join(os.Args, " ")), 0)
}

// maxHolder bounds how much of the holder's command line is shown, in bytes.
const maxHolder = 200

// holder returns what holds the lock of an entry, for messages.
func (c *Cache) holder(kind, key string) string {
	text, err := os.ReadFile(c.lockPath(kind, key))
	if err != nil || len(text) == 0 {
		return "another process"
	}
	return strings.ToValidUTF8(string(text[:min(len(text), maxHolder)]), "?")
}

func (c *Cache) lockPath(kind, key string) string {
	return filepath.Join(c.dir, lockDir, tmpName(kind, key))
}

// tryLock takes the lock of an entry, which closing the file frees, or returns
// errLocked. Lock files are never removed: a file that is replaced while another
// process waits for it would be locked twice.
func (c *Cache) tryLock(kind, key string) (*os.File, error) {
	name := c.lockPath(kind, key)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}

	err = unix.EINTR
	for errors.Is(err, unix.EINTR) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("cache: lock %s: %w", name, err)
	}
	return f, nil
}
