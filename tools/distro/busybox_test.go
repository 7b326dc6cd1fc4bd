// SPDX-License-Identifier: GPL-2.0-only

package distro

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

// TestFetchBusybox fetches a package once, with lists that are gone afterwards, also if
// one of them is missing, or says what apt said.
func TestFetchBusybox(t *testing.T) {
	arm64, err := arch.Find("arm64")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	putInPath(t, dir, map[string]string{
		"apt-get": `echo "$*" >>` + log + `
case "$*" in
update*Architectures::=arm64*) echo "E: Some index files failed to download" >&2; exit 100 ;;
*Architectures::=riscv64*) echo "E: Unable to locate package" >&2; exit 100 ;;
download*) : >b.deb ;;
esac`,
		"dpkg-deb": `mkdir -p "$3/bin"; echo program >"$3/bin/busybox"`,
	})
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	var file string
	for range 2 {
		if file, err = FetchBusybox(t.Context(), c, nil, arm64); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "program\n" {
		t.Errorf("expected the program of the package, found %q (%v)", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) != 1 {
		t.Errorf("expected nothing but the program, found %q", left)
	}
	said, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "update ") || !strings.HasSuffix(lines[1], " busybox-static:arm64") {
		t.Fatalf("expected an update and a download, found %q", lines)
	}
	for _, line := range lines {
		if !strings.Contains(line, "Dir::State=") || !strings.Contains(line, "APT::Architectures::=arm64") {
			t.Errorf("expected lists of arm64 in a directory of its own, found %q", line)
		}
	}

	riscv64, err := arch.Find("riscv64")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FetchBusybox(t.Context(), c, nil, riscv64); exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), "Unable to locate package") {
		t.Errorf("expected what apt said and code %d, found %v", exit.MachineLacks, err)
	}
}
