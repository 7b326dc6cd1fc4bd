// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"os"
	"strings"
	"testing"

	"vcpulab/tools/host"
)

func TestComplaints(t *testing.T) {
	for name, c := range map[string]struct{ out, want string }{
		"none":         {"", ""},
		"downloads":    {"go: downloading honnef.co/go/tools v0.8.2\ngo: downloading golang.org/x/tools v0.51.0\n", ""},
		"a complaint":  {"a.go:3:2: x is unused (U1000)\n", "a.go:3:2: x is unused (U1000)\n"},
		"both":         {"go: downloading golang.org/x/mod v0.41.0\na.go\n", "a.go\n"},
		"cannot":       {"go: golang.org/x/mod@v0.41.0: no such host\n", "go: golang.org/x/mod@v0.41.0: no such host\n"},
		"without line": {"a.go", "a.go"},
	} {
		if got := complaints(c.out); got != c.want {
			t.Errorf("%s: expected %q, found %q", name, c.want, got)
		}
	}
}

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
