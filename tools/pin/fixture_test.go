// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/tree"
)

// kernelFiles are the files of the small kernel that these tests fetch.
func kernelFiles() map[string]string {
	return map[string]string{
		"Makefile":                 "# SPDX-License-Identifier: GPL-2.0\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\nNAME = Test\n",
		"Kconfig":                  "mainmenu\n",
		"Kbuild":                   "obj-y += virt/\n",
		"virt/kvm/kvm_main.c":      "int kvm;\n",
		"include/linux/kvm_host.h": "struct kvm;\n",
		"scripts/checkpatch.pl":    "#!/usr/bin/env perl\n",
		"lib/xarray.c":             strings.Repeat("/* xarray */\n", 20_000),
	}
}

const topDirectory = "linux-source-7.3/"

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// member is a member of a tar archive; Name includes the top-level directory.
type member struct {
	tar.Header
	data string
}

// tarball makes a tar archive of the members.
func tarball(t testing.TB, members []member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		h := m.Header
		h.Size = int64(len(m.data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var released = time.Date(2026, 11, 10, 18, 10, 0, 0, time.UTC)

// kernelMembers are the files as members, with directories and a link.
func kernelMembers(files map[string]string) []member {
	members := []member{{Header: tar.Header{Name: topDirectory, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: released}}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := int64(0o644)
		if strings.HasSuffix(name, ".pl") {
			mode = 0o755
		}
		members = append(members, member{tar.Header{Name: topDirectory + name, Typeflag: tar.TypeReg, Mode: mode, ModTime: released}, files[name]})
	}
	return append(members, member{Header: tar.Header{
		Name: topDirectory + "scripts/link", Typeflag: tar.TypeSymlink, Linkname: "../lib/xarray.c", ModTime: released,
	}})
}

func xz(t testing.TB, data []byte) []byte {
	t.Helper()
	cmd := exec.Command("xz", "-0", "--stdout")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz: %v", err)
	}
	return out
}

// arMember formats a member of an ar archive as dpkg does.
func arMember(name string, data []byte) []byte {
	out := fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(data))
	out = append(out, data...)
	if len(data)%2 == 1 {
		out = append(out, '\n')
	}
	return out
}

const memberName = "usr/src/linux-source-7.3.tar.xz"

// deb makes a .deb with a tarball of these members.
func deb(t testing.TB, members []member) []byte {
	t.Helper()
	data := tarball(t, []member{
		{Header: tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}},
		{tar.Header{Name: "./usr/share/doc/copyright", Typeflag: tar.TypeReg, Mode: 0o644}, "GPL"},
		{tar.Header{Name: "./" + memberName, Typeflag: tar.TypeReg, Mode: 0o644}, string(xz(t, tarball(t, members)))},
	})
	return slices.Concat([]byte("!<arch>\n"), arMember("debian-binary", []byte("2.0\n")),
		arMember("control.tar.xz", xz(t, tarball(t, nil))), arMember("data.tar.xz", xz(t, data)))
}

const debPath = "pool/main/l/linux/linux-source-7.3_7.3.4-1_all.deb"

// testPin is the pin of a .deb and of the small kernel.
func testPin(deb []byte) *Pin {
	p := &Pin{
		Version: "7.3.4", File: "kernel-src-pin/linux-7.3.4.toml",
		Sources: []Source{{
			Kind: Debian, Package: "linux-source-7.3", PackageVersion: "7.3.4-1", Suite: "trixie-backports",
			Path: debPath, Member: memberName, Size: int64(len(deb)), SHA256: sum(deb),
		}},
		Blobs: Blobs{All: map[string]string{}, Debian: map[string]string{}},
	}
	for name, data := range kernelFiles() {
		table := p.Blobs.All
		if name == "Makefile" {
			table = p.Blobs.Debian
		}
		table[name] = tree.BlobID([]byte(data))
	}
	return p
}

// options are those of a Fetch from these mirrors that does not wait.
func options(t *testing.T, sites ...string) FetchOptions {
	t.Helper()
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return FetchOptions{
		Cache: c, Sites: sites, pause: time.Microsecond, unpackedBytes: 1,
		apt: []string{"-o=Acquire::Retries::Delay=false", "-o=Acquire::http::Proxy=DIRECT", "-o=Acquire::Retries=2"},
	}
}

// content lists all files in a directory but locks, with sizes of files.
func content(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		rel, _ := filepath.Rel(dir, name)
		if err != nil || rel == ".lock" {
			return filepath.SkipDir
		}
		if !info.IsDir() {
			names = append(names, fmt.Sprintf("%s %d", rel, info.Size()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// writeTree writes files below dir.
func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
