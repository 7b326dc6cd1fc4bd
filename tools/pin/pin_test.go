// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

var update = flag.Bool("update", false, "write what the code makes to the files that it is compared with")

// committed is the pin that the series is made against.
const committed = "../../kernel-src-pin/linux-7.3.4.toml"

// TestCommittedPin holds the pin file and the tree that it pins together.
// With -update the blob ids are taken from the tree anew, which is also how
// the pin is moved: after version and sources in the file have been changed.
func TestCommittedPin(t *testing.T) {
	p, err := Load(committed)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"include/linux/kvm_host.h", "virt/kvm/kvm_main.c", "lib/xarray.c", "arch/s390/kvm/s390/s390.c",
		"arch/riscv/kvm/vcpu_sbi_hsm.c", "scripts/checkpatch.pl", "Documentation/virt/kvm/locking.rst",
		"tools/testing/selftests/kvm/Makefile.kvm", "Makefile",
	} {
		if _, ok := p.BlobID(name); !ok {
			t.Errorf("%s is not pinned", name)
		}
	}
	if _, ok := p.BlobID("drivers/char/mem.c"); ok {
		t.Error("drivers/char/mem.c is pinned")
	}
	if got := len(p.Files()); got != len(p.Blobs.All)+len(p.Blobs.Debian) {
		t.Errorf("Files: %d", got)
	}

	c, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Lookup(cacheKind, p.key(&p.Sources[0])); !ok && !*update {
		t.Skipf("THE PIN IS NOT COMPARED WITH ITS TREE: linux-%s is not in the cache %s", p.Version, c.Dir())
	}
	kernel, err := p.Fetch(t.Context(), FetchOptions{Cache: c, Log: progress.New(os.Stderr), Unverified: *update})
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Regenerate(old, kernel.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(committed, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(old), string(got)); diff != "" {
		t.Errorf("pin file (-committed +from the tree):\n%s", diff)
	}
}

// BenchmarkVerify is what each use of the pinned tree costs.
func BenchmarkVerify(b *testing.B) {
	p, err := Load(committed)
	if err != nil {
		b.Fatal(err)
	}
	c, err := cache.Open("")
	if err != nil {
		b.Fatal(err)
	}
	entry, ok := c.Lookup(cacheKind, p.key(&p.Sources[0]))
	if !ok {
		b.Skipf("linux-%s is not in the cache %s", p.Version, c.Dir())
	}
	for b.Loop() {
		if _, err := p.open(b.Context(), entry, Debian, false); err != nil {
			b.Fatal(err)
		}
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
		"not TOML":            {"[[source]]", "[[source]", ":3:9:"},
		"unknown key":         {"kind = \"debian\"", "knid = \"debian\"", `:4:1: nothing is called "source.knid" here`},
		"wrong type":          {"size = 166780612", `size = "big"`, ":10:8:"},
		"version":             {`"7.3.4"`, `"new"`, `:1:1: version: "new"`},
		"no version":          {`version = "7.3.4"`, ``, `version: ""`},
		"kind":                {`"upstream"`, `"cdrom"`, `source 2: kind: "cdrom"`},
		"sum":                 {"703e369", "703g369", "is not 64 hexadecimal digits"},
		"sum in capitals":     {"703e369", "703E369", "is not 64 hexadecimal digits"},
		"size":                {"166780612", "-1", "size: -1"},
		"no sum":              {`sha256 = `, `# `, "needs its sha256"},
		"package":             {`package = "linux-source-7.3"`, `package = "../x"`, `:5:12: source 1: package: "../x"`},
		"path that climbs":    {"pool/main", "../main", "is not the path of a .deb"},
		"absolute member":     {`"usr/src`, `"/usr/src`, "is not a path in a package"},
		"suite":               {"trixie-backports", "../..", "suite"},
		"plain http":          {"https://example.org/sums", "http://example.org/sums", ":16:9: source 2: \"http://example.org/sums\" is not an https address"},
		"no address":          {`url = "https://example.org/linux.tar.xz"`, ``, "is not an https address"},
		"blob id":             {`"lib/xarray.c" = "0`, `"lib/xarray.c" = "x`, ":20:2: blobs: lib/xarray.c"},
		"blob path":           {`"lib/xarray.c"`, `"../lib/xarray.c"`, `:20:2: blobs: "../lib/xarray.c" is not a path`},
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
			if !as[*FileError](err) || exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "linux.toml"))
	if !as[*FileError](err) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(goodPin))
	f.Add([]byte("version = \"7.3.4\"\n[[source]]\n"))
	f.Add([]byte("[blobs.all]\n\"\" = \"\"\n"))
	f.Add([]byte("a.b.c.d=1\n[a]\n"))
	where := regexp.MustCompile(`^pin file x\.toml(:[1-9][0-9]*:[1-9][0-9]*)?: `)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("x.toml", data)
		if err != nil {
			if !where.MatchString(err.Error()) {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		for _, name := range p.Files() {
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
	got, err := Regenerate(old, dir, "Kconfig", "Kbuild")
	if err != nil {
		t.Fatal(err)
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
	again, err := Regenerate(got, dir)
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("once more: %v\n%s", err, cmp.Diff(string(got), string(again)))
	}
	for name, try := range map[string]func() ([]byte, error){
		"no mark":          func() ([]byte, error) { return Regenerate([]byte(goodPin), dir) },
		"no such file":     func() ([]byte, error) { return Regenerate(old, dir, "lib/none.c") },
		"no kernel at all": func() ([]byte, error) { return Regenerate(old, t.TempDir()) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDiff(t *testing.T) {
	p, dir := testPin(nil), t.TempDir()
	files := kernelFiles()
	files["lib/xarray.c"] = "changed\n"
	delete(files, "scripts/checkpatch.pl")
	writeTree(t, dir, files)
	bad, err := p.Diff(t.Context(), dir)
	if err != nil || len(bad) != 2 || bad[0].Path != "lib/xarray.c" || bad[1].Found != "" {
		t.Errorf("Diff = %v, %v", bad, err)
	}
	// Upstream's Makefile is not known: that it differs from Debian's says
	// nothing, unless it is asked for.
	writeTree(t, dir, map[string]string{"Makefile": "upstream's\n"})
	if bad, err := p.Diff(t.Context(), dir); len(bad) != 2 || err != nil {
		t.Errorf("Diff = %v, %v", bad, err)
	}
	if bad, err := p.Diff(t.Context(), dir, "Makefile"); len(bad) != 1 || err != nil {
		t.Errorf("Diff of the Makefile = %v, %v", bad, err)
	}
}
