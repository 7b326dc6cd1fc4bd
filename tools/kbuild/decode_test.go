// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/tree"
)

func TestFindPlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"nothing":     {"Call Trace:\n <TASK>\n", nil},
		"kernel":      {"[    1.2] RIP: 0010:do_init_module+0x10/0x100\n", []string{"do_init_module+0x10/0x100"}},
		"module":      {" kvm_vm_ioctl+0x50/0x900 [kvm]\n", []string{"kvm_vm_ioctl+0x50/0x900 [kvm]"}},
		"build id":    {" f+0x5/0x9 [kvm 0123abcd]\n", []string{"f+0x5/0x9 [kvm]"}},
		"guess":       {" ? f.cold+0x5/0x9\n", []string{"f.cold+0x5/0x9"}},
		"twice":       {"f+0x1/0x2\ng+0x1/0x2\nf+0x1/0x2\n", []string{"f+0x1/0x2", "g+0x1/0x2"}},
		"for a shell": {"$(id)+0x1/0x2 f+0x$(id)/0x2 a[$(id)]+0x1/0x2 f+0x1/0x2 [$(id)]\n", []string{"f+0x1/0x2"}},
		"no hex":      {"f+1/2 f+0xg/0x2 f+0x1\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, findPlaces(tt.text)); diff != "" {
				t.Errorf("places differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddLines(t *testing.T) {
	text := "RIP: 0010:f+0x1/0x2\n g+0x3/0x4 [kvm 01ab]\n h+0x5/0x6\n"
	out := "f (a.h:1 a.c:2)\ng (b.c:3) kvm\nh+0x5/0x6\n"
	got, err := addLines(text, findPlaces(text), []byte(out))
	if err != nil {
		t.Fatal(err)
	}
	want := "RIP: 0010:f+0x1/0x2 (a.h:1 a.c:2)\n g+0x3/0x4 [kvm 01ab] (b.c:3)\n h+0x5/0x6\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text differs (-want +got):\n%s", diff)
	}
	if got, err := addLines(text, findPlaces(text), []byte("f (a.c:2)\n")); err == nil || got != text {
		t.Errorf("two lines lost: expected an error and the unchanged text, found %v and %q", err, got)
	}
}

// FuzzFindPlaces checks that only letters, digits and the few characters that are
// not special to a shell reach the script.
func FuzzFindPlaces(f *testing.F) {
	f.Add(" kvm_vm_ioctl+0x50/0x900 [kvm 0123]\n")
	f.Add("a[$(id)]+0x1/0x2 `id`+0x1/0x2 [x]")
	harmless := regexp.MustCompile(`^[A-Za-z0-9_.]+\+0x[0-9a-f]+/0x[0-9a-f]+( \[\w+\])?$`)
	f.Fuzz(func(t *testing.T, text string) {
		places := findPlaces(text)
		if len(places) > maxPlaces {
			t.Errorf("%d places, expected at most %d", len(places), maxPlaces)
		}
		for _, p := range places {
			if !harmless.MatchString(p) {
				t.Errorf("%q reaches a shell", p)
			}
		}
	})
}

// TestDecode runs the pinned tree's script on a small program.
func TestDecode(t *testing.T) {
	dir := os.Getenv(envTree)
	if dir == "" {
		t.Skipf("NOT TESTED: %s is not set: the script is in the pinned tree", envTree)
	}
	k := &Kernel{Dir: t.TempDir(), Tree: tree.Tree{Dir: dir}}
	var err error
	if k.Arch, err = arch.Host(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.ConfigPath(), []byte("CONFIG_DEBUG_INFO=y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(k.Dir, "f.c")
	if err := os.WriteFile(src, []byte("int other(void);\nint called(int a)\n{\n\ta += 3;\n\treturn a * other();\n}\nint other(void) { return 1; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "gcc", "-g", "-O0", "-nostdlib", "-static", "-Wl,-e,called", "-o", k.Vmlinux(), src).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := k.Decode(t.Context(), "RIP: 0010:called+0x1/0x30\n missing+0x1/0x2\n")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(got, "\n")
	if !regexp.MustCompile(`^RIP: 0010:called\+0x1/0x30 \(.*f\.c:\d+\)$`).MatchString(lines[0]) || lines[1] != " missing+0x1/0x2" {
		t.Errorf("expected a line of f.c behind the first place and nothing behind the second, found %q", got)
	}
}
