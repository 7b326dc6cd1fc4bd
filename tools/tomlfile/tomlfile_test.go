// SPDX-License-Identifier: GPL-2.0-only

package tomlfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/exit"
)

func TestLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		content, says string
	}{
		"good":         {"name = 'x'\n", ""},
		"unknown key":  {"name = 'x'\nnmae = 'y'\n", "nmae"},
		"syntax":       {"name =\n", "1|"},
		"another type": {"name = 7\n", "7"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.toml")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			var v struct{ Name string }
			err := Load(file, &v)
			if (err == nil) != (tt.says == "") {
				t.Fatalf("expected %q, found %v", tt.says, err)
			}
			if err == nil && v.Name != "x" {
				t.Errorf("expected x, found %q", v.Name)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), file) || exit.Code(err) != exit.Usage) {
				t.Errorf("expected %s and %q, found %v", file, tt.says, err)
			}
		})
	}
	if err := Load(filepath.Join(t.TempDir(), "none"), nil); exit.Code(err) != exit.Usage {
		t.Errorf("expected exit code %d, found %v", exit.Usage, err)
	}
}
