// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// TestUnmissed: a run that missed calls is made again, a few times.
func TestUnmissed(t *testing.T) {
	broken := errors.New("no such program")
	for name, tc := range map[string]struct {
		errs []error // of the runs, the last one for ever
		runs int
		want error
	}{
		"at once":    {[]error{nil}, 1, nil},
		"the third":  {[]error{wire.ErrProbeMissed, fmt.Errorf("%w: 3", wire.ErrProbeMissed), nil}, 3, nil},
		"never":      {[]error{wire.ErrProbeMissed}, wire.MaxRuns, wire.ErrProbeMissed},
		"no program": {[]error{broken}, 1, broken},
	} {
		runs := 0
		nanos, err := unmissed(func() ([]int64, error) {
			err := tc.errs[min(runs, len(tc.errs)-1)]
			runs++
			return []int64{int64(runs)}, err
		})
		if runs != tc.runs || !errors.Is(err, tc.want) || tc.want == nil && nanos[0] != int64(runs) {
			t.Errorf("%s: expected %d runs and %v, found %d, %v and %v", name, tc.runs, tc.want, runs, nanos, err)
		}
	}
}

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
