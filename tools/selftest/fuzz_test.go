// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// FuzzLists reads the lists that people write: what is taken is whole, and what is
// refused is wrong use.
func FuzzLists(f *testing.F) {
	for _, file := range []string{"proofs.toml", "races.toml"} {
		text, err := os.ReadFile("../../ci/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "BUG: KCSAN: data-race in a [kvm] / b [kvm]")
	}
	f.Add([]byte("[[known]]\ntest = 'x86/*'\nwhy = 'slow'\n"), "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, title string) {
		name := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		proofs, err := LoadProofs(name)
		if err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("proofs: %v", err)
		}
		for _, p := range proofs {
			if p.Test == "" || p.Patch == "" {
				t.Errorf("proof %+v", p)
			}
		}
		races, err := LoadRaces(name)
		if err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("races: %v", err)
		}
		if _, err := LoadKnown(name); err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("known failures: %v", err)
		}
		if err == nil {
			races.Overlook(vm.Splat{Title: title})
		}
	})
}
