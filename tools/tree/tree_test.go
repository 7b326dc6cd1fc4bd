// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixture makes a small tree with everything that a kernel tree has: nested
// directories, an executable, links within and dangling, odd names, an empty
// file.
func fixture(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "linux")
	for name, file := range map[string]struct {
		data string
		mode fs.FileMode
	}{
		"Makefile":                 {"VERSION = 7\nPATCHLEVEL = 3\n", 0o644},
		"virt/kvm/kvm_main.c":      {"int main;\n", 0o644},
		"scripts/checkpatch.pl":    {"#!/usr/bin/perl\n", 0o755},
		"arch/x86/kvm/x86.c":       {"/* x86 */\n", 0o644},
		"arch/x86/kvm.c":           {"", 0o644},
		"arch/x86/kvm-mips.c":      {"sorts between\n", 0o644},
		"Documentation/grüße/a b":  {"odd name\n", 0o644},
		"tools/testing/no-newline": {"no newline", 0o644},
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(file.data), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"scripts/link":     "../arch/x86",
		"scripts/dangling": "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func root(t *testing.T, dir string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func gitID(t *testing.T, dir string) string {
	t.Helper()
	entries, err := Entries(t.Context(), dir, func(name string, _ bool) bool { return name != ".git" })
	if err != nil {
		t.Fatal(err)
	}
	return GitID(entries)
}

// TestIDsAreGits compares with git's ids of the same files.
func TestIDsAreGits(t *testing.T) {
	dir := fixture(t)
	git(t, dir, "init", "-q")
	git(t, dir, "add", "-A")
	if got, want := gitID(t, dir), git(t, dir, "write-tree"); got != want {
		t.Errorf("tree id %s, git says %s", got, want)
	}
	for _, name := range []string{"Makefile", "arch/x86/kvm.c", "tools/testing/no-newline"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want := git(t, dir, "hash-object", "--no-filters", name)
		if got := BlobID(data); got != want {
			t.Errorf("BlobID of %s: %s, git says %s", name, got, want)
		}
		if got, err := FileBlobID(root(t, dir), name); got != want || err != nil {
			t.Errorf("FileBlobID of %s: %s, %v, git says %s", name, got, err, want)
		}
	}
}

func TestBlobIDs(t *testing.T) {
	dir := fixture(t)
	names := []string{"Makefile", "virt/kvm/kvm_main.c", "virt/kvm/none.c", "none/at/all", "Makefile/x", "scripts/link"}
	got, err := BlobIDs(t.Context(), dir, names)
	want := map[string]string{
		"Makefile":            BlobID([]byte("VERSION = 7\nPATCHLEVEL = 3\n")),
		"virt/kvm/kvm_main.c": BlobID([]byte("int main;\n")),
		"scripts/link":        BlobID([]byte("../arch/x86")),
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := BlobIDs(t.Context(), dir, []string{"arch"}); err == nil {
		t.Error("the id of a directory")
	}
}

func inode(t *testing.T, name string) uint64 {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestClone(t *testing.T) {
	src := fixture(t)
	dst := filepath.Join(t.TempDir(), "dst")
	if err := Clone(t.Context(), src, dst); err != nil {
		t.Fatal(err)
	}
	if got, want := gitID(t, dst), gitID(t, src); got != want {
		t.Errorf("content differs: %s, want %s", got, want)
	}
	const file = "virt/kvm/kvm_main.c"
	if inode(t, filepath.Join(src, file)) != inode(t, filepath.Join(dst, file)) {
		t.Error("copied instead of linked")
	}

	if err := Clone(t.Context(), src, dst); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto an existing directory: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dst, file)); err != nil {
		t.Errorf("the existing directory was removed: %v", err)
	}
}

func TestCopy(t *testing.T) {
	src := fixture(t)
	dst := filepath.Join(t.TempDir(), "dst")
	if err := Copy(t.Context(), src, dst); err != nil {
		t.Fatal(err)
	}
	if got, want := gitID(t, dst), gitID(t, src); got != want {
		t.Errorf("content differs: %s, want %s", got, want)
	}
	const file = "virt/kvm/kvm_main.c"
	if inode(t, filepath.Join(src, file)) == inode(t, filepath.Join(dst, file)) {
		t.Error("linked instead of copied")
	}
	if err := Copy(t.Context(), src, dst); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto an existing directory: %v", err)
	}
}

// TestLargeFile: a file is not held in memory to be identified and copied.
func TestLargeFile(t *testing.T) {
	const size = 256 << 20
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "dst")
	if err := errors.Join(os.WriteFile(filepath.Join(src, "big"), nil, 0o644), os.Truncate(filepath.Join(src, "big"), size)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	entries, err := ReadEntries(t.Context(), src, []string{"big"})
	if err == nil {
		err = CopyEntries(t.Context(), src, dst, entries)
	}
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > size/8 {
		t.Errorf("it takes %d bytes of memory", taken)
	}
	if info, err := os.Stat(filepath.Join(dst, "big")); err != nil || info.Size() != size {
		t.Errorf("expected a copy of %d bytes, found %v, %v", size, info, err)
	}
}

func TestCopyEntries(t *testing.T) {
	src, dst := fixture(t), filepath.Join(t.TempDir(), "dst")
	entries, err := Entries(t.Context(), src, func(name string, _ bool) bool { return name != "Documentation" })
	if err != nil {
		t.Fatal(err)
	}
	want := GitID(entries)
	if err := CopyEntries(t.Context(), src, dst, entries); err != nil {
		t.Fatal(err)
	}
	if got := gitID(t, dst); got != want {
		t.Errorf("content differs: %s, want %s", got, want)
	}
	// A file that changes after it was listed, or a link.
	for _, name := range []string{"virt/kvm/kvm_main.c", "scripts/link"} {
		src, dst := fixture(t), filepath.Join(t.TempDir(), "dst")
		r := root(t, src)
		if err := r.Remove(name); err != nil {
			t.Fatal(err)
		}
		if name == "scripts/link" {
			err = r.Symlink("elsewhere", name)
		} else {
			err = r.WriteFile(name, []byte("changed\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		err := CopyEntries(t.Context(), src, dst, entries)
		if !errors.Is(err, errChanged) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is left: %v", name, err)
		}
	}
}

// TestCloneAcrossFileSystems clones to memory, where files cannot be linked.
func TestCloneAcrossFileSystems(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "tree")
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	defer os.RemoveAll(shm)
	src := fixture(t)
	dst := filepath.Join(shm, "dst")
	if err := Clone(t.Context(), src, dst); err != nil {
		t.Fatal(err)
	}
	if got, want := gitID(t, dst), gitID(t, src); got != want {
		t.Errorf("content differs: %s, want %s", got, want)
	}
}

func TestCloneFailsWhole(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx     context.Context
		spoil   func(t *testing.T, src string)
		mention string
	}{
		"context ended":  {cancelled, func(*testing.T, string) {}, "context canceled"},
		"missing source": {t.Context(), func(t *testing.T, src string) { os.RemoveAll(src) }, "No such file"},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := fixture(t), filepath.Join(t.TempDir(), "dst")
			tc.spoil(t, src)
			err := Clone(tc.ctx, src, dst)
			if err == nil || !strings.Contains(err.Error(), tc.mention) {
				t.Errorf("error %v, want one with %q", err, tc.mention)
			}
			if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is left: %v", err)
			}
		})
	}
}

func TestSync(t *testing.T) {
	from, dst := fixture(t), filepath.Join(t.TempDir(), "dst")
	if err := Clone(t.Context(), from, dst); err != nil {
		t.Fatal(err)
	}
	r := root(t, dst)
	for name, change := range map[string]func() error{
		"Makefile":              func() error { return Put(r, "Makefile", ModeFile, []byte("changed\n")) },
		"scripts/checkpatch.pl": func() error { return Put(r, "scripts/checkpatch.pl", ModeFile, []byte("#!/usr/bin/perl\n")) },
		"virt/kvm/kvm_main.c":   func() error { return Remove(r, "virt/kvm/kvm_main.c") },
		"scripts/link":          func() error { return Put(r, "scripts/link", ModeFile, []byte("a file\n")) },
		"scripts/dangling":      func() error { return Remove(r, "scripts/dangling") },
		"added/file.c":          func() error { return Put(r, "added/file.c", ModeFile, nil) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{true, false} {
			if changed, err := Sync(root(t, from), r, name); changed != want || err != nil {
				t.Errorf("%s: changed %v, %v, want %v", name, changed, err, want)
			}
		}
	}
	if got, want := gitID(t, dst), gitID(t, from); got != want {
		t.Errorf("content differs: %s, want %s", got, want)
	}
}

func TestPutLeavesTheCloneAlone(t *testing.T) {
	src, dst := fixture(t), filepath.Join(t.TempDir(), "dst")
	if err := Clone(t.Context(), src, dst); err != nil {
		t.Fatal(err)
	}
	before := gitID(t, src)
	r := root(t, dst)
	for _, name := range []string{"Makefile", "scripts/checkpatch.pl", "new/directory/file.c", "scripts/link"} {
		if err := Put(r, name, ModeExecutable, []byte("new\n")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(filepath.Join(dst, name))
		if err != nil || info.Mode() != 0o755 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		data, err := r.ReadFile(name)
		if err != nil || string(data) != "new\n" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if err := Remove(r, "virt/kvm/kvm_main.c"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Lstat("virt"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty directory is left: %v", err)
	}
	if after := gitID(t, src); after != before {
		t.Error("the source changed")
	}
}

func TestPutAndRemoveRefuse(t *testing.T) {
	dir := fixture(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir, "up")); err != nil {
		t.Fatal(err)
	}
	before := gitID(t, dir)
	r := root(t, dir)
	for _, name := range []string{"../outside", "up/outside", outside, "Makefile/x", "arch"} {
		if err := Put(r, name, ModeFile, []byte("x")); err == nil {
			t.Errorf("Put %s succeeded", name)
		}
	}
	for _, name := range []string{"../outside", "up/outside", "arch", "not-there"} {
		if err := Remove(r, name); err == nil {
			t.Errorf("Remove %s succeeded", name)
		}
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "mine" {
		t.Errorf("outside: %q, %v", data, err)
	}
	if gitID(t, dir) != before {
		t.Error("the tree changed")
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := fixture(t)
	want := Tree{Dir: dir, ID: "abc", Version: "7.3.4", Base: "/base", Changed: []string{"a.c", "b.c"}}
	if err := Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-saved +loaded):\n%s", diff)
	}
	for name, content := range map[string]string{"cut off": `{"dir":`, "no id": `{"dir":"/x"}`} {
		if err := os.WriteFile(dir+".json", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir+".json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
