// SPDX-License-Identifier: GPL-2.0-only

package distro

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/cache"
)

// putInPath makes shell scripts of the names in a directory the first in PATH.
func putInPath(t *testing.T, dir string, scripts map[string]string) {
	t.Helper()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nset -e\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// packageManager puts programs of Debian's package manager into PATH that know one
// kernel. Each line of log is a package that was downloaded.
func packageManager(t *testing.T, depends string) (log string) {
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	putInPath(t, dir, map[string]string{
		"apt-cache": "echo linux-image-amd64; echo '  " + depends + "'",
		"apt-get": `case "$*" in
*--print-uris*) echo "'http://mirror/k.deb' k.deb 70225828 SHA256:6aeb" ;;
*) echo "$*" >>` + log + `; : >k.deb ;;
esac`,
		"dpkg-deb": `mkdir -p "$3/boot" "$3/lib/modules/6.1/kernel/fs/9p"
: >"$3/boot/vmlinuz-6.1"
: >"$3/lib/modules/6.1/kernel/fs/9p/9p.ko"`,
	})
	return log
}

// TestFetch fetches a kernel once and finds its modules.
func TestFetch(t *testing.T) {
	log := packageManager(t, "Depends: linux-image-6.1")
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var k Kernel
	for range 2 {
		if k, err = Fetch(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(log); err != nil || strings.Count(string(got), "download --quiet -o APT::Sandbox::User=root linux-image-6.1\n") != 1 {
		t.Errorf("expected one download, found %q (%v)", got, err)
	}
	if filepath.Base(k.Image) != "vmlinuz-6.1" {
		t.Errorf("expected vmlinuz-6.1, found %s", k.Image)
	}
	if found, err := k.Find("9p"); err != nil || filepath.Base(found[0].Host) != "9p.ko" {
		t.Errorf("expected 9p.ko, found %v (%v)", found, err)
	}
	if _, err := k.Find("9p", "overlay"); err == nil || !strings.Contains(err.Error(), "no overlay.ko") {
		t.Errorf("expected an error about overlay.ko, found %v", err)
	}
}

// TestFetchFails: where apt knows no kernel, that is said, and what may help.
func TestFetchFails(t *testing.T) {
	log := packageManager(t, "Suggests: firmware")
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Fetch(t.Context(), c, nil); err == nil || !strings.Contains(err.Error(), "linux-image-amd64 depends on no kernel") || !strings.Contains(err.Error(), "apt-get update") {
		t.Errorf("expected what is missing and what to do, found %v", err)
	}
	if got, err := os.ReadFile(log); err == nil {
		t.Errorf("expected no download, found %q", got)
	}
}

// FuzzParseDepends: a package is a word after "Depends: ", however it is indented.
func FuzzParseDepends(f *testing.F) {
	f.Add("linux-image-amd64\n  Depends: linux-image-6.1.0-32-amd64\n |Depends: a\n  Recommends: b\n")
	f.Add("Depends: <a>\r\nDepends: \nDepends: Depends: c\nDepends:  d")
	f.Fuzz(func(t *testing.T, out string) {
		names := parseDepends(out)
		for _, name := range names {
			if name != strings.TrimSpace(name) || name == "" || strings.Contains(name, "\n") || !strings.Contains(out, name) {
				t.Errorf("a package named %q", name)
			}
		}
		if again := parseDepends("  Depends: " + strings.Join(names, "\n  Depends: ")); len(names) > 0 && !slices.Equal(again, names) {
			t.Errorf("expected %q, found %q", names, again)
		}
	})
}
