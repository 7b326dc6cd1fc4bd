// SPDX-License-Identifier: GPL-2.0-only

package main

import "testing"

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
