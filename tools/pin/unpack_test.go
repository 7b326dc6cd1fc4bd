// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnpackHostile: nothing is written outside of the directory.
func TestUnpackHostile(t *testing.T) {
	file := member{tar.Header{Name: "t/l/x", Typeflag: tar.TypeReg, Mode: 0o644}, "x"}
	link := func(target string) member {
		return member{Header: tar.Header{Name: "t/l", Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
	}
	climbs, absolute := file, file
	climbs.Name, absolute.Name = "t/../../x", "/../x"
	for name, members := range map[string][]member{
		"climbs":             {climbs},
		"absolute":           {absolute},
		"through a link up":  {link("../.."), file},
		"through a link out": {link(os.TempDir()), file},
		"empty":              nil,
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir, archive := filepath.Join(above, "dir"), filepath.Join(t.TempDir(), "t.tar.xz")
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(archive, xz(t, tarball(t, members)), 0o644)); err != nil {
				t.Fatal(err)
			}
			err := unpack(t.Context(), archive, "", dir, func(string) {})
			if (err == nil) != (members == nil) {
				t.Errorf("error %v", err)
			}
			if names, _ := os.ReadDir(above); len(names) != 1 {
				t.Errorf("written outside: %v", names)
			}
		})
	}
}

// TestUnpackDpkgDeb unpacks a package that dpkg-deb has built.
func TestUnpackDpkgDeb(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("THE WITNESS IS MISSING: no dpkg-deb on this machine")
	}
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"p/DEBIAN/control": "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n",
		"p/" + memberName:  string(xz(t, tarball(t, kernelMembers(kernelFiles())))),
	})
	deb := filepath.Join(dir, "p.deb")
	if out, err := exec.Command("dpkg-deb", "-Zxz", "--build", filepath.Join(dir, "p"), deb).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	to := filepath.Join(dir, "to")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := unpack(t.Context(), deb, memberName, to, func(string) { files++ })
	if err != nil || files != len(kernelFiles())+1 {
		t.Errorf("%d files, %v", files, err)
	}
	err = unpack(t.Context(), deb, "usr/src/other.tar.xz", t.TempDir(), func(string) {})
	if err == nil || !strings.Contains(err.Error(), "usr/src/other.tar.xz: Not found in archive") {
		t.Errorf("error %v", err)
	}
}

// TestUnpackCutOff cuts a package off at many places: each must be an error.
func TestUnpackCutOff(t *testing.T) {
	whole := deb(t, kernelMembers(kernelFiles()))
	for n := 0; n < len(whole)-1; n += max(1, len(whole)/40) {
		name := filepath.Join(t.TempDir(), "cut.deb")
		if err := os.WriteFile(name, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unpack(t.Context(), name, memberName, t.TempDir(), func(string) {}); err == nil {
			t.Errorf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
}
