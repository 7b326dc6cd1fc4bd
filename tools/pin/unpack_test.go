// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/tree"
)

func file(name, data string) member {
	return member{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, data}
}

func link(kind byte, name, target string) member {
	return member{Header: tar.Header{Name: name, Typeflag: kind, Linkname: target, Mode: 0o777}}
}

func TestUnpackTar(t *testing.T) {
	small := limits{files: 4, bytes: 100, file: 60}
	long := "t/" + strings.Repeat("long/", 40) + "name.c"
	tests := map[string]struct {
		members []member
		want    []string // names, with what links lead to
		err     error    // one of the errors that are told apart
		says    string   // or what another one says
	}{
		"files and directories": {
			[]member{{Header: tar.Header{Name: "t/", Typeflag: tar.TypeDir}}, file("t/a", "a"), file("t/b/c", "c"), file("./t/d", "")},
			[]string{"a", "b/c", "d"}, nil, "",
		},
		"header of git archive": {
			[]member{{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "abc"}}}, file("t/a", "a")},
			[]string{"a"}, nil, "",
		},
		"long name":        {[]member{file(long, "x")}, []string{long[2:]}, nil, ""},
		"link down":        {[]member{file("t/d/a", "a"), link(tar.TypeSymlink, "t/l", "d/a")}, []string{"d/a", "l>d/a"}, nil, ""},
		"link up and down": {[]member{file("t/d/a", "a"), link(tar.TypeSymlink, "t/e/l", "../d/./a")}, []string{"d/a", "e/l>../d/./a"}, nil, ""},
		"link to nothing":  {[]member{link(tar.TypeSymlink, "t/l", "later")}, []string{"l>later"}, nil, ""},

		"absolute":                  {[]member{file("/etc/x", "x")}, nil, errOutside, ""},
		"climbs":                    {[]member{file("t/../../x", "x")}, nil, errOutside, ""},
		"climbs at once":            {[]member{file("../x", "x")}, nil, errOutside, ""},
		"two top-level directories": {[]member{file("t/a", "x"), file("u/a", "x")}, nil, errTop, ""},
		"no top-level directory":    {[]member{file("a", "x")}, nil, errTop, ""},
		"link out":                  {[]member{link(tar.TypeSymlink, "t/l", "../x")}, nil, errOutside, ""},
		"absolute link":             {[]member{link(tar.TypeSymlink, "t/l", "/etc")}, nil, errOutside, ""},
		"empty link":                {[]member{link(tar.TypeSymlink, "t/l", "")}, nil, nil, "symlink"},
		"link out by way of a link": {[]member{link(tar.TypeSymlink, "t/a/b/c", "../.."), link(tar.TypeSymlink, "t/l", "a/b/c/..")}, nil, errOutside, ""},
		"through a link to nothing": {[]member{link(tar.TypeSymlink, "t/l", "d"), file("t/l/x", "x")}, nil, nil, "t/l/x"},
		"through a link out":        {[]member{link(tar.TypeSymlink, "t/l", "../.."), file("t/l/x", "x")}, nil, nil, "escapes"},
		"hard link":                 {[]member{file("t/a", "a"), link(tar.TypeLink, "t/b", "t/a")}, nil, errSpecial, ""},
		"device":                    {[]member{{Header: tar.Header{Name: "t/null", Typeflag: tar.TypeChar}}}, nil, errSpecial, ""},
		"pipe":                      {[]member{{Header: tar.Header{Name: "t/p", Typeflag: tar.TypeFifo}}}, nil, errSpecial, ""},
		"twice":                     {[]member{file("t/a", "1"), file("t/a", "2")}, nil, fs.ErrExist, ""},
		"file and directory":        {[]member{file("t/a", "1"), file("t/a/b", "2")}, nil, nil, "file exists"},
		"too many files":            {[]member{file("t/1", ""), file("t/2", ""), file("t/3", ""), file("t/4", ""), file("t/5", "")}, nil, errTooMany, ""},
		"file too large":            {[]member{file("t/a", strings.Repeat("x", 61))}, nil, errTooLarge, ""},
		"all too large":             {[]member{file("t/a", strings.Repeat("x", 60)), file("t/b", strings.Repeat("x", 60))}, nil, errTooLarge, ""},
		"empty":                     {nil, nil, nil, "no files"},
		"a directory alone":         {[]member{{Header: tar.Header{Name: "t/", Typeflag: tar.TypeDir}}}, nil, nil, "no files"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "dir")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			u := unpacker{limits: small}
			err := u.unpackTar(t.Context(), bytes.NewReader(tarball(t, tc.members)), dir)
			if tc.want == nil {
				if err == nil || tc.err != nil && !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("error %v, want %v %s", err, tc.err, tc.says)
				}
				if names, _ := os.ReadDir(above); len(names) != 1 {
					t.Errorf("written outside: %v", names)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			onDisk, err := tree.Entries(t.Context(), dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range onDisk {
				name := e.Path
				if e.Mode == tree.ModeSymlink {
					target, _ := os.Readlink(filepath.Join(dir, name))
					name += ">" + target
				}
				names = append(names, name)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnpackEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	data := tarball(t, kernelMembers(kernelFiles()))
	u := unpacker{limits: kernelLimits}
	cancel()
	err := u.unpackTar(ctx, bytes.NewReader(data), t.TempDir())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
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
	u := unpacker{limits: kernelLimits}
	err := u.unpackArchive(t.Context(), deb, memberName, to)
	if err != nil || u.files != len(kernelFiles())+1 {
		t.Errorf("%d files, %v", u.files, err)
	}
	u = unpacker{limits: kernelLimits}
	err = u.unpackArchive(t.Context(), deb, "usr/src/other.tar.xz", t.TempDir())
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
		u := unpacker{limits: kernelLimits}
		if err := u.unpackArchive(t.Context(), name, memberName, t.TempDir()); err == nil {
			t.Errorf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func FuzzUnpackTar(f *testing.F) {
	f.Add(tarball(f, kernelMembers(map[string]string{"a": "a", "d/b": "b"})))
	f.Add(tarball(f, []member{file("t/a", "a"), link(tar.TypeSymlink, "t/d/l", "../a")}))
	f.Add(tarball(f, []member{link(tar.TypeSymlink, "t/l", "../../x"), file("t/l/x", "x")}))
	f.Add(tarball(f, []member{file("/abs", "x")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "dir")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		u := unpacker{limits: limits{files: 50, bytes: 1 << 20, file: 1 << 20}}
		err := u.unpackTar(t.Context(), bytes.NewReader(data), dir)
		if names, _ := os.ReadDir(above); len(names) != 1 {
			t.Fatalf("written outside: %v", names)
		}
		if err != nil {
			return
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		entries, err := tree.Entries(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			// A link may lead to nothing, but nowhere outside.
			if _, err := root.Stat(e.Path); err != nil && strings.Contains(err.Error(), "escapes") {
				t.Errorf("%s: %v", e.Path, err)
			}
		}
	})
}
