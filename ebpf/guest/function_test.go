// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// TestAttachable says why nothing can be attached to a function.
func TestAttachable(t *testing.T) {
	root := t.TempDir()
	for file, text := range map[string]string{
		symbolsFile: `ffffffff81000100 t good
ffffffff81000110 t good.cold
ffffffff81000120 t clone.isra.0
ffffffff81000130 t twice
ffffffff81000140 t hidden
ffffffff81000150 t goodbye
ffffffffa0000000 t kvm_own	[kvm]
ffffffffa0000010 t twice	[kvm]
`,
		traceableFile: "good\nclone.isra.0\ntwice\ngoodbye\nkvm_own [kvm]\ntwice [kvm]\n",
	} {
		file = root + file
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for function, want := range map[string]string{
		"good": "", "kvm_own": "",
		"goo":    "goo is no function of this kernel",
		"clone":  "clone is clone.isra.0 in this kernel",
		"twice":  "twice is the name of 2 functions",
		"hidden": "hidden cannot be traced in this kernel (notrace)",
	} {
		err := attachable(root, function)
		if want == "" && err != nil || want != "" && (!errors.Is(err, wire.ErrAttach) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: expected %q, found %v", function, want, err)
		}
	}
	if err := attachable(t.TempDir(), "good"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without files: found %v", err)
	}
}
