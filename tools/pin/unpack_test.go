// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
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

func TestUntar(t *testing.T) {
	small := limits{files: 4, bytes: 100, file: 60}
	long := "t/" + strings.Repeat("long/", 40) + "name.c"
	tests := map[string]struct {
		members []member
		want    []string // names, with what links lead to
		err     error    // one of the errors that are told apart
		says    string   // or what another one says
	}{
		"files and folders": {
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
		"hard link":        {[]member{file("t/a", "a"), link(tar.TypeLink, "t/b", "t/a")}, []string{"a", "b"}, nil, ""},

		"absolute":                  {[]member{file("/etc/x", "x")}, nil, errOutside, ""},
		"climbs":                    {[]member{file("t/../../x", "x")}, nil, errOutside, ""},
		"climbs at once":            {[]member{file("../x", "x")}, nil, errOutside, ""},
		"two top folders":           {[]member{file("t/a", "x"), file("u/a", "x")}, nil, errTop, ""},
		"no top folder":             {[]member{file("a", "x")}, nil, errTop, ""},
		"link out":                  {[]member{link(tar.TypeSymlink, "t/l", "../x")}, nil, errOutside, ""},
		"absolute link":             {[]member{link(tar.TypeSymlink, "t/l", "/etc")}, nil, errOutside, ""},
		"empty link":                {[]member{link(tar.TypeSymlink, "t/l", "")}, nil, errOutside, ""},
		"link out by way of a link": {[]member{link(tar.TypeSymlink, "t/a/b/c", "../.."), link(tar.TypeSymlink, "t/l", "a/b/c/..")}, nil, errOutside, ""},
		"through a link":            {[]member{link(tar.TypeSymlink, "t/l", "d"), file("t/l/x", "x")}, nil, nil, "l is no folder"},
		"folder over a link": {
			[]member{file("t/d/x", "x"), link(tar.TypeSymlink, "t/l", "d"), {Header: tar.Header{Name: "t/l/", Typeflag: tar.TypeDir}}},
			nil, nil, "l is no folder",
		},
		"hard link out":        {[]member{link(tar.TypeLink, "t/l", "/etc/passwd")}, nil, errOutside, ""},
		"hard link climbs":     {[]member{link(tar.TypeLink, "t/l", "t/../../x")}, nil, errOutside, ""},
		"hard link forward":    {[]member{link(tar.TypeLink, "t/l", "t/x"), file("t/x", "")}, nil, nil, "not in the archive before it"},
		"hard link to self":    {[]member{link(tar.TypeLink, "t/l", "t/l")}, nil, nil, "not in the archive before it"},
		"device":               {[]member{{Header: tar.Header{Name: "t/null", Typeflag: tar.TypeChar}}}, nil, errSpecial, ""},
		"pipe":                 {[]member{{Header: tar.Header{Name: "t/p", Typeflag: tar.TypeFifo}}}, nil, errSpecial, ""},
		"twice":                {[]member{file("t/a", "1"), file("t/a", "2")}, nil, errTwice, ""},
		"file and folder":      {[]member{file("t/a", "1"), file("t/a/b", "2")}, nil, nil, "a is no folder"},
		"too many files":       {[]member{file("t/1", ""), file("t/2", ""), file("t/3", ""), file("t/4", ""), file("t/5", "")}, nil, errTooMany, ""},
		"file too large":       {[]member{file("t/a", strings.Repeat("x", 61))}, nil, errTooLarge, ""},
		"all too large":        {[]member{file("t/a", strings.Repeat("x", 60)), file("t/b", strings.Repeat("x", 60))}, nil, errTooLarge, ""},
		"empty":                {nil, nil, nil, "no files"},
		"a folder and no more": {[]member{{Header: tar.Header{Name: "t/", Typeflag: tar.TypeDir}}}, nil, nil, "no files"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "dir")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			entries, err := untar(t.Context(), bytes.NewReader(tarball(t, tc.members)), dir, small, nil)
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
			a, err1 := tree.GitID(entries)
			b, err2 := tree.GitID(onDisk)
			if a != b || err1 != nil || err2 != nil {
				t.Errorf("says that it wrote %s (%v), wrote %s (%v)", a, err1, b, err2)
			}
		})
	}
}

func TestUntarEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	data := tarball(t, kernelMembers(kernelFiles()))
	_, err := untar(ctx, bytes.NewReader(data), t.TempDir(), kernelLimits, func(int) { cancel() })
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
	entries, err := unpackArchive(t.Context(), deb, "p.deb", memberName, to, nil)
	if err != nil || len(entries) != len(kernelFiles())+1 {
		t.Errorf("%d files, %v", len(entries), err)
	}
	_, err = unpackArchive(t.Context(), deb, "p.deb", "usr/src/other.tar.xz", t.TempDir(), nil)
	if !as[*ArchiveError](err) || !strings.Contains(err.Error(), "it has no usr/src/other.tar.xz") {
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
		if _, err := unpackArchive(t.Context(), name, "cut.deb", memberName, t.TempDir(), nil); !as[*ArchiveError](err) {
			t.Errorf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func TestAr(t *testing.T) {
	two := arMagic + string(arMember("odd", []byte("abc"))) + string(arMember("gnu/", []byte("wxyz")))
	tests := map[string]struct {
		in   string
		want map[string]string
		says string
	}{
		"two members":     {two, map[string]string{"odd": "abc", "gnu": "wxyz"}, ""},
		"no members":      {arMagic, map[string]string{}, ""},
		"last pad absent": {strings.TrimSuffix(arMagic+string(arMember("odd", []byte("abc"))), "\n"), map[string]string{"odd": "abc"}, ""},
		"not ar":          {"<html>...", nil, "is no ar archive"},
		"empty":           {"", nil, "unexpected EOF"},
		"header cut off":  {two[:100], nil, "unexpected EOF"},
		"member cut off":  {two[:len(two)-2], nil, "unexpected EOF"},
		"bad header":      {strings.Replace(two, "`", "'", 1), nil, "damaged ar header"},
		"bad size":        {strings.Replace(two, "3         `", "-3        `", 1), nil, "is no size"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readAr(strings.NewReader(tc.in))
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("error %v, want one that says %q", err, tc.says)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// readAr reads all members of an archive.
func readAr(r io.Reader) (map[string]string, error) {
	a, err := newArReader(r)
	if err != nil {
		return nil, err
	}
	got := map[string]string{}
	for {
		name, _, err := a.next()
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		data, err := io.ReadAll(a)
		if err != nil {
			return got, err
		}
		got[name] = string(data)
	}
}

func FuzzAr(f *testing.F) {
	f.Add([]byte(arMagic + string(arMember("odd", []byte("abc"))) + string(arMember("gnu/", []byte("wxyz")))))
	f.Add([]byte(arMagic))
	f.Add(deb(f, kernelMembers(map[string]string{"a": "a"})))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readAr(bytes.NewReader(data))
		total := 0
		for _, d := range got {
			total += len(d)
		}
		if total > len(data) {
			t.Errorf("%d bytes of %d, %v", total, len(data), err)
		}
	})
}

func FuzzUntar(f *testing.F) {
	f.Add(tarball(f, kernelMembers(map[string]string{"a": "a", "d/b": "b"})))
	f.Add(tarball(f, []member{file("t/a", "a"), link(tar.TypeLink, "t/b", "t/a"), link(tar.TypeSymlink, "t/d/l", "../a")}))
	f.Add(tarball(f, []member{link(tar.TypeSymlink, "t/l", "../../x"), file("t/l/x", "x")}))
	f.Add(tarball(f, []member{file("/abs", "x")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "dir")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		entries, err := untar(t.Context(), bytes.NewReader(data), dir, limits{files: 50, bytes: 1 << 20, file: 1 << 20}, nil)
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
		for _, e := range entries {
			if id, err := tree.FileBlobID(root, e.Path); id != e.Blob || err != nil {
				t.Errorf("%s: says %s, is %s, %v", e.Path, e.Blob, id, err)
			}
			// A link may lead to nothing, but nowhere outside.
			if _, err := root.Stat(e.Path); err != nil && strings.Contains(err.Error(), "escapes") {
				t.Errorf("%s: %v", e.Path, err)
			}
		}
	})
}
