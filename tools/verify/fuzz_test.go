// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"vcpulab/tools/exit"
)

// FuzzRules: a table of rules that cannot be used is wrong use.
func FuzzRules(f *testing.F) {
	for _, name := range []string{"rules.toml", "retired.toml"} {
		if text, err := os.ReadFile("../../ci/verify/" + name); err == nil {
			f.Add(text)
		}
	}
	f.Add([]byte("[[field]]\nname = 'x'\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := loadRules(name)
		_, err2 := loadRetired(name)
		_, err3 := loadSpelling(name)
		for _, err := range []error{err, err2, err3} {
			if err != nil && (exit.Code(err) != exit.Usage && exit.Code(err) != exit.CheckFailed || err.Error() == "") {
				t.Errorf("code %d: %v", exit.Code(err), err)
			}
		}
	})
}
