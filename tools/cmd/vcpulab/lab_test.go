// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vcpulab/tools/tree"
)

// A lab is a small world in which all verbs can be run in a moment: root/,
// which has what the repository has of patches and pins, for a small kernel
// in linux/, which a mirror of Debian's has as a package. The
// mirror is served by the test, and apt is told of no other.
const (
	labPin     = "root/kernel-src-pin/linux-7.3.4.toml"
	labDeb     = "pool/main/l/linux/linux-source-7.3_7.3.4-1_all.deb"
	labIndex   = "dists/trixie/main/binary-all/Packages.xz"
	labMember  = "usr/src/linux-source-7.3.tar.xz"
	labDebFile = "linux.deb"
)

// labCmd makes a lab in the script's directory. After linux/ was changed,
// "lab pack" makes package and pin again; "lab again" puts back what the script
// has changed in linux/ and root/.
func labCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: lab [pack | again]")
	}
	if !slices.Equal(args, []string{"pack"}) {
		root := ts.Getenv("ROOT")
		from := filepath.Join(root, "tools/cmd/vcpulab/testdata/lab")
		for to, from := range map[string]string{
			"linux": filepath.Join(from, "linux"), "root/patches": filepath.Join(from, "patches"), "root/ci": filepath.Join(root, "ci"),
			"root/ebpf": filepath.Join(root, "ebpf"), // of which the guest program is built
		} {
			ts.Check(os.RemoveAll(ts.MkAbs(to)))
			ts.Check(os.CopyFS(ts.MkAbs(to), os.DirFS(from)))
		}
		for _, name := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(root, name))
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs("root/"+name), data, 0o644))
		}
		ts.Check(os.MkdirAll(ts.MkAbs("root/kernel-src-pin"), 0o755))
		variants, err := os.ReadFile(filepath.Join(from, variantsFile))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs("root/ci/"+variantsFile), variants, 0o644))
	}
	if len(args) == 0 {
		startMirror(ts)
	}
	deb, err := packKernel(ts.MkAbs("linux"))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(labDebFile), deb, 0o644))
	pin, err := pinOf(ts.MkAbs("linux"), deb)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(labPin), pin, 0o644))
}

// pinOf returns the pin of a kernel that a package has. Its second source is
// an address without a server.
func pinOf(dir string, deb []byte) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `version = "7.3.4"

[[source]]
kind = "debian"
package = "linux-source-7.3"
package-version = "7.3.4-1"
suite = "trixie"
path = %q
member = %q
size = %d
sha256 = "%x"

[[source]]
kind = "upstream"
url = "https://127.0.0.1:1/linux-7.3.4.tar.xz"
sums = "https://127.0.0.1:1/sha256sums.asc"
size = 1000000

# Generated from the pinned tree from here on:
[blobs.all]
`, labDeb, labMember, len(deb), sha256.Sum256(deb))
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		fmt.Fprintf(&b, "%q = %q\n", name, tree.BlobID(data))
		return err
	})
	return b.Bytes(), err
}

// packKernel returns a kernel as Debian packs it: a tarball in a package.
func packKernel(dir string) ([]byte, error) {
	source, err := tarball(os.DirFS(dir), "linux-source-7.3/")
	if err != nil {
		return nil, err
	}
	if source, err = xz(source); err != nil {
		return nil, err
	}
	data, err := tarball(fstest.MapFS{labMember: {Data: source, Mode: 0o644}}, "./")
	if err != nil {
		return nil, err
	}
	if data, err = xz(data); err != nil {
		return nil, err
	}
	control, err := tarball(fstest.MapFS{}, "")
	if err != nil {
		return nil, err
	}
	if control, err = xz(control); err != nil {
		return nil, err
	}

	deb := []byte("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.xz", control}, {"data.tar.xz", data}} {
		deb = fmt.Appendf(deb, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m.name, 0, 0, 0, "100644", len(m.data), m.data)
		if len(m.data)%2 == 1 {
			deb = append(deb, '\n')
		}
	}
	return deb, nil
}

// tarball returns a tar archive of files, below a directory.
func tarball(files fs.FS, top string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: top + name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func xz(data []byte) ([]byte, error) {
	cmd := exec.Command("xz", "-0", "--stdout")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("xz: %w", err)
	}
	return out, nil
}

// mirror is a mirror of Debian's with one package. Its mode says what becomes
// of those who ask for it:
//
//	good      they get it
//	gone      the file was removed
//	once      the first gets half of it and is cut off
//	stall     they get half of it and nothing more
type mirror struct {
	file string

	mu       sync.Mutex
	mode     string
	requests int // since the mode was set
	resumed  int // those of them that asked for the rest of the file
	done     chan struct{}
}

// packed is when the package was made.
var packed = time.Date(2026, 11, 10, 18, 10, 0, 0, time.UTC)

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.requests++
	if r.Header.Get("Range") != "" {
		m.resumed++
	}
	mode := m.mode
	if mode == "once" {
		m.mode = "good"
	}
	m.mu.Unlock()
	data, err := os.ReadFile(m.file)
	if err == nil && r.URL.Path == "/debian/"+labIndex {
		index, err := xz(fmt.Appendf(nil, "Package: linux-source-7.3\nVersion: 7.3.4-1\nFilename: %s\nSize: %d\nSHA256: %x\n", labDeb, len(data), sha256.Sum256(data)))
		if err == nil {
			_, _ = w.Write(index)
		}
		return
	}
	if mode == "gone" || err != nil || r.URL.Path != "/debian/"+labDeb {
		http.NotFound(w, r)
		return
	}
	if mode == "good" {
		http.ServeContent(w, r, "", packed, bytes.NewReader(data))
		return
	}
	w.Header().Set("Last-Modified", packed.Format(http.TimeFormat))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(data[:len(data)/2])
	_ = http.NewResponseController(w).Flush()
	if mode == "stall" {
		select {
		case <-r.Context().Done():
		case <-m.done:
		}
	}
	panic(http.ErrAbortHandler)
}

// startMirror serves the lab's package, and tells apt of it.
func startMirror(ts *testscript.TestScript) {
	m := &mirror{file: ts.MkAbs(labDebFile), mode: "good", done: make(chan struct{})}
	server := httptest.NewServer(m)
	ts.Defer(func() {
		close(m.done)
		server.Close()
	})
	stateOf(ts).mirror = m
	sources, conf := ts.MkAbs("apt/sources.list"), ts.MkAbs("apt/apt.conf")
	ts.Check(os.MkdirAll(filepath.Dir(conf), 0o755))
	ts.Check(os.WriteFile(sources, fmt.Appendf(nil, "deb [trusted=yes] %s/debian trixie main\n", server.URL), 0o644))
	// A server that is not there is asked as often as elsewhere, but at once: apt
	// would wait for 31 seconds between the times, for each of them.
	ts.Check(os.WriteFile(conf, fmt.Appendf(nil,
		"Dir::Etc::sourcelist %q;\nDir::Etc::sourceparts \"-\";\nAcquire::http::Proxy \"DIRECT\";\nAcquire::Retries::Delay \"false\";\n", sources), 0o644))
	ts.Setenv("APT_CONFIG", conf)
}

// mirrorCmd sets the mirror's mode, or looks how often it was asked since:
//
//	mirror MODE
//	mirror asked N      requests
//	mirror resumed N    requests for the rest of the file
func mirrorCmd(ts *testscript.TestScript, neg bool, args []string) {
	m := stateOf(ts).mirror
	if neg || m == nil || len(args) == 0 {
		ts.Fatalf("usage: mirror MODE | mirror asked N | mirror resumed N, after lab")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	count := map[string]int{"asked": m.requests, "resumed": m.resumed}
	found, ok := count[args[0]]
	if !ok {
		m.mode, m.requests, m.resumed = args[0], 0, 0
		return
	}
	if len(args) != 2 || fmt.Sprint(found) != args[1] {
		ts.Fatalf("expected %s requests, found %d", args[1:], found)
	}
}
