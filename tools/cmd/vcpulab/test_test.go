// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"os"
	"strings"
	"testing"

	"vcpulab/tools/host"
)

func TestLackingFor(t *testing.T) {
	missing := []host.Package{{Name: "sparse", Provides: "sparse"}, {Name: "coccinelle", Provides: "spatch"}, {Name: "libelf-dev", Provides: "<libelf.h>"}}
	for reason, want := range map[string]string{
		"NOT TESTED: this machine lacks sparse":        "sparse",
		"no spatch: install it":                        "coccinelle",
		"no <libelf.h>.":                               "libelf-dev",
		"builds a kernel twice":                        "",
		"sparsely used, and spatches are not programs": "",
	} {
		p := lackingFor(reason, missing)
		if (p == nil) != (want == "") || p != nil && p.Name != want {
			t.Errorf("%q: expected %q, found %v", reason, want, p)
		}
	}
}

// TestTestGroups checks that make test installs what the tests need.
func TestTestGroups(t *testing.T) {
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if want := "$(VCPULAB) install " + strings.Join(testGroups, " ") + "\n\t$(VCPULAB) test\n"; !strings.Contains(string(makefile), want) {
		t.Errorf("expected in Makefile:\n%s", want)
	}
}
