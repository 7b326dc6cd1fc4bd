// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
	"github.com/google/go-cmp/cmp"
)

func TestInitramfs(t *testing.T) {
	host := filepath.Join(t.TempDir(), "host")
	if err := os.WriteFile(host, []byte("from the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := []File{
		{Path: "/init", Mode: 0o755, Data: []byte("#!")},
		{Path: "tests/deep/er/a", Host: host},
		{Path: "tests/b", Data: nil},
		{Path: "/job.json", Data: []byte("{}")},
	}
	var out bytes.Buffer
	if err := WriteInitramfs(&out, files); err != nil {
		t.Fatal(err)
	}
	// The order in which files are given, and the host's mode, do not matter.
	slices.Reverse(files)
	if err := os.Chmod(host, 0o777); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteInitramfs(&again, files); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("the same files gave other bytes")
	}
	var got []string
	for r := cpio.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Guid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: user %d, group %d, time %v", h.Name, h.Uid, h.Guid, h.ModTime)
		}
		got = append(got, fmt.Sprintf("%o %s %q", h.Mode, h.Name, data))
	}
	want := []string{
		`40755 tests ""`, `40755 tests/deep ""`, `40755 tests/deep/er ""`,
		`100755 init "#!"`, `100644 job.json "{}"`, `100644 tests/b ""`, `100644 tests/deep/er/a "from the host"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the archive differs (-want +got):\n%s", diff)
	}
}

func TestInitramfsErrors(t *testing.T) {
	// Its blocks are not allocated.
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 4<<30+1); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files []File
		want  string
	}{
		"too large":           {[]File{{Path: "tests/a", Host: large}}, "initramfs: tests/a: " + large + " has 4294967297 bytes"},
		"no name":             {[]File{{Path: "/"}}, "expected a clean path"},
		"outside":             {[]File{{Path: "../a"}}, "expected a clean path"},
		"not clean":           {[]File{{Path: "a//b"}}, "expected a clean path"},
		"with a NUL":          {[]File{{Path: "a\x00b"}}, "expected a clean path"},
		"twice":               {[]File{{Path: "/a"}, {Path: "a"}}, "duplicate a"},
		"file and directory":  {[]File{{Path: "a"}, {Path: "a/b"}}, "a is a file and the directory of a/b"},
		"missing on host":     {[]File{{Path: "a", Host: "/nope"}}, "/nope"},
		"a directory on host": {[]File{{Path: "a", Host: "/"}}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := WriteInitramfs(io.Discard, tt.files); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("expected an error with %q, found %v", tt.want, err)
			}
		})
	}
}
