// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
)

// TestCommittedPins reads the pins of the repository, one of which is the
// default. The scripts of the command compare that one with its tree.
func TestCommittedPins(t *testing.T) {
	const dir = "../../kernel-src-pin"
	list := List(dir)
	if len(list) == 0 {
		t.Fatal("no pins")
	}
	for _, l := range list {
		p, err := Find(dir, l.Name)
		if err != nil || p.File != l.File || p.Version != l.Name {
			t.Errorf("%s: version %q in %s, %v", l.Name, p.Version, p.File, err)
		}
	}

	p, err := Find(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"include/linux/kvm_host.h", "virt/kvm/kvm_main.c", "lib/xarray.c", "arch/riscv/kvm/vcpu_sbi_hsm.c", "scripts/checkpatch.pl",
		"Documentation/virt/kvm/locking.rst", "tools/testing/selftests/kvm/Makefile.kvm", "Makefile",
	} {
		if _, ok := p.BlobID(name); !ok {
			t.Errorf("%s is not pinned", name)
		}
	}
	if _, ok := p.BlobID("drivers/char/mem.c"); ok {
		t.Error("drivers/char/mem.c is pinned")
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	add := func(version string) {
		writeTree(t, dir, map[string]string{"linux-" + version + ".toml": strings.Replace(goodPin, "7.3.4", version, 1)})
	}
	find := func(name, want, says string) {
		t.Helper()
		p, err := Find(dir, name)
		if want != "" && (err != nil || p.Version != want) || want == "" && (exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, want %s %s", name, err, want, says)
		}
	}
	find("", "", "has no default pin; it has none")
	add("7.3.4")
	find("", "7.3.4", "")
	find("7.2", "", `unknown pin "7.2"`)

	add("7.2.13")
	find("", "", "has no default pin; there are: 7.2.13, 7.3.4")
	find("7.2.13", "7.2.13", "")
	find("linux-7.2.13.toml", "7.2.13", "")
	find("7.2.1", "", "there are: 7.2.13, 7.3.4")
	if err := os.Symlink("linux-7.3.4.toml", filepath.Join(dir, defaultFile)); err != nil {
		t.Fatal(err)
	}
	find("", "7.3.4", "")
	want := []Listed{{"7.2.13", filepath.Join(dir, "linux-7.2.13.toml"), false}, {"7.3.4", filepath.Join(dir, "linux-7.3.4.toml"), true}}
	if list := List(dir); cmp.Diff(want, list) != "" {
		t.Errorf("List = %v", list)
	}
}

const goodPin = `version = "7.3.4"

[[source]]
kind = "debian"
package = "linux-source-7.3"
package-version = "7.3.4-1~bpo13+1"
suite = "trixie-backports"
path = "pool/main/l/linux/linux-source-7.3.deb"
member = "usr/src/linux-source-7.3.tar.xz"
size = 166780612
sha256 = "703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3"

[[source]]
kind = "upstream"
url = "https://example.org/linux.tar.xz"
sums = "https://example.org/sums"
size = 300000000

[blobs.all]
"lib/xarray.c" = "0123456789012345678901234567890123456789"

[blobs.debian]
"Makefile" = "0123456789012345678901234567890123456789"
`

func TestParse(t *testing.T) {
	tests := map[string]struct {
		from, to string // what is changed in the good pin
		says     string // "" is good
	}{
		"good":                {"", "", ""},
		"not TOML":            {"[[source]]", "[[source]", "3| [[source]\n"},
		"unknown key":         {"kind = \"debian\"", "knid = \"debian\"", "linux.toml: unknown key:\n"},
		"wrong type":          {"size = 166780612", `size = "big"`, `10| size = "big"`},
		"version":             {`"7.3.4"`, `"new"`, `linux.toml: version: "new"`},
		"no version":          {`version = "7.3.4"`, ``, `version: ""`},
		"kind":                {`"upstream"`, `"cdrom"`, `source 2: kind: "cdrom"`},
		"sum":                 {"703e369", "703g369", "is not 64 hexadecimal digits"},
		"sum in capitals":     {"703e369", "703E369", "is not 64 hexadecimal digits"},
		"size":                {"166780612", "-1", `size: "-1"`},
		"no sum":              {`sha256 = `, `# `, `sha256: "" is not 64`},
		"package":             {`package = "linux-source-7.3"`, `package = "../x"`, `source 1: package: "../x"`},
		"path that climbs":    {"pool/main", "../main", "is not the path of a .deb"},
		"absolute member":     {`"usr/src`, `"/usr/src`, "is not a path in a package"},
		"suite":               {"trixie-backports", "../..", "suite"},
		"plain http":          {"https://example.org/sums", "http://example.org/sums", "source 2: sums: \"http://example.org/sums\" is not an https address"},
		"no address":          {`url = "https://example.org/linux.tar.xz"`, ``, "is not an https address"},
		"blob id":             {`"lib/xarray.c" = "0`, `"lib/xarray.c" = "x`, "blobs: lib/xarray.c"},
		"blob path":           {`"lib/xarray.c"`, `"../lib/xarray.c"`, `blobs: "../lib/xarray.c" is not a path`},
		"file in both tables": {`"Makefile"`, `"lib/xarray.c"`, "is in [blobs.all] and in [blobs.debian]"},
		"no source":           {goodPin[strings.Index(goodPin, "[["):strings.Index(goodPin, "[blobs")], "", "there is no [[source]]"},
		"no blobs":            {goodPin[strings.Index(goodPin, "[blobs"):], "", "there are no [blobs.all]"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(goodPin, tc.from) {
				t.Fatalf("%q is not in the good pin", tc.from)
			}
			_, err := Parse("linux.toml", []byte(strings.Replace(goodPin, tc.from, tc.to, 1)))
			if tc.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "linux.toml"))
	if exit.Code(err) != exit.Usage || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(goodPin))
	f.Add([]byte("version = \"7.3.4\"\n[[source]]\n"))
	f.Add([]byte("[blobs.all]\n\"\" = \"\"\n"))
	f.Add([]byte("a.b.c.d=1\n[a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("x.toml", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.toml: ") {
				t.Errorf("error without a file: %v", err)
			}
			return
		}
		for name := range p.blobsOf(Debian) {
			if !filepath.IsLocal(name) {
				t.Errorf("path %q", name)
			}
			if id, ok := p.BlobID(name); !ok || len(id) != 40 {
				t.Errorf("blob id %q", id)
			}
		}
	})
}

func TestRegenerate(t *testing.T) {
	p := testPin([]byte("x"))
	dir := filepath.Join(t.TempDir(), "linux")
	writeTree(t, dir, kernelFiles())
	for name := range kernelFiles() {
		if name != "Makefile" { // which Debian has changed later
			if err := os.Chtimes(filepath.Join(dir, name), released, released); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := []byte("# kept\n" + goodPin[:strings.Index(goodPin, "[blobs")] + generatedMark + "\nold\n")
	got, missing, err := regenerate(t.Context(), old, dir, "Kconfig", "Kbuild", "lib/none.c")
	if err != nil || len(missing) != 1 || missing[0] != "lib/none.c" {
		t.Fatalf("missing %v, %v", missing, err)
	}
	q, err := Parse("new.toml", got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Blobs, q.Blobs); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if !bytes.HasPrefix(got, []byte("# kept\n")) {
		t.Error("the head was not kept")
	}
	// What was pinned besides stays pinned.
	again, _, err := regenerate(t.Context(), got, dir)
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("once more: %v\n%s", err, cmp.Diff(string(got), string(again)))
	}
	for name, try := range map[string]struct{ old, dir string }{
		"no mark":          {goodPin, dir},
		"no kernel at all": {string(old), t.TempDir()},
	} {
		if _, _, err := regenerate(t.Context(), []byte(try.old), try.dir); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestNew makes a pin for a package that a mirror lists, and updates it.
func TestNew(t *testing.T) {
	archive := deb(t, kernelMembers(kernelFiles()))
	index := fmt.Sprintf("Package: linux-source-7.3\nVersion: 7.3.4-1\nFilename: %s\nSize: %d\nSHA256: %s\n\n"+
		"Package: linux-source-7.3\nVersion: 7.3~rc7-1~exp1\nFilename: pool/rc.deb\nSize: 1\nSHA256: %s\n", debPath, len(archive), sum(archive), sum(nil))
	m := &mirror{files: map[string][]byte{debPath: archive, "dists/testing/main/binary-amd64/Packages.xz": xz(t, []byte(index))}}
	opts := options(t, serve(t, m))
	dir := t.TempDir()

	file, missing, err := New(t.Context(), dir, "7.3.4", "", []string{"Kconfig", "lib/none.c"}, opts)
	if err != nil || file != filepath.Join(dir, "linux-7.3.4.toml") || cmp.Diff([]string{"lib/none.c"}, missing) != "" {
		t.Fatalf("New = %s, %v, %v", file, missing, err)
	}
	p, err := Find(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.BlobID("Kconfig"); !ok || p.Sources[0].Suite != "testing" || p.Sources[1].URL != "https://cdn.kernel.org/pub/linux/kernel/v7.x/linux-7.3.4.tar.xz" {
		t.Errorf("pin %+v", p)
	}
	if _, err := p.Fetch(t.Context(), opts); err != nil {
		t.Error(err)
	}
	if changed, _, err := p.Update(t.Context(), []string{"Kconfig"}, opts); changed || err != nil {
		t.Errorf("Update = %v, %v", changed, err)
	}
	if changed, _, err := p.Update(t.Context(), []string{"Kbuild"}, opts); !changed || err != nil {
		t.Errorf("Update with another file = %v, %v", changed, err)
	}
	if _, missing, err := p.Update(t.Context(), []string{"lib/none.c"}, opts); err != nil || cmp.Diff([]string{"lib/none.c"}, missing) != "" {
		t.Errorf("Update with a missing file: %v, %v", missing, err)
	}

	for version, says := range map[string]string{
		"7.3.4": "exists already", "7.3.5": "they have: 7.3.0-rc7, 7.3.4", "new": "is not a kernel's version",
	} {
		if _, _, err := New(t.Context(), dir, version, "", nil, opts); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("New %s: %v", version, err)
		}
	}
}

func TestKernelVersion(t *testing.T) {
	for in, want := range map[string]string{
		"7.3.4-1~bpo13+1": "7.3.4", "7.3~rc7-1~exp1": "7.3.0-rc7", "7.3-rc7": "7.3.0-rc7", "7.3.0-rc7": "7.3.0-rc7",
		"7.3": "7.3.0", "6.12.117-1": "6.12.117", "7.3-rc7x": "7.3.0-rc7x", "7.3.4x": "7.3.4x", "new": "new",
	} {
		if got := kernelVersion(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
