// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePackages(t *testing.T) {
	// As a suite has it: several versions of a package, fields that go on in
	// the next line, other packages between.
	data, err := os.ReadFile("testdata/Packages")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseIndex(strings.NewReader(string(data)), "trixie")
	if err != nil {
		t.Fatal(err)
	}
	want := []Source{{
		Kind: Debian, Package: "linux-source-7.2", PackageVersion: "7.2.12-1~bpo13+1", Suite: "trixie",
		Path: "pool/main/l/linux/linux-source-7.2_7.2.12-1~bpo13+1_all.deb", Member: "usr/src/linux-source-7.2.tar.xz",
		Size: 164744800, SHA256: "73ca6c22599ba411ab3179642d33501ca2c90174e13c3c8d86e996ea1cbf2a8f",
	}, {
		Kind: Debian, Package: "linux-source-7.3", PackageVersion: "7.3.4-1~bpo13+1", Suite: "trixie",
		Path: "pool/main/l/linux/linux-source-7.3_7.3.4-1~bpo13+1_all.deb", Member: "usr/src/linux-source-7.3.tar.xz",
		Size: 166780612, SHA256: "703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct{ in, says string }{
		"size":             {"Package: linux-source-1\nVersion: 1\nFilename: x\nSize: many\n", `linux-source-1: size: "0" is not a number of bytes`},
		"path that climbs": {"Package: linux-source-1\nVersion: 1\nFilename: ../x.deb\nSize: 1\n", `path: "../x.deb" is not`},
		"incomplete":       {"Package: linux-source-1\n\n", "linux-source-1: "},
		"no field":         {"Package: linux-source-1\nx\n", "malformed"},
	} {
		if _, err := parseIndex(strings.NewReader(tc.in), "trixie"); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPackages(f *testing.F) {
	data, err := os.ReadFile("testdata/Packages")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("Package: linux-source-1\nVersion: 1\nFilename: x\n\n\nPackage: a\n")
	f.Fuzz(func(t *testing.T, data string) {
		got, err := parseIndex(strings.NewReader(data), "trixie")
		if err != nil {
			return
		}
		for _, p := range got {
			if !strings.HasPrefix(p.Package, "linux-source-") || p.PackageVersion == "" || !fs.ValidPath(p.Path) || p.Size <= 0 {
				t.Errorf("package %+v", p)
			}
		}
	})
}

func TestParseSites(t *testing.T) {
	mirrors := func(name string) ([]byte, error) {
		if name == "/etc/apt/mirrors/debian.list" {
			return []byte("http://m1.example.org/debian/\tpriority:1\n# comment\nhttps://m2.example.org/debian\n"), nil
		}
		return nil, errors.New("no such file")
	}
	for name, tc := range map[string]struct {
		in   string
		want []string
	}{
		"each once, security last": {
			"http://a.example.org/debian-security|Debian-Security\nhttp://a.example.org/debian|Debian\nhttp://a.example.org/debian/|Debian\nhttps://b.example.org/x|Debian\n",
			[]string{"http://a.example.org/debian", "https://b.example.org/x", "http://a.example.org/debian-security"},
		},
		"list of mirrors":      {"mirror+file:/etc/apt/mirrors/debian.list|Debian\n", []string{"http://m1.example.org/debian", "https://m2.example.org/debian"}},
		"list that is missing": {"mirror+file:/none|Debian\n", nil},
		"not by http":          {"cdrom://x|Debian\nfile:/srv|Debian\n|\n", nil},
		"nothing":              {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, parseSites(tc.in, mirrors)); diff != "" {
				t.Errorf("sites (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzSites: what apt is configured with is sites that can be asked, each once.
func FuzzSites(f *testing.F) {
	f.Add("http://a.example.org/debian|Debian\nmirror+file:/m|Debian\ncdrom://x|y\n", "http://m1.example.org/debian/\tpriority:1\n# comment\n")
	f.Fuzz(func(t *testing.T, text, mirrors string) {
		seen := map[string]bool{}
		for _, s := range parseSites(text, func(string) ([]byte, error) { return []byte(mirrors), nil }) {
			if !strings.HasPrefix(strings.ToLower(s), "http") || seen[s] {
				t.Errorf("site %q", s)
			}
			seen[s] = true
		}
	})
}

func TestPublishedSum(t *testing.T) {
	sum, other := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	for name, tc := range map[string]struct{ list, want string }{
		"signed":    {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + other + "  a.tar.xz\n" + sum + "  linux.tar.xz\n", sum},
		"too short": {sum[1:] + "  linux.tar.xz\n", ""},
		"missing":   {sum + "  linux.tar.xz.sign\n", ""},
	} {
		url := serve(t, &mirror{files: map[string][]byte{"sums": []byte(tc.list)}})
		opts := options(t)
		got, err := opts.publishedSum(t.Context(), &Source{URL: url + "/linux.tar.xz", Sums: url + "/sums"})
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
