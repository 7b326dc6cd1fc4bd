// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"testing"

	"vcpulab/tools/arch"
)

// TestAgain: the command that runs a test again is for the same kernels.
func TestAgain(t *testing.T) {
	p := selftestPlan{arch: arch.X86_64()}
	for base, want := range map[string]string{
		"":       "bin/vcpulab selftest --series '~/my v3.mbx' --set a --through 3 --only x86/smm_test",
		"7.2.13": "bin/vcpulab selftest --series '~/my v3.mbx' --base 7.2.13 --set a --through 3 --only x86/smm_test",
	} {
		var c selftestCmd
		c.Series, c.Set, c.Through = "~/my v3.mbx", "a", "3"
		if got := fmt.Sprintf(c.again(base, p), "x86/smm_test"); got != want {
			t.Errorf("expected %s\nfound    %s", want, got)
		}
	}
	var c selftestCmd
	c.Series = "100%"
	if got, want := fmt.Sprintf(c.again("", p), "a"), "bin/vcpulab selftest --series 100% --only a"; got != want {
		t.Errorf("expected %s, found %s", want, got)
	}
}
