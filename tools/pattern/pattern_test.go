// SPDX-License-Identifier: GPL-2.0-only

package pattern

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/exit"
)

func TestSelect(t *testing.T) {
	all := []string{"kvm_binary_stats_test", "x86/set_boot_cpu_id", "x86/set_sregs_test"}
	for name, tt := range map[string]struct {
		patterns []string
		want     string // "" for an error
	}{
		"no patterns":            {nil, "kvm_binary_stats_test x86/set_boot_cpu_id x86/set_sregs_test"},
		"whole name":             {[]string{"x86/set_boot_cpu_id"}, "x86/set_boot_cpu_id"},
		"name without directory": {[]string{"set_boot_cpu_id"}, "x86/set_boot_cpu_id"},
		"wildcard":               {[]string{"set_*"}, "x86/set_boot_cpu_id x86/set_sregs_test"},
		"with directory":         {[]string{"x86/*_test", "kvm*"}, "kvm_binary_stats_test x86/set_sregs_test"},
		"no match":               {[]string{"set_*", "xapic"}, ""},
		"malformed":              {[]string{"["}, ""},
		"two for one":            {[]string{"set_boot*", "x86/set_boot*"}, "x86/set_boot_cpu_id"},
		"empty":                  {[]string{""}, ""},
		"all":                    {[]string{"*"}, "kvm_binary_stats_test x86/set_boot_cpu_id x86/set_sregs_test"},
	} {
		t.Run(name, func(t *testing.T) {
			selected, err := Select(all, tt.patterns, func(s string) string { return s })
			if tt.want == "" {
				if exit.Code(err) != exit.Usage {
					t.Errorf("expected exit code %d, found %v", exit.Usage, err)
				}
				return
			}
			if found := strings.Join(selected, " "); err != nil || found != tt.want {
				t.Errorf("expected %s, found %s, %v", tt.want, found, err)
			}
		})
	}
}

// TestFiles: of the directory's own name nothing is a wildcard.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[wip] v?*")
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "pattern.go"), filepath.Join(dir, "pattern_test.go")}
	if found, err := Files(dir, "*.go"); err != nil || !slices.Equal(found, want) {
		t.Errorf("expected %q, found %q, %v", want, found, err)
	}
	if found, err := Files(filepath.Join(dir, "none"), "*"); err != nil || len(found) > 0 {
		t.Errorf("no directory: expected nothing, found %q, %v", found, err)
	}
	if _, err := Files(dir, "["); err == nil {
		t.Error("expected an error for a malformed pattern")
	}
}
