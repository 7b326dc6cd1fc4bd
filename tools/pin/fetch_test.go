// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	// One that was edited in place is made again.
	alter := func(at time.Time) {
		t.Helper()
		name := filepath.Join(got.Dir, "lib/xarray.c")
		if err := errors.Join(os.WriteFile(name, []byte("altered\n"), 0o644), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	alter(time.Now().Add(time.Minute))
	if _, err := p.Fetch(t.Context(), opts); err != nil {
		t.Error(err)
	}
	// Where times do not show it, the blob ids of the pinned files do.
	alter(time.Unix(1, 0))
	if err := os.Remove(filepath.Join(got.Dir, "virt/kvm/kvm_main.c")); err != nil {
		t.Fatal(err)
	}
	_, err = p.Fetch(t.Context(), opts)
	for _, want := range []string{
		"2 of the files that the series builds on",
		"lib/xarray.c: expected blob " + p.Blobs.All["lib/xarray.c"] + ", found " + tree.BlobID([]byte("altered\n")),
		"virt/kvm/kvm_main.c: expected blob " + p.Blobs.All["virt/kvm/kvm_main.c"] + ", found no such file",
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	if exit.Code(err) != exit.CheckFailed || !strings.Contains(err.Error(), "rm -rf") {
		t.Errorf("error %v", err)
	}
}

// TestFetchContinues is about downloads that succeed in the end.
func TestFetchContinues(t *testing.T) {
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
		ranges []string
	}{
		"cut off, continued": {cutAfter(archive, n/2), nil, []string{"", fmt.Sprintf("bytes=%d-", n/2)}},
		"cut off, server without ranges": {func(w http.ResponseWriter, r *http.Request, try int) bool {
			if try == 1 {
				return cutAfter(archive, n/2)(w, r, try)
			}
			w.Write(archive)
			return true
		}, nil, []string{"", fmt.Sprintf("bytes=%d-", n/2)}},
		"busy at first":           {status(http.StatusServiceUnavailable), nil, []string{"", ""}},
		"earlier run":             {nil, archive[:100], []string{"bytes=100-"}},
		"earlier run was whole":   {nil, archive, nil},
		"earlier run was other":   {nil, bytes.Repeat([]byte("x"), 100), []string{"bytes=100-"}},
		"earlier run was as long": {nil, bytes.Repeat([]byte("x"), n), []string{""}},
		"earlier run was longer":  {nil, append(bytes.Clone(archive), "more"...), []string{""}},
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
		"none":                  {nil, []string{"Debian package linux-source-7.3 7.3.4-1", "no mirror has it", "/sums: 404 "}},
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
