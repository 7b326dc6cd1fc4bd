// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vcpulab/tools/exit"
)

func open(t *testing.T, dir string) *Cache {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write returns a fill function that makes one file.
func write(content string) func(context.Context, string) error {
	return func(_ context.Context, tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "f"), []byte(content), 0o644)
	}
}

// leftovers lists what is in the directory of temporary directories.
func leftovers(t *testing.T, c *Cache) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.Dir(), tmpDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestPopulate(t *testing.T) {
	c := open(t, t.TempDir())
	for i, wantHit := range []bool{false, true} {
		dir, hit, err := c.Populate(t.Context(), "tree", "k", write("one"))
		if err != nil || hit != wantHit || dir != c.Path("tree", "k") {
			t.Fatalf("call %d: Populate = %q, %v, %v; want hit %v", i, dir, hit, err, wantHit)
		}
		got, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil || string(got) != "one" {
			t.Fatalf("call %d: content %q, %v", i, got, err)
		}
	}
	keys, err := c.Keys("tree")
	if err != nil || cmp.Diff([]string{"k"}, keys) != "" {
		t.Errorf("Keys = %v, %v", keys, err)
	}
	if got := leftovers(t, c); got != nil {
		t.Errorf("left behind: %v", got)
	}
}

func TestPopulateFails(t *testing.T) {
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(t.Context())
	tests := map[string]struct {
		ctx  context.Context
		fill func(context.Context, string) error
		want error
	}{
		"fill fails": {t.Context(), func(ctx context.Context, tmp string) error {
			return errors.Join(write("half")(ctx, tmp), broken)
		}, broken},
		"context ends while filling": {cancelled, func(ctx context.Context, tmp string) error {
			cancel()
			return write("half")(ctx, tmp)
		}, context.Canceled},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := open(t, t.TempDir())
			if _, _, err := c.Populate(tc.ctx, "tree", "k", tc.fill); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if _, ok := c.Lookup("tree", "k"); ok {
				t.Error("the entry appeared")
			}
			if got := leftovers(t, c); got != nil {
				t.Errorf("left behind: %v", got)
			}
			// It can be done again.
			if _, _, err := c.Populate(t.Context(), "tree", "k", write("whole")); err != nil {
				t.Errorf("second try: %v", err)
			}
		})
	}
}

func TestPopulateOnceAmongMany(t *testing.T) {
	dir := t.TempDir()
	var fills, waits atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		c := open(t, dir) // as if each were a process of its own
		c.Waiting = func(string) { waits.Add(1) }
		wg.Go(func() {
			_, _, err := c.Populate(t.Context(), "kernel", "k", func(ctx context.Context, tmp string) error {
				fills.Add(1)
				return write("x")(ctx, tmp)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if fills.Load() != 1 {
		t.Errorf("filled %d times", fills.Load())
	}
}

func TestLockWaitsUntilContextEnds(t *testing.T) {
	c := open(t, t.TempDir())
	unlock, err := c.Lock(t.Context(), "tree", "k")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var said string
	c.Waiting = func(message string) { said = message; cancel() }
	if _, err := c.Lock(ctx, "tree", "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("second Lock: %v", err)
	}
	if want := fmt.Sprintf("waiting for tree/k, which process %d (%s", os.Getpid(), os.Args[0]); !strings.HasPrefix(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	unlock()
	again, err := c.Lock(t.Context(), "tree", "k")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestBadNames(t *testing.T) {
	c := open(t, t.TempDir())
	for _, key := range []string{"", ".", "..", ".tmp", "a/b", "../x", "a b", "a\x00b", strings.Repeat("a", 300)} {
		if _, _, err := c.Populate(t.Context(), "tree", key, write("x")); err == nil {
			t.Errorf("key %q accepted", key)
		}
		if _, _, err := c.Populate(t.Context(), key, "k", write("x")); err == nil {
			t.Errorf("kind %q accepted", key)
		}
	}
}

func TestRemove(t *testing.T) {
	c := open(t, t.TempDir())
	if err := c.Remove(t.Context(), "tree", "k"); err != nil {
		t.Errorf("of a missing entry: %v", err)
	}
	if _, _, err := c.Populate(t.Context(), "tree", "k", write("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(t.Context(), "tree", "k"); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Lookup("tree", "k"); ok {
		t.Error("still in the cache")
	}
	if got := leftovers(t, c); got != nil {
		t.Errorf("left behind: %v", got)
	}
}

func TestOpenFindsItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	t.Setenv(EnvDir, dir)
	if got := open(t, "").Dir(); got != dir {
		t.Errorf("with %s: %s", EnvDir, got)
	}
	t.Setenv(EnvDir, "")
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	if got := open(t, "").Dir(); got != filepath.Join(home, "vcpulab") {
		t.Errorf("without: %s", got)
	}
}

func TestKeyTellsPartsApart(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"a", "b", ""}, {"b", "a"}} {
		k := Key(parts...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have the same key", parts, other)
		}
		seen[k] = parts
	}
}

// TestKilledFillIsSwept kills a process in the middle of filling an entry.
func TestKilledFillIsSwept(t *testing.T) {
	if dir := os.Getenv("CACHE_TEST_HANG_IN"); dir != "" {
		c, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Populate(context.Background(), "tree", "k", func(ctx context.Context, tmp string) error {
			if err := write("half")(ctx, tmp); err != nil {
				return err
			}
			if _, _, err := c.Scratch("work"); err != nil {
				return err
			}
			os.Stdout.WriteString("filling\n")
			// Without a timer Go's runtime would end the process: a deadlock.
			time.Sleep(time.Hour)
			return nil
		})
		t.Fatal(err)
	}

	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledFillIsSwept$")
	cmd.Env = append(os.Environ(), "CACHE_TEST_HANG_IN="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 8)); n == 0 {
		t.Fatal(err)
	}
	// As long as it lives, its work stays.
	if got := leftovers(t, open(t, dir)); len(got) != 2 {
		t.Errorf("while it is being filled: %v", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	c := open(t, dir)
	if got := leftovers(t, c); got != nil {
		t.Errorf("after its death: %v", got)
	}
	if _, hit, err := c.Populate(t.Context(), "tree", "k", write("x")); hit || err != nil {
		t.Errorf("Populate: hit %v, %v", hit, err)
	}
}

// TestScratch: two at a time are apart, and each is empty and goes away.
func TestScratch(t *testing.T) {
	c := open(t, t.TempDir())
	var dirs []string
	var removes []func() error
	for range 2 {
		dir, remove, err := c.Scratch("work")
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, "x"), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		dirs, removes = append(dirs, dir), append(removes, remove)
	}
	if dirs[0] == dirs[1] {
		t.Errorf("expected two directories, found %s twice", dirs[0])
	}
	for _, remove := range removes {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
	if got := leftovers(t, c); got != nil {
		t.Errorf("expected nothing to be left, found %v", got)
	}
	if _, _, err := c.Scratch("../work"); err == nil {
		t.Error("expected a kind that leaves the cache to be refused")
	}
}

func TestSpace(t *testing.T) {
	c := open(t, t.TempDir())
	if err := c.Need("test", 1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	err := c.Need("unpack linux-7.3.4", 1<<60)
	var full *SpaceError
	if !errors.As(err, &full) || exit.Code(err) != exit.MachineLacks || !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("an exabyte: %v", err)
	}
	for _, want := range []string{"unpack linux-7.3.4", c.Dir(), "GB free", EnvDir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	wrapped := &fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}
	if err := c.Full("test", wrapped); !errors.As(err, &full) {
		t.Errorf("Full(ENOSPC) = %v", err)
	}
	if err := c.Full("test", fs.ErrExist); err != fs.ErrExist {
		t.Errorf("Full(other) = %v", err)
	}
}

// TestOpenRefuses opens caches that cannot be written: the exit code depends on
// whether the user named them.
func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	// Made before, and read-only now: .tmp and .lock are there.
	closed := t.TempDir()
	open(t, closed)
	for _, dir := range []string{filepath.Dir(closed), closed, filepath.Join(closed, tmpDir), filepath.Join(closed, lockDir)} {
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o755) })
	}
	for name, tt := range map[string]struct {
		dir, home, says string
		code            int
	}{
		"a file":         {file, "", "not a directory", exit.Usage},
		"read-only":      {closed, "", "permission denied", exit.Usage},
		"home is a file": {"", file, "not a directory", exit.MachineLacks},
		"no home":        {"", "-", "XDG_CACHE_HOME", exit.MachineLacks},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EnvDir, "")
			t.Setenv("XDG_CACHE_HOME", strings.Trim(tt.home, "-"))
			if tt.home == "-" {
				t.Setenv("HOME", "")
			}
			err := withoutPrivileges(t, func() error { _, err := Open(tt.dir); return err })
			if exit.Code(err) != tt.code || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), EnvDir) {
				t.Errorf("expected exit code %d and %q, found %d, %v", tt.code, tt.says, exit.Code(err), err)
			}
		})
	}
}

// withoutPrivileges runs f as a user who is not root and owns nothing: root may
// write anywhere.
func withoutPrivileges(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	const nobody = 65534
	done := make(chan error)
	go func() {
		// Of this thread alone, which ends with the goroutine.
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); errno != 0 {
			done <- errno
			return
		}
		done <- f()
	}()
	return <-done
}

func TestCheckOutside(t *testing.T) {
	tree := t.TempDir()
	c := open(t, filepath.Join(tree, "a", "cache"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(tree, link); err != nil {
		t.Fatal(err)
	}
	for dir, inside := range map[string]bool{
		tree: true, link: true, c.Dir(): true,
		t.TempDir(): false, filepath.Join(c.Dir(), tmpDir): false,
	} {
		if err := c.CheckOutside(dir); (err != nil) != inside || inside && exit.Code(err) != exit.Usage {
			t.Errorf("%s: %v, want an error: %v", dir, err, inside)
		}
	}
}
