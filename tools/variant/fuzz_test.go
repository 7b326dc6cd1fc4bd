// SPDX-License-Identifier: GPL-2.0-only

package variant

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vcpulab/tools/exit"
)

// FuzzLoad: a list that cannot be used is wrong use.
func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile("../../ci/variants.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		all, err := Load(name)
		if err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("%v", err)
		}
		for _, v := range all {
			if v.Name == "" {
				t.Errorf("variant %+v", v)
			}
		}
	})
}
