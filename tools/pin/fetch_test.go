// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/tree"
)

// mirror serves files as a Debian mirror does. before, if set, may answer a
// request itself by returning true.
type mirror struct {
	files  map[string][]byte
	before func(w http.ResponseWriter, r *http.Request, try int) bool
	tries  atomic.Int32
	ranges []string // the Range headers, in order
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	try := int(m.tries.Add(1))
	m.ranges = append(m.ranges, r.Header.Get("Range"))
	if m.before != nil && m.before(w, r, try) {
		return
	}
	data, ok := m.files[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", sum(data)[:8]))
	http.ServeContent(w, r, "", released, bytes.NewReader(data))
}

func serve(t *testing.T, m *mirror) string {
	t.Helper()
	srv := httptest.NewServer(m)
	t.Cleanup(srv.Close)
	return srv.URL
}

// cutAfter sends the first n bytes of what was announced and breaks off.
func cutAfter(data []byte, n int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, try int) bool {
		if try > 1 {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Header().Set("ETag", fmt.Sprintf("%q", sum(data)[:8]))
		w.Write(data[:n])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestFetch(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	p := testPin(archive)
	m := &mirror{files: map[string][]byte{debPath: archive}}
	opts := options(t, serve(t, m))
	got, err := p.Fetch(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "7.3.4" || got.Base != "" || got.ID != p.key(&p.Sources[0]) {
		t.Errorf("tree %+v", got)
	}
	for name, want := range kernelFiles() {
		data, err := os.ReadFile(filepath.Join(got.Dir, name))
		if err != nil || string(data) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(got.Dir, "scripts/checkpatch.pl")); err != nil || info.Mode() != 0o755 || !info.ModTime().Equal(released) {
		t.Errorf("checkpatch.pl: %v, %v", info, err)
	}
	if target, err := os.Readlink(filepath.Join(got.Dir, "scripts/link")); target != "../lib/xarray.c" {
		t.Errorf("link: %q, %v", target, err)
	}
	manifest, err := ReadManifest(got)
	if err != nil || manifest.SHA256 != sum(archive) || manifest.Files != len(kernelFiles())+1 {
		t.Errorf("manifest %+v, %v", manifest, err)
	}
	if bad, err := Audit(t.Context(), got); bad != nil || err != nil {
		t.Errorf("Audit = %v, %v", bad, err)
	}
	if left := content(t, opts.Cache.Path(downloadKind, "")); left != nil {
		t.Errorf("the download was kept: %v", left)
	}

	// From now on without the network, and not twice.
	opts.Sites = []string{"http://127.0.0.1:1"}
	again, err := p.Fetch(t.Context(), opts)
	if err != nil || cmp.Diff(got, again) != "" {
		t.Errorf("second Fetch = %+v, %v", again, err)
	}
	if n := m.tries.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestFetchFindsAlteredFiles(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	p := testPin(archive)
	opts := options(t, serve(t, &mirror{files: map[string][]byte{debPath: archive}}))
	got, err := p.Fetch(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	writeTree(t, got.Dir, map[string]string{"lib/xarray.c": "altered\n", "added.c": "\n"})
	if err := os.Remove(filepath.Join(got.Dir, "virt/kvm/kvm_main.c")); err != nil {
		t.Fatal(err)
	}
	_, err = p.Fetch(t.Context(), opts)
	ce, ok := errors.AsType[*ContentError](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	want := []Mismatch{
		{"lib/xarray.c", p.Blobs.All["lib/xarray.c"], tree.BlobID([]byte("altered\n"))},
		{"virt/kvm/kvm_main.c", p.Blobs.All["virt/kvm/kvm_main.c"], ""},
	}
	if diff := cmp.Diff(want, ce.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if exit.Code(err) != exit.CheckFailed || !strings.Contains(err.Error(), "rm -rf") {
		t.Errorf("error %v", err)
	}
	bad, err := Audit(t.Context(), got)
	if len(bad) != 3 || bad[0].Path != "added.c" || err != nil {
		t.Errorf("Audit = %v, %v", bad, err)
	}
}

// TestFetchGoesOn is about downloads that succeed in the end.
func TestFetchGoesOn(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	n := len(archive)
	status := func(code int) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, try int) bool {
			if try == 1 {
				w.WriteHeader(code)
			}
			return try == 1
		}
	}
	tests := map[string]struct {
		before func(http.ResponseWriter, *http.Request, int) bool
		part   []byte // what is there from an earlier run
		meta   string // and the validator that was kept with it
		ranges []string
	}{
		"cut off, gone on": {cutAfter(archive, n/2), nil, "", []string{"", fmt.Sprintf("bytes=%d-", n/2)}},
		"cut off, server without ranges": {func(w http.ResponseWriter, r *http.Request, try int) bool {
			if try == 1 {
				return cutAfter(archive, n/2)(w, r, try)
			}
			w.Write(archive)
			return true
		}, nil, "", []string{"", fmt.Sprintf("bytes=%d-", n/2)}},
		"busy at first":           {status(http.StatusServiceUnavailable), nil, "", []string{"", ""}},
		"earlier run":             {nil, archive[:100], "", []string{"bytes=100-"}},
		"earlier run was whole":   {nil, archive, "", nil},
		"earlier run was other":   {nil, bytes.Repeat([]byte("x"), 100), "", []string{"bytes=100-", ""}},
		"earlier run was longer":  {nil, append(bytes.Clone(archive), "more"...), "", []string{fmt.Sprintf("bytes=%d-", n+4), ""}},
		"earlier validator stale": {nil, archive[:100], `{"url":"URL","etag":"\"stale\""}`, []string{"bytes=100-"}},
		"earlier validator weak":  {nil, archive[:100], `{"url":"URL","etag":"W/\"x\""}`, []string{"bytes=100-"}},
		"earlier validator odd":   {nil, archive[:100], `{`, []string{"bytes=100-"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := testPin(archive)
			m := &mirror{files: map[string][]byte{debPath: archive}, before: tc.before}
			url := serve(t, m)
			opts := options(t, url)
			if tc.part != nil {
				writeTree(t, opts.Cache.Path(downloadKind, ""), map[string]string{filepath.Base(debPath) + ".part": string(tc.part)})
			}
			if tc.meta != "" {
				meta := strings.ReplaceAll(tc.meta, "URL", url+"/"+debPath)
				writeTree(t, opts.Cache.Path(downloadKind, ""), map[string]string{filepath.Base(debPath) + ".part.json": meta})
			}
			if _, err := p.Fetch(t.Context(), opts); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.ranges, m.ranges); diff != "" {
				t.Errorf("ranges asked for (-want +got):\n%s", diff)
			}
			if left := content(t, opts.Cache.Path(downloadKind, "")); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

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
		mirror *mirror // nil is one that nobody can reach
		pinned []byte  // the .deb that the pin means
		opts   func(*FetchOptions)
		is     func(error) bool
		code   int
		says   []string
		keeps  []string // what is left in the cache
	}{
		"checksum differs": {
			mirror: serves(other), pinned: good,
			is:   as[*ChecksumError],
			code: exit.CheckFailed,
			says: []string{debPath, "expected " + sum(good), "found " + sum(other)},
		},
		"blob id differs": {
			mirror: serves(wrongFile), pinned: wrongFile,
			is:   as[*ContentError],
			code: exit.CheckFailed,
			says: []string{"lib/xarray.c: expected blob " + tree.BlobID([]byte(kernelFiles()["lib/xarray.c"])) + ", found " + tree.BlobID([]byte("/* not it */\n"))},
		},
		"another version": {
			mirror: serves(wrongVersion), pinned: wrongVersion,
			is:   as[*ArchiveError],
			code: exit.CheckFailed,
			says: []string{"it holds linux-7.3.3, expected linux-7.3.4"},
		},
		"cut off for good": {
			mirror: cut, pinned: good,
			is:    as[*CutOffError],
			code:  exit.MachineLacks,
			says:  []string{fmt.Sprintf("cut off after 1000 of %d bytes", len(good)), "run the command again"},
			keeps: []string{"download/linux-source-7.3_7.3.4-1_all.deb.part 1000", "download/linux-source-7.3_7.3.4-1_all.deb.part.json *"},
		},
		"longer than pinned": {
			mirror: serves(append(bytes.Clone(good), "more"...)), pinned: good,
			is:   as[*SizeError],
			code: exit.CheckFailed,
			says: []string{fmt.Sprintf("at most %d bytes, found %d", len(good), len(good)+4)},
		},
		"longer than announced": {
			mirror: &mirror{before: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.(http.Flusher).Flush() // no Content-Length then
				w.Write(append(bytes.Clone(good), "more"...))
				return true
			}}, pinned: good,
			is:   as[*SizeError],
			code: exit.CheckFailed,
		},
		"shorter than pinned": {
			mirror: serves(good[:len(good)-1]), pinned: good,
			is:   as[*SizeError],
			code: exit.CheckFailed,
			says: []string{"another size"},
		},
		"server refuses": {
			mirror: answers(http.StatusForbidden), pinned: good,
			is:   as[*UnreachableError],
			code: exit.MachineLacks,
			says: []string{"the server answers 403"},
		},
		"not reachable": {
			pinned: good,
			is:     as[*UnreachableError],
			code:   exit.MachineLacks,
			says:   []string{"http://127.0.0.1:1/" + debPath, "not reachable", "refused", "KERNEL_SRC"},
		},
		"disk too small": {
			mirror: serves(good), pinned: good,
			opts: func(o *FetchOptions) { o.unpackedBytes = 1 << 60 },
			is:   as[*cache.SpaceError],
			code: exit.MachineLacks,
			says: []string{"download and unpack linux-7.3.4: needs", "free"},
		},
		"no archive at all": {
			mirror: serves([]byte("<html>captive portal</html>")), pinned: []byte("<html>captive portal</html>"),
			is:   as[*ArchiveError],
			code: exit.CheckFailed,
			says: []string{"is no ar archive"},
		},
		"archive damaged": {
			mirror: serves(good[:len(good)-100]), pinned: good[:len(good)-100],
			is:   as[*ArchiveError],
			code: exit.CheckFailed,
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
			if !tc.is(err) || exit.Code(err) != tc.code {
				t.Errorf("error %T, exit code %d, want %d: %v", err, exit.Code(err), tc.code, err)
			}
			for _, want := range tc.says {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
			var left []string
			for _, l := range content(t, opts.Cache.Dir()) {
				if name, _, _ := strings.Cut(l, " "); strings.HasSuffix(name, ".json") {
					l = name + " *"
				}
				left = append(left, l)
			}
			if diff := cmp.Diff(tc.keeps, left); diff != "" {
				t.Errorf("cache (-want +got):\n%s", diff)
			}
		})
	}
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestFetchGone(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	index := "Package: linux-source-7.3\nVersion: 7.3.9-1\nFilename: pool/l.deb\nSize: 5\nSHA256: abc\nDescription: x\n more\n\n" +
		"Package: linux-image\nVersion: 1\nFilename: pool/i.deb\n"
	const where = "dists/trixie-backports/main/binary-amd64/Packages.xz"
	tests := map[string]struct {
		files map[string][]byte
		says  []string
	}{
		"replaced by another": {
			map[string][]byte{where: xz(t, []byte(index))},
			[]string{"linux-source-7.3 7.3.9-1", `path = "pool/l.deb"`, "move the pin", "TestCommittedPin -update"},
		},
		"in the other index": {
			map[string][]byte{strings.Replace(where, "amd64", "all", 1): xz(t, []byte(index))},
			[]string{"linux-source-7.3 7.3.9-1"},
		},
		"index is damaged":    {map[string][]byte{where: []byte("no xz")}, []string{"could not be found out", "Packages.xz"}},
		"index is not there":  {nil, []string{"could not be found out", "404"}},
		"index has no kernel": {map[string][]byte{where: xz(t, nil), strings.Replace(where, "amd64", "all", 1): xz(t, nil)}, []string{"no kernel source at all"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, opts := testPin(archive), options(t, serve(t, &mirror{files: tc.files}))
			_, err := p.Fetch(t.Context(), opts)
			if !as[*GoneError](err) || exit.Code(err) != exit.MachineLacks {
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

func TestFetchTriesAllSources(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	tarXZ := xz(t, tarball(t, kernelMembers(kernelFiles())))
	sums := "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + sum(archive) + "  linux-7.3.3.tar.xz\n" + sum(tarXZ) + "  linux-7.3.4.tar.xz\n-----BEGIN PGP SIGNATURE-----\n"
	tests := map[string]struct {
		files map[string][]byte
		fails []string
	}{
		"the second mirror":     {map[string][]byte{"good/" + debPath: archive}, nil},
		"upstream":              {map[string][]byte{"linux-7.3.4.tar.xz": tarXZ, "sums": []byte(sums)}, nil},
		"upstream without sum":  {map[string][]byte{"linux-7.3.4.tar.xz": tarXZ, "sums": []byte("x\n")}, []string{"no sum for linux-7.3.4.tar.xz"}},
		"upstream with another": {map[string][]byte{"linux-7.3.4.tar.xz": archive, "sums": []byte(sums)}, []string{"sha256 differs"}},
		"upstream too large":    {map[string][]byte{"linux-7.3.4.tar.xz": make([]byte, 2<<20), "sums": []byte(sums)}, []string{"at most 1048576 bytes"}},
		"none":                  {nil, []string{"Debian package linux-source-7.3 7.3.4-1", "no mirror has it", "/sums: the server answers 404"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			url := serve(t, &mirror{files: tc.files})
			p := testPin(archive)
			p.Sources = append(p.Sources, Source{Kind: Upstream, URL: url + "/linux-7.3.4.tar.xz", Sums: url + "/sums", Size: 1 << 20})
			opts := options(t, url+"/empty", url+"/good")
			got, err := p.Fetch(t.Context(), opts)
			if (err == nil) != (tc.fails == nil) {
				t.Fatalf("error %v", err)
			}
			for _, want := range tc.fails {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
			if err != nil {
				if left := content(t, opts.Cache.Dir()); left != nil {
					t.Errorf("left behind: %v", left)
				}
				return
			}
			opts.Sites = []string{}
			if again, err := p.Fetch(t.Context(), opts); err != nil || again.ID != got.ID {
				t.Errorf("second Fetch = %+v, %v", again, err)
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
	opts.stall = time.Millisecond
	_, err := testPin(archive).Fetch(t.Context(), opts)
	if cut, ok := errors.AsType[*CutOffError](err); !ok || !errors.Is(err, errStalled) || cut.Tries != 3 {
		t.Errorf("error %v", err)
	}
}

func TestFetchLocal(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	dir := t.TempDir()
	changed := kernelFiles()
	changed["lib/xarray.c"] = "changed\n"
	writeTree(t, filepath.Join(dir, "plain"), kernelFiles())
	writeTree(t, filepath.Join(dir, "changed"), changed)
	writeTree(t, filepath.Join(dir, "empty"), nil)
	writeTree(t, dir, map[string]string{
		"k.deb": string(archive), "other.deb": string(archive) + "x", "empty/x": "",
		"k.tar.xz": string(xz(t, tarball(t, kernelMembers(kernelFiles())))),
	})
	repo := filepath.Join(dir, "repo")
	writeTree(t, repo, kernelFiles())
	gitDo(t, repo, "init", "-q")
	gitDo(t, repo, "add", "-A")
	gitDo(t, repo, "commit", "-qm", "linux 7.3.4")
	gitDo(t, repo, "tag", "v7.3.4")
	writeTree(t, repo, map[string]string{"lib/xarray.c": "work in progress\n"})
	before := content(t, dir)

	tests := map[string]struct {
		code int
		says string
	}{
		"plain": {}, "repo": {}, "k.deb": {}, "k.tar.xz": {},
		"changed":   {exit.CheckFailed, "lib/xarray.c"},
		"empty":     {exit.Usage, "not a kernel source tree"},
		"other.deb": {exit.CheckFailed, "sha256 differs"},
		"not-there": {exit.Usage, "no such file"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			opts := options(t)
			opts.Local = filepath.Join(dir, name)
			got, err := testPin(archive).Fetch(t.Context(), opts)
			if exit.Code(err) != tc.code || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error %v, want exit code %d and %q", err, tc.code, tc.says)
			}
			if err != nil {
				return
			}
			data, err := os.ReadFile(filepath.Join(got.Dir, "lib/xarray.c"))
			if err != nil || string(data) != kernelFiles()["lib/xarray.c"] {
				t.Errorf("lib/xarray.c: %.20q, %v", data, err)
			}
		})
	}
	if diff := cmp.Diff(before, content(t, dir)); diff != "" {
		t.Errorf("what the user named was changed:\n%s", diff)
	}
}
