// SPDX-License-Identifier: GPL-2.0-only

package distro

import (
	"io/fs"
	"os"
	"slices"
	"testing"

	"vcpulab/tools/cache"
)

// TestFetchHeaders unpacks the headers and what they need, but no compiler, where a
// system with a merged /usr has them.
func TestFetchHeaders(t *testing.T) {
	putInPath(t, t.TempDir(), map[string]string{
		"apt-cache": `for name in linux-headers-6.1-common linux-kbuild-6.1 linux-compiler-gcc; do echo "  Depends: $name"; done`,
		"apt-get": `case "$*" in
*--print-uris*) echo "'http://mirror/h.deb' h.deb 8225828 SHA256:6aeb" ;;
*) for last; do :; done; : >"$last.deb" ;;
esac`,
		"dpkg-deb": `mkdir -p "$3/usr/src"; : >"$3/usr/src/$(basename "$2" .deb)"
case "$2" in
*/linux-headers-6.1.deb) mkdir -p "$3/lib/modules/6.1"; ln -s /usr/src/linux-headers-6.1 "$3/lib/modules/6.1/build" ;;
esac`,
	})
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	found, err := FetchHeaders(t.Context(), c, nil, Kernel{Release: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = fs.WalkDir(os.DirFS(found), ".", func(name string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	want := []string{"usr/lib/modules/6.1/build", "usr/src/linux-headers-6.1", "usr/src/linux-headers-6.1-common", "usr/src/linux-kbuild-6.1"}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("expected %q, found %q (%v)", want, files, err)
	}
}
