// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

func gitDo(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// state is everything about a directory that writing to it would change.
func state(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		all = append(all, fmt.Sprint(name, info.Mode(), info.Size(), st.Ino, st.Nlink, st.Mtim))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestUserTree(t *testing.T) {
	p := testPin(nil)
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		has     map[string]string // name and content, "" when it must not be there
	}{
		"plain": {
			prepare: func(*testing.T, string) {},
			has:     kernelFiles(),
		},
		"plain with changes": {
			prepare: func(t *testing.T, dir string) {
				writeTree(t, dir, map[string]string{"lib/xarray.c": "mine\n", "lib/new.c": "new\n"})
			},
			has: map[string]string{"lib/xarray.c": "mine\n", "lib/new.c": "new\n"},
		},
		"plain that was built in": {
			prepare: func(t *testing.T, dir string) {
				writeTree(t, dir, map[string]string{
					".config": "CONFIG_KVM=y\n", "include/config/auto.conf": "x\n", "include/generated/autoconf.h": "x\n",
					"arch/x86/include/generated/asm/x.h": "x\n", "virt/kvm/kvm_main.o": "x\n", "virt/kvm/.kvm_main.o.cmd": "x\n",
					"vmlinux": "x\n", ".clang-format": "x\n",
				})
			},
			has: map[string]string{
				".config": "", "include/config": "", "include/generated": "", "arch": "",
				"virt/kvm/kvm_main.o": "", "virt/kvm/.kvm_main.o.cmd": "", "vmlinux": "", ".clang-format": "x\n",
			},
		},
		"checkout with local changes": {
			prepare: func(t *testing.T, dir string) {
				writeTree(t, dir, map[string]string{".gitignore": "*.o\n", "gone.c": "x\n"})
				gitDo(t, dir, "init", "-q")
				gitDo(t, dir, "add", "-A")
				gitDo(t, dir, "commit", "-qm", "x")
				writeTree(t, dir, map[string]string{"lib/xarray.c": "mine\n", "untracked.c": "new\n", "ignored.o": "x\n"})
				if err := os.Remove(filepath.Join(dir, "gone.c")); err != nil {
					t.Fatal(err)
				}
			},
			has: map[string]string{"lib/xarray.c": "mine\n", "untracked.c": "new\n", "ignored.o": "", "gone.c": "", ".git": ""},
		},
		"worktree of a repository": {
			prepare: func(t *testing.T, dir string) {
				repo := dir + "-repo"
				writeTree(t, repo, kernelFiles())
				gitDo(t, repo, "init", "-q")
				gitDo(t, repo, "add", "-A")
				gitDo(t, repo, "commit", "-qm", "x")
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				gitDo(t, repo, "worktree", "add", "-q", dir)
			},
			has: map[string]string{"lib/xarray.c": kernelFiles()["lib/xarray.c"], ".git": ""},
		},
		"plain in the checkout of something that ignores it": {
			prepare: func(t *testing.T, dir string) {
				gitDo(t, filepath.Dir(dir), "init", "-q")
				writeTree(t, filepath.Dir(dir), map[string]string{".gitignore": "*\n"})
			},
			has: kernelFiles(),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "linux")
			writeTree(t, dir, kernelFiles())
			tc.prepare(t, dir)
			before := state(t, dir)
			opts := options(t)
			var first tree.Tree
			for i := range 2 {
				got, err := UserTree(t.Context(), p, dir, opts)
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = got
				} else if cmp.Diff(first, got) != "" {
					t.Errorf("second time %+v, first %+v", got, first)
				}
				if got.Version != "7.3.4" {
					t.Errorf("version %q", got.Version)
				}
				entries, err := tree.Entries(t.Context(), got.Dir, nil)
				if err != nil {
					t.Fatal(err)
				}
				if id := tree.GitID(entries); id != got.ID {
					t.Errorf("id %s, the copy's is %s, %v", got.ID, id, err)
				}
				for file, want := range tc.has {
					data, err := os.ReadFile(filepath.Join(got.Dir, file))
					if (err == nil) != (want != "") || string(data) != want {
						t.Errorf("%s: %.30q, %v", file, data, err)
					}
				}
			}
			if diff := cmp.Diff(before, state(t, dir)); diff != "" {
				t.Errorf("the user's tree changed:\n%s", diff)
			}
		})
	}
}

func TestUserTreeRefuses(t *testing.T) {
	p, dir := testPin(nil), t.TempDir()
	noVersion := kernelFiles()
	noVersion["Makefile"] = "all:\n"
	writeTree(t, filepath.Join(dir, "make"), noVersion)
	writeTree(t, dir, map[string]string{"file": "x", "empty/x": "x"})
	for name, says := range map[string]string{
		"make": "VERSION", "file": "not a directory", "empty": "it has no Makefile", "not-there": "no such file",
	} {
		_, err := UserTree(t.Context(), p, filepath.Join(dir, name), options(t))
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), "is not a kernel source tree") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A worktree whose repository is gone, and a merge that is not finished.
	for name, breakIt := range map[string]func(dir string){
		"not a git repository": func(dir string) { writeTree(t, dir, map[string]string{".git": "gitdir: /nowhere\n"}) },
		"lib/xarray.c has conflicts": func(dir string) {
			gitDo(t, dir, "init", "-q", "-b", "one")
			gitDo(t, dir, "add", "-A")
			gitDo(t, dir, "commit", "-qm", "x")
			gitDo(t, dir, "checkout", "-qb", "two")
			writeTree(t, dir, map[string]string{"lib/xarray.c": "two\n"})
			gitDo(t, dir, "commit", "-qam", "two")
			gitDo(t, dir, "checkout", "-q", "one")
			writeTree(t, dir, map[string]string{"lib/xarray.c": "one\n"})
			gitDo(t, dir, "commit", "-qam", "one")
			_ = exec.Command("git", "-C", dir, "-c", "user.name=A", "-c", "user.email=a@example.org", "merge", "-q", "two").Run()
		},
		"lib/xarray.c:2: a merge in it is not finished": func(dir string) {
			writeTree(t, dir, map[string]string{"lib/xarray.c": "int a;\n<<<<<<< ours\nint b;\n=======\nint c;\n>>>>>>> theirs\n"})
		},
	} {
		dir := filepath.Join(t.TempDir(), "linux")
		writeTree(t, dir, kernelFiles())
		breakIt(dir)
		_, err := UserTree(t.Context(), p, dir, options(t))
		if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

func TestUserTreeCopyIsVerified(t *testing.T) {
	p, dir := testPin(nil), filepath.Join(t.TempDir(), "linux")
	writeTree(t, dir, kernelFiles())
	opts := options(t)
	got, err := UserTree(t.Context(), p, dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(got.Dir, "lib/xarray.c")
	if err := errors.Join(os.WriteFile(name, []byte("altered\n"), 0o644), os.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0))); err != nil {
		t.Fatal(err)
	}
	if _, err := UserTree(t.Context(), p, dir, opts); exit.Code(err) != exit.CheckFailed || !strings.Contains(fmt.Sprint(err), "lib/xarray.c: expected blob") {
		t.Errorf("error %v", err)
	}
}

func TestVersion(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"release":       {"VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n", "7.3.4"},
		"candidate":     {"VERSION = 7\nPATCHLEVEL = 4\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "7.4.0-rc2"},
		"later changes": {"VERSION = 7\nPATCHLEVEL = 3\nVERSION = 8\nVERSION := 9\n", "7.3"},
	} {
		dir, files := t.TempDir(), kernelFiles()
		files["Makefile"] = tc.in
		writeTree(t, dir, files)
		if got, err := Version(dir); got != tc.want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
