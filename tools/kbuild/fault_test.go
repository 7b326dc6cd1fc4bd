// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFirstFault reads logs of builds of Linux 7.3.4 that failed. They are
// real: a fault was put into the tree or the machine; most lines of steps
// were taken out.
func TestFirstFault(t *testing.T) {
	logs, err := filepath.Glob("testdata/logs/*.log")
	if err != nil || len(logs) == 0 {
		t.Fatal(err, logs)
	}
	for _, name := range logs {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".log"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fault, err := FirstFault(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(struct {
				Fault
				Text string `json:"text"`
				Hint string `json:"hint,omitempty"`
				Exit int    `json:"exit"`
			}{fault, fault.String(), fault.Hint(), exit.Code(&Error{Fault: fault})}, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := strings.TrimSuffix(name, ".log") + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestFaultLines tests forms that only a whole machine produces.
func TestFaultLines(t *testing.T) {
	tests := map[string]struct {
		line string
		want Fault
	}{
		"objtool": {"vmlinux.o: error: objtool: kvm_get_vcpu+0x1f: unreachable instruction",
			Fault{Kind: Objtool, File: "vmlinux.o", Message: "kvm_get_vcpu+0x1f: unreachable instruction"}},
		"pahole in a script": {"/src/scripts/gen-btf.sh: line 31: pahole: command not found",
			Fault{Kind: MissingProgram, Message: "pahole: command not found"}},
		"openssl": {"certs/extract-cert.c:21:10: fatal error: openssl/bio.h: No such file or directory",
			Fault{Kind: MissingLibrary, File: "certs/extract-cert.c", Line: 21, Column: 10, Message: "openssl/bio.h: No such file or directory"}},
		"uuid": {"lib/vfio_pci_device.c:26:10: fatal error: uuid/uuid.h: No such file or directory",
			Fault{Kind: MissingLibrary, File: "lib/vfio_pci_device.c", Line: 26, Column: 10, Message: "uuid/uuid.h: No such file or directory"}},
		"a library to link": {"/usr/bin/ld: cannot find -luuid: No such file or directory",
			Fault{Kind: Link, Message: "cannot find -luuid: No such file or directory"}},
		"memory": {"cc1: error: out of memory allocating 65536 bytes",
			Fault{Kind: OutOfMemory, Message: "out of memory allocating 65536 bytes"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := FirstFault(strings.NewReader(tc.line + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestFaultAfterSparse checks that sparse's errors are passed over.
func TestFaultAfterSparse(t *testing.T) {
	const bySparse = "  CC      virt/kvm/a.o\na.c:1: warning: one\n  CHECK   ../virt/kvm/a.c\na.c:1:1: error: sparse says so\n"
	for name, tc := range map[string]struct{ log, want string }{
		"compiler": {"  CC      virt/kvm/b.o\nb.c:2:2: error: the compiler says so\nmake[3]: *** [virt/kvm/b.o] Error 1\n", "b.c:2:2: the compiler says so"},
		"make":     {"make[3]: *** [virt/kvm/b.o] Error 1\n  CHECK   ../virt/kvm/c.c\nc.c:1:1: error: sparse again\n", "make: Error 1"},
	} {
		got, err := FirstFault(strings.NewReader(bySparse + tc.log))
		if err != nil || got.String() != tc.want || got.Target != "virt/kvm/b.o" {
			t.Errorf("%s: expected %q, found %+v, %v", name, tc.want, got, err)
		}
	}
}

func TestNoFault(t *testing.T) {
	got, err := FirstFault(strings.NewReader("  CC      a.o\nsomething went past\n"))
	if err != nil || got.Kind != Unknown || cmp.Diff([]string{"something went past"}, got.Excerpt) != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := FirstFault(io.MultiReader(strings.NewReader("x\n"), iotest.ErrReader(io.ErrClosedPipe))); err != io.ErrClosedPipe {
		t.Errorf("an error of the reader: %v", err)
	}
}

func FuzzFirstFault(f *testing.F) {
	logs, err := filepath.Glob("testdata/logs/*.log")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range logs {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a.c:99999999999999999999:1: error: x"))
	f.Add(bytes.Repeat([]byte("x"), 3*maxLogLine))
	f.Fuzz(func(t *testing.T, data []byte) {
		fault, err := FirstFault(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if fault.Kind == "" || fault.Message == "" {
			t.Errorf("a fault without a message: %+v", fault)
		}
		if fault.Line < 0 || fault.Column < 0 || len(fault.Excerpt) > excerptBefore+excerptAfter {
			t.Errorf("%+v", fault)
		}
		if strings.ContainsAny(fault.String(), "\n") {
			t.Errorf("more than a line: %q", fault)
		}
	})
}
