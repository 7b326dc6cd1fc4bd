// SPDX-License-Identifier: GPL-2.0-only

package pattern

import (
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
