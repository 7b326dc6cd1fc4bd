// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// TestFetchFails is about all that can go wrong: the error, its exit code and
// what it says, and that the cache is as it was.
func TestFetchFails(t *testing.T) {
	good := deb(t, kernelMembers(kernelFiles()))
	other := bytes.Clone(good)
	other[len(other)/2] ^= 1
	altered := kernelFiles()
	altered["lib/xarray.c"] = "/* not it */\n"
	wrongFile := deb(t, kernelMembers(altered))
	older := kernelFiles()
	older["Makefile"] = strings.Replace(older["Makefile"], "SUBLEVEL = 4", "SUBLEVEL = 3", 1)
	wrongVersion := deb(t, kernelMembers(older))
	serves := func(data []byte) *mirror { return &mirror{files: map[string][]byte{debPath: data}} }
	answers := func(code int) *mirror {
		return &mirror{before: func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(code); return true }}
	}
	cut := &mirror{before: func(w http.ResponseWriter, r *http.Request, try int) bool {
		// Every try sends nothing new after the first.
		if try > 1 {
			panic(http.ErrAbortHandler)
		}
		return cutAfter(good, 1000)(w, r, try)
	}}

	tests := map[string]struct {
		mirror *mirror // nil is an unreachable one
		pinned []byte  // the .deb that the pin means
		opts   func(*FetchOptions)
		code   int
		says   []string
		keeps  []string // what is left in the cache
	}{
		"checksum differs": {
			mirror: serves(other), pinned: good,
			code: exit.CheckFailed,
			says: []string{debPath, "expected " + sum(good), "found " + sum(other)},
		},
		"blob id differs": {
			mirror: serves(wrongFile), pinned: wrongFile,
			code: exit.CheckFailed,
			says: []string{"lib/xarray.c: expected blob " + tree.BlobID([]byte(kernelFiles()["lib/xarray.c"])) + ", found " + tree.BlobID([]byte("/* not it */\n"))},
		},
		"another version": {
			mirror: serves(wrongVersion), pinned: wrongVersion,
			code: exit.CheckFailed,
			says: []string{"it holds linux-7.3.3, expected linux-7.3.4"},
		},
		"cut off for good": {
			mirror: cut, pinned: good,
			code:  exit.MachineLacks,
			says:  []string{fmt.Sprintf("1000 of %d bytes arrived", len(good)), "run the command again"},
			keeps: []string{"download/linux-source-7.3_7.3.4-1_all.deb.part 1000"},
		},
		"longer than pinned": {
			mirror: serves(append(bytes.Clone(good), "more"...)), pinned: good,
			code: exit.CheckFailed,
			says: []string{fmt.Sprintf("another size than expected: %d bytes, found %d", len(good), len(good)+4)},
		},
		"longer than announced": {
			mirror: &mirror{before: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.(http.Flusher).Flush() // no Content-Length then
				w.Write(append(bytes.Clone(good), "more"...))
				return true
			}}, pinned: good,
			code: exit.CheckFailed,
			says: []string{"another size than expected"},
		},
		"shorter than pinned": {
			mirror: serves(good[:len(good)-1]), pinned: good,
			code: exit.CheckFailed,
			says: []string{"another size"},
		},
		"server refuses": {
			mirror: answers(http.StatusForbidden), pinned: good,
			code: exit.MachineLacks,
			says: []string{debPath + ": 403 "},
		},
		"not reachable": {
			pinned: good,
			code:   exit.MachineLacks,
			says:   []string{"http://127.0.0.1:1/" + debPath, "Could not connect", "refused", "KERNEL_SRC"},
		},
		"disk too small": {
			mirror: serves(good), pinned: good,
			opts: func(o *FetchOptions) { o.unpackedBytes = 1 << 60 },
			code: exit.MachineLacks,
			says: []string{"download and unpack linux-7.3.4: needs", "free"},
		},
		"no archive at all": {
			mirror: serves([]byte("<html>captive portal</html>")), pinned: []byte("<html>captive portal</html>"),
			code: exit.CheckFailed,
			says: []string{"dpkg-deb: error"},
		},
		"archive damaged": {
			mirror: serves(good[:len(good)-100]), pinned: good[:len(good)-100],
			code: exit.CheckFailed,
			says: []string{"unpack linux-source-7.3_7.3.4-1_all.deb: "},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			url := "http://127.0.0.1:1"
			if tc.mirror != nil {
				url = serve(t, tc.mirror)
			}
			p, opts := testPin(tc.pinned), options(t, url)
			if tc.opts != nil {
				tc.opts(&opts)
			}
			_, err := p.Fetch(t.Context(), opts)
			if exit.Code(err) != tc.code {
				t.Errorf("error %T, exit code %d, want %d: %v", err, exit.Code(err), tc.code, err)
			}
			for _, want := range tc.says {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
			if diff := cmp.Diff(tc.keeps, content(t, opts.Cache.Dir())); diff != "" {
				t.Errorf("cache (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFetchGone(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	index := "Package: linux-source-7.3\nVersion: 7.3.9-1\nFilename: pool/l.deb\nSize: 5\nSHA256: " + strings.Repeat("0a", 32) + "\nDescription: x\n more\n\n" +
		"Package: linux-image\nVersion: 1\nFilename: pool/i.deb\n"
	const where = "dists/trixie-backports/main/binary-amd64/Packages.xz"
	tests := map[string]struct {
		files map[string][]byte
		says  []string
	}{
		"replaced by another": {
			map[string][]byte{where: xz(t, []byte(index))},
			[]string{"linux-source-7.3 7.3.9-1", "vcpulab pin new --suite trixie-backports 7.3.9"},
		},
		"in the other index": {
			map[string][]byte{strings.Replace(where, "amd64", "all", 1): xz(t, []byte(index))},
			[]string{"linux-source-7.3 7.3.9-1"},
		},
		"index is damaged":    {map[string][]byte{where: []byte("no xz")}, []string{"listing the others failed", "Packages.xz"}},
		"index is not there":  {nil, []string{"listing the others failed", "404"}},
		"index has no kernel": {map[string][]byte{where: xz(t, nil), strings.Replace(where, "amd64", "all", 1): xz(t, nil)}, []string{"no kernel source at all"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, opts := testPin(archive), options(t, serve(t, &mirror{files: tc.files}))
			_, err := p.Fetch(t.Context(), opts)
			if exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), "no mirror has it any more") {
				t.Fatalf("error %v", err)
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
		})
	}
}

// TestFetchDiskFull fills a small file system, while downloading and while
// unpacking.
func TestFetchDiskFull(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles())) // 1 kB, 0.3 MB unpacked
	padded := kernelFiles()
	random := make([]byte, 300<<10)
	rand.NewChaCha8([32]byte{}).Read(random)
	padded["random"] = string(random)
	for name, archive := range map[string][]byte{
		"unpacking":   archive,
		"downloading": deb(t, kernelMembers(padded)),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
				t.Skipf("THE FULL DISK IS NOT TESTED: cannot mount a small one: %v", err)
			}
			defer unix.Unmount(dir, unix.MNT_DETACH)
			opts := options(t, serve(t, &mirror{files: map[string][]byte{debPath: archive}}))
			c, err := cache.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			opts.Cache = c
			p := testPin(archive)
			// As if the disk had filled after it was looked at.
			p.Sources[0].Size, opts.unpackedBytes = int64(len(archive)), -int64(len(archive))
			_, err = p.Fetch(t.Context(), opts)
			if full, ok := errors.AsType[*cache.SpaceError](err); !ok || full.Dir != dir || exit.Code(err) != exit.MachineLacks {
				t.Errorf("error %v", err)
			}
			if left := content(t, dir); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestFetchInterrupted(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	ctx, cancel := context.WithCancel(t.Context())
	m := &mirror{before: func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
		w.Write(archive[:1000])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		return true
	}}
	opts := options(t, serve(t, m))
	if _, err := testPin(archive).Fetch(ctx, opts); exit.Code(err) != exit.Interrupted {
		t.Errorf("error %v", err)
	}
	for _, l := range content(t, opts.Cache.Dir()) {
		if !strings.HasPrefix(l, "download/") {
			t.Errorf("left behind: %v", l)
		}
	}
}

func TestFetchStalledServer(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	m := &mirror{before: func(w http.ResponseWriter, r *http.Request, _ int) bool {
		<-r.Context().Done() // never answers
		return true
	}}
	opts := options(t, serve(t, m))
	opts.apt = append(opts.apt, "-o=Acquire::http::Timeout=1", "-o=Acquire::Retries=0")
	_, err := testPin(archive).Fetch(t.Context(), opts)
	if !strings.Contains(err.Error(), "Connection failed") || exit.Code(err) != exit.MachineLacks {
		t.Errorf("error %v", err)
	}
}
